//! Requests, replies, close codes and the dialects that encode them
