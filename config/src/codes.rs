//! The codes of faults. They are stable: scripts and search engines know them.

/// Each code and what it means.
pub(crate) const CODES: [(&str, &str); 15] = [
    ("E0101", "the file is not TOML: a quote, a bracket or a value is missing, or a key stands twice"),
    ("E0102", "a key that does not exist (there)"),
    ("E0103", "a value of the wrong type"),
    (
        "E0104",
        "a value that is not allowed: no duration, no size, no address, out of range, or in contradiction to another",
    ),
    ("E0105", "a key is missing"),
    ("E0106", "a source or a webhook is defined twice"),
    ("E0107", "a file cannot be read, is not UTF-8, or is larger than 1 MiB"),
    ("E0201", "there is no such plugin"),
    ("E0202", "the plugin's file is damaged, or is no plugin"),
    ("E0203", "the plugin was built for another abi, machine or panic strategy"),
    ("E0204", "the plugin's own schema refuses its settings"),
    ("E0205", "a source has both `plugin` and `exec`"),
    ("E0301", "listening beyond this machine without tokens and TLS"),
    ("E0401", "a filter's expression does not compile"),
    ("E0402", "a secret stands in the file as plain text"),
];
