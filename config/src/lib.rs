//! The config file: schema, load, errors with spans, diff, watch
