//! What events a reader wants: globs, severity, attributes and CEL expressions, compiled.
