//! Plugin discovery, pre-flight, loading, supervision and isolation
