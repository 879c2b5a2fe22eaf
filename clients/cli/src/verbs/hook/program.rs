//! The command that settings hold: how it is written so that a shell and an argument list read it right, and how it is
//! known again.

use crate::{Globals, ReportOptions, globals::DEFAULT_URL};
use std::path::{Path, PathBuf};

/// The name of the binary, by which entries of other installations are known.
const NAME: &str = "headwater";

/// The command of a hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Program {
    binary: PathBuf,
    /// What stands behind the emitter.
    options: Vec<String>,
}

impl Program {
    /// That reports to the daemon that `globals` name. An address of its own is written down: the environment of an agent
    /// is not that of the person who installs. A token is not: settings are read by others.
    pub(super) fn new(binary: PathBuf, globals: &Globals, options: &ReportOptions) -> Self {
        let mut words = Vec::new();
        if globals.url != DEFAULT_URL {
            words.extend(["--url".to_owned(), globals.url.clone()]);
        }
        if let Some(spool) = &options.spool {
            let absolute = std::path::absolute(spool).unwrap_or_else(|_| spool.clone());
            words.extend(["--spool".to_owned(), absolute.to_string_lossy().into_owned()]);
        }
        if let Some(bytes) = options.spool_bytes {
            words.extend(["--spool-bytes".to_owned(), bytes.to_string()]);
        }
        if let Some(time) = options.within_ms {
            words.extend(["--within-ms".to_owned(), time.to_string()]);
        }
        if options.text {
            words.push("--text".to_owned());
        }
        Self { binary, options: words }
    }

    /// What it runs.
    pub(super) fn binary(&self) -> &Path {
        &self.binary
    }

    /// As a list of arguments.
    pub(super) fn arguments(&self, emitter: &str) -> Vec<String> {
        let mut words: Vec<String> = vec![self.binary.to_string_lossy().into_owned()];
        words.extend(["hook", "run", emitter].map(str::to_owned));
        words.extend(self.options.iter().cloned());
        words
    }

    /// As a line for a shell.
    pub(super) fn line(&self, emitter: &str) -> String {
        self.arguments(emitter).iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
    }
}

/// The binary of a hook of ours, whichever installation wrote it; `None` for every other command.
pub(super) fn binary_of(line: &str) -> Option<PathBuf> {
    binary_in(&words(line)?)
}

/// As [`binary_of`], from a list of arguments.
pub(super) fn binary_in(words: &[String]) -> Option<PathBuf> {
    let [binary, hook, run, ..] = words else { return None };
    let binary = Path::new(binary);
    let is_ours = binary.file_name().is_some_and(|name| name.to_string_lossy().starts_with(NAME));
    (is_ours && hook == "hook" && run == "run").then(|| binary.to_owned())
}

/// A word as a shell reads it back.
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"@%+=:,./_-".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The words of a simple command line, as a shell splits it. `None` when it is more than a simple command: such a line was
/// written by somebody else.
fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '"' => break,
                        '\\' => word.push(chars.next()?),
                        '$' | '`' => return None,
                        c => word.push(c),
                    }
                }
            }
            '\\' => word.get_or_insert_default().push(chars.next()?),
            '|' | '&' | ';' | '<' | '>' | '(' | ')' | '$' | '`' | '#' | '*' | '?' | '[' | '~' | '\n' => return None,
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ColorChoice;
    use proptest::prelude::*;

    fn globals(url: &str) -> Globals {
        Globals { url: url.to_owned(), token: Some("secret".to_owned()), json: false, color: ColorChoice::Never }
    }

    #[test]
    fn the_line_has_what_the_agent_cannot_know() {
        let program = |url: &str, options| Program::new("/opt/head water/headwater".into(), &globals(url), &options);
        let line = program(DEFAULT_URL, ReportOptions::default()).line("claude");
        assert_eq!(line, "'/opt/head water/headwater' hook run claude");
        let options = ReportOptions {
            spool: Some("/var/spool/it's".into()),
            spool_bytes: Some(9),
            within_ms: Some(200),
            text: true,
        };
        let line = program("http://box:1", options).line("claude");
        assert_eq!(
            line,
            r"'/opt/head water/headwater' hook run claude --url http://box:1 --spool '/var/spool/it'\''s' --spool-bytes 9 --within-ms 200 --text"
        );
        assert_eq!(binary_of(&line).unwrap(), Path::new("/opt/head water/headwater"));
    }

    #[test]
    fn ours_are_known_and_others_are_not() {
        for line in ["headwater hook run claude", "\"/a b/headwater\" hook run x", "/x/headwater-0.1 hook  run claude"]
        {
            assert!(binary_of(line).is_some(), "{line}");
        }
        for line in [
            "",
            "headwater",
            "headwater pub a b",
            "echo headwater hook run claude",
            "/x/other hook run claude",
            "headwater hook run claude | tee log",
            "headwater hook run claude && notify-send done",
            "true; headwater hook run claude",
            "'headwater hook run",
        ] {
            assert!(binary_of(line).is_none(), "{line}");
        }
    }

    proptest! {
        #[test]
        fn a_word_is_read_back_as_it_was(word in "\\PC*", binary in "(/[a-z '\"$`\\\\;]{1,8}){1,3}/headwater") {
            prop_assert_eq!(words(&quoted(&word)), Some(vec![word.clone()]));
            let program = Program { binary: PathBuf::from(&binary), options: vec![word] };
            prop_assert_eq!(words(&program.line("claude")), Some(program.arguments("claude")));
            prop_assert_eq!(binary_of(&program.line("claude")), Some(PathBuf::from(binary)));
        }
    }

    #[test]
    fn a_shell_reads_the_line_as_we_do() {
        let word = "it's \"a\" $HOME `id` \\ ; # \u{e9}";
        let program = Program { binary: PathBuf::from("/bin/echo"), options: vec![word.to_owned()] };
        let output = std::process::Command::new("sh").arg("-c").arg(program.line("claude")).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap().trim_end(), format!("hook run claude {word}"));
    }
}
