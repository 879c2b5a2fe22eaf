//! Write a Headwater event source: one dependency, one file
