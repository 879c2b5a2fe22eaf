//! What is read out of what programs print, and how it comes in pieces.

use super::*;
use proptest::prelude::*;
use std::{
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

fn at(millis: u64) -> Instant {
    *START + Duration::from_millis(millis)
}

static REDACTION: LazyLock<Arc<Redaction>> = LazyLock::new(|| Arc::new(Redaction::new(&SECRETS).unwrap()));

fn pane(options: Options) -> PaneText {
    PaneText::new(options, Arc::clone(&REDACTION))
}

/// What a client that follows the contents has in front of it.
#[derive(Debug, Default, PartialEq)]
struct Reader {
    text: String,
    outputs: Vec<Output>,
    dropped: u64,
    rest: Vec<Seen>,
}

impl Reader {
    fn read(&mut self, seen: Vec<Seen>) {
        for seen in seen {
            match seen {
                Seen::Output(output) => {
                    if output.replaces {
                        self.text.truncate(self.text.rfind('\n').map_or(0, |end| end + 1));
                    }
                    self.text.push_str(&output.content);
                    self.outputs.push(output);
                }
                Seen::Dropped { bytes } => self.dropped += bytes,
                other => self.rest.push(other),
            }
        }
    }
}

/// All that is seen when the program writes this and ends.
fn read(bytes: &[u8]) -> Reader {
    read_with(Options::default(), bytes)
}

fn read_with(options: Options, bytes: &[u8]) -> Reader {
    let mut pane = pane(options);
    let mut reader = Reader::default();
    pane.feed(at(0), bytes);
    reader.read(pane.finish(at(0)));
    reader
}

fn lines_of(lines: impl IntoIterator<Item = String>) -> String {
    lines.into_iter().collect()
}

fn text(printed: &str) -> String {
    read(printed.as_bytes()).text
}

#[test]
fn lines_stay_lines() {
    assert_eq!(text("a\r\nb\r\n\r\nc"), "a\nb\n\nc");
    assert_eq!(text("a\nb"), "a\n b", "a line feed alone goes straight down");
    let hundred = lines_of((0..100).map(|n| format!("line {n}\r\n")));
    assert_eq!(text(&hundred), hundred.replace('\r', ""));
    let long = "word ".repeat(3_000);
    assert_eq!(text(&format!("{long}\r\nnext")), format!("{}\nnext", long.trim_end()), "however wide the pane is");
}

#[test]
fn escape_sequences_have_no_text() {
    assert_eq!(text("\x1b[1;31mred\x1b[0m \x1b]8;;https://example.org\x1b\\link\x1b]8;;\x1b\\"), "red link");
    assert_eq!(text("\x1bPtmux;\x1b\x1b]52;c;aGk=\x07\x1b\\a\x1b[?2026h\x1b[?25lb\x1b_Gimage\x1b\\c"), "abc");
    assert_eq!(text("\x1bkname\x1b\\$ "), "$");
    assert_eq!(text("\x1b(0lqk\x1b(B ok"), "┌─┐ ok");
}

#[test]
fn a_redrawn_line_is_what_it_was_last() {
    assert_eq!(text("10%\r20%\r100%\r\ndone"), "100%\ndone");
    assert_eq!(text("downloading…\r\x1b[2Kok\r\n"), "ok\n");
    assert_eq!(text("long text\rshort\x1b[K\r\n"), "short\n");
    assert_eq!(text("ab\x08c"), "ac");
    assert_eq!(text("ab\x7f"), "ab");
    assert_eq!(text("a\tb"), "a       b");
}

#[test]
fn a_line_that_is_redrawn_after_it_was_seen_says_so() {
    let mut pane = pane(Options::default());
    let mut reader = Reader::default();
    let mut contents = Vec::new();
    for (index, print) in ["step 1", " of 2", "\rstep 2", " of 2\r\n", "end"].iter().enumerate() {
        let now = index as u64 * 1_000;
        pane.feed(at(now), print.as_bytes());
        reader.read(pane.take(at(now + 16)));
        let last = reader.outputs.last().unwrap();
        contents.push((last.content.as_str().to_owned(), last.replaces));
    }
    let contents: Vec<(&str, bool)> = contents.iter().map(|(text, replaces)| (text.as_str(), *replaces)).collect();
    assert_eq!(contents, [("step 1", false), (" of 2", false), ("step 2 of 2", true), ("\n", false), ("end", false)]);
    assert_eq!(reader.text, "step 2 of 2\nend");
}

#[test]
fn a_program_that_draws_its_screen_again_tells_only_what_changed() {
    let mut pane = pane(Options::default());
    let mut reader = Reader::default();
    pane.feed(at(0), b"one\r\ntwo\r\nspinner /\r\n");
    reader.read(pane.take(at(16)));
    // Up, erase, draw all of it again.
    pane.feed(at(1_000), b"\x1b[2K\x1b[1A\x1b[2K\x1b[1A\x1b[2K\x1b[1A\x1b[2K\x1b[Gone\r\ntwo\r\nspinner -\r\n");
    reader.read(pane.take(at(1_016)));
    assert_eq!(reader.text, "one\ntwo\nspinner /\nspinner -\n");
    assert_eq!(pane.tail(5), "one\ntwo\nspinner -");
}

#[test]
fn a_screen_of_its_own_is_left_as_it_was_found() {
    let mut pane = pane(Options::default());
    let mut reader = Reader::default();
    pane.feed(at(0), b"$ vi\r\n");
    reader.read(pane.take(at(16)));
    pane.feed(at(1_000), b"\x1b[?1049h\x1b[H\x1b[2Jfile\x1b[24;1Hstatus\x1b[1;5H");
    reader.read(pane.take(at(1_050)));
    assert_eq!(pane.tail(5), "file\nstatus");
    pane.feed(at(2_000), b"\x1b[?1049l$ ");
    reader.read(pane.take(at(2_050)));
    assert_eq!(pane.tail(5), "$ vi\n$");
    assert_eq!(reader.text, "$ vi\nfile\nstatus\n$");
}

#[test]
fn titles_bells_and_marks_are_seen() {
    let reader = read(b"\x1b]0;one\x07\x1b]2;\xe2\x9c\xb3 two; three\x1b\\\x07\x07\x1b]9;4;3;50\x07\x1b]133;D;1\x07\x1b]7501;state=idle:app=codex\x1b\\\x1b]52;c;aGk=\x07");
    assert_eq!(
        reader.rest,
        [
            Seen::Title("✳ two; three".into()),
            Seen::Osc { code: 9, text: "4;3;50".into() },
            Seen::Osc { code: 133, text: "D;1".into() },
            Seen::Osc { code: 7501, text: "state=idle:app=codex".into() },
            Seen::Bell
        ]
    );
    assert_eq!(reader.text, "");
}

#[test]
fn invalid_bytes_are_replaced() {
    assert_eq!(read(b"a\xffb\xe2\x9cc").text, "a\u{fffd}b\u{fffd}c");
    assert_eq!(read(b"a\xe2\x9c").text, "a\u{fffd}", "cut by the end of the pane");
}

#[test]
fn output_is_gathered() {
    let mut pane = pane(Options::default());
    assert_eq!(pane.due(), None);
    pane.feed(at(0), b"a");
    assert_eq!(pane.due(), Some(at(16)));
    assert_eq!(pane.take(at(15)), []);
    pane.feed(at(10), b"b");
    assert_eq!(pane.due(), Some(at(26)), "more came");
    for now in [20, 30, 40] {
        pane.feed(at(now), b"c");
    }
    assert_eq!(pane.due(), Some(at(50)), "but not for ever");
    let mut reader = Reader::default();
    reader.read(pane.take(at(50)));
    assert_eq!(reader.text, "abccc");
    assert_eq!(pane.due(), None);
    pane.feed(at(60), "x".repeat(20_000).as_bytes());
    assert_eq!(pane.due(), Some(at(60)), "an event is full");
}

/// A line that comes alone is told at once; in a burst, only the first part is.
#[test]
fn whole_lines_after_a_silence_are_told_soon() {
    let mut pane = pane(Options::default());
    pane.feed(at(0), b"a\r\n");
    assert_eq!(pane.due(), Some(at(2)));
    pane.feed(at(1), b"b");
    assert_eq!(pane.due(), Some(at(17)), "what is no whole line may become another one");
    pane.feed(at(15), b"c\r\n");
    assert_eq!(pane.due(), Some(at(16)), "but not for ever");
    let mut reader = Reader::default();
    reader.read(pane.take(at(16)));
    pane.feed(at(20), b"d\r\n");
    assert_eq!(pane.due(), Some(at(36)), "it goes on");
    reader.read(pane.take(at(36)));
    pane.feed(at(86), b"e\r\n");
    assert_eq!(pane.due(), Some(at(88)));
    assert_eq!(reader.text, "a\nbc\nd\n");
}

#[test]
fn a_title_is_seen_at_once_but_not_all_the_time() {
    let mut pane = pane(Options::default());
    pane.feed(at(0), b"\x1b]0;a\x07");
    assert_eq!(pane.due(), Some(at(0)));
    assert_eq!(pane.take(at(0)), [Seen::Title("a".into())]);
    pane.feed(at(1), b"\x1b]0;b\x07\x1b]0;c\x07");
    assert_eq!(pane.due(), Some(at(16)));
    assert_eq!(pane.take(at(16)), [Seen::Title("c".into())]);
}

#[test]
fn a_flood_is_cut_down_and_counted() {
    let mut pane = pane(Options { burst_bytes: 64 * 1024, ..Options::default() });
    let mut reader = Reader::default();
    let (mut lines, mut fed, mut taken_in_a_second) = (0_u64, 0_u64, 0);
    for millis in 0..2_000 {
        let mut chunk = String::new();
        while chunk.len() < 4 * 1024 {
            let line = format!("line {lines}\r\n");
            chunk += &line;
            lines += 1;
        }
        fed += chunk.replace('\r', "").len() as u64;
        pane.feed(at(millis), chunk.as_bytes());
        while pane.due().is_some_and(|due| due <= at(millis)) {
            let seen = pane.take(at(millis));
            taken_in_a_second += if millis >= 1_000 { seen.len() } else { 0 };
            reader.read(seen);
        }
    }
    reader.read(pane.finish(at(2_000)));
    assert_eq!(reader.text.len() as u64 + reader.dropped, fed, "every byte is passed on or counted");
    assert_eq!(reader.dropped, pane.dropped());
    // An event and a word about what was dropped, each 16 ms.
    assert!(taken_in_a_second <= 2 * 1_000 / 16 + 2, "{taken_in_a_second}");
    assert!(reader.outputs.iter().all(|output| output.content.len() <= 8 * 1024));
    assert!(reader.text.ends_with(&format!("line {}\n", lines - 1)), "the newest is kept");
    assert!(reader.text.lines().all(|line| line.starts_with("line ")), "no line is cut");
}

#[test]
fn events_say_what_they_are_about() {
    let reader = read(b"cargo build\r\nerror: no such crate\r\n");
    let output = &reader.outputs[0];
    assert_eq!((output.activity, output.activity.event()), (Activity::Error, Some("pane.error")));
    assert_eq!(output.preview, "cargo build\nerror: no such crate");
}

#[test]
fn a_secret_is_redacted_wherever_it_is_cut() {
    let mut pane = pane(Options::default());
    let mut reader = Reader::default();
    for (index, part) in ["key=sk-ant-ab", "cdefghijklmnopqrst", "uvw\r\n"].iter().enumerate() {
        let now = index as u64 * 1_000;
        pane.feed(at(now), part.as_bytes());
        reader.read(pane.take(at(now + 16)));
    }
    assert_eq!(reader.text, "key=[redacted]\n");
    let key =
        "-----BEGIN OPENSSH PRIVATE KEY-----\r\nb3BlbnNzaC1r\r\nZXktdjEAAAA\r\n-----END OPENSSH PRIVATE KEY-----\r\n$ ";
    assert_eq!(
        text(key),
        "-----BEGIN OPENSSH PRIVATE KEY-----\n[redacted]\n[redacted]\n-----END OPENSSH PRIVATE KEY-----\n$"
    );
    let options = Options { ansi: true, ..Options::default() };
    assert_eq!(read_with(options.clone(), b"ghp_abcdefghijklmnopqrstuvwx").text, "[redacted]");
    let raw = read_with(options, key.as_bytes());
    assert!(!raw.text.contains("ZXktdjEAAAA"), "{}", raw.text);
    assert!(!raw.outputs[0].preview.contains("ZXktdjEAAAA"), "{}", raw.outputs[0].preview);
}

#[test]
fn raw_output_is_what_the_program_wrote() {
    let options = Options { ansi: true, ..Options::default() };
    let reader = read_with(options, b"\x1b[31merror\x1b[0m\r\n\xff");
    assert_eq!(reader.text, "\x1b[31merror\x1b[0m\r\n\u{fffd}");
    assert_eq!(reader.outputs[0].activity, Activity::Error);
    assert_eq!(reader.outputs[0].preview, "error\n\u{fffd}");
}

#[test]
fn what_was_there_before_is_no_news() {
    let mut pane = pane(Options::default());
    let mut reader = Reader::default();
    pane.resync(at(0), "$ make\nok\n$ ", (2, 2));
    pane.feed(at(0), b"ls\r\nfile\r\n");
    reader.read(pane.take(at(16)));
    assert_eq!(reader.text, "$ ls\nfile\n", "a line that goes on is told whole");
    // Some output was missed.
    pane.resync(at(1_000), "$ ls\nfile\nmissed\n$ ", (3, 2));
    reader.read(pane.take(at(1_050)));
    assert_eq!(reader.text, "$ ls\nfile\nmissed\n$");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_in_any_chunks_give_the_same(bytes in bytes(), cuts in prop::collection::vec(1_usize..20, 0..200), ansi: bool) {
        let options = Options { ansi, size: (6, 12), ..Options::default() };
        let whole = read_with(options.clone(), &bytes);
        let mut pane = pane(options);
        let mut rest = bytes.as_slice();
        for cut in cuts {
            let (chunk, after) = rest.split_at(cut.min(rest.len()));
            pane.feed(at(0), chunk);
            rest = after;
        }
        pane.feed(at(0), rest);
        let mut reader = Reader::default();
        reader.read(pane.finish(at(0)));
        prop_assert_eq!(reader, whole);
    }

    #[test]
    fn text_is_the_same_however_often_it_is_taken(lines in lines(), cuts in prop::collection::vec((1_usize..40, 0_u64..40), 0..200)) {
        let printed = lines_of(lines.iter().map(|line| format!("{line}\r\n")));
        let expected = lines_of(lines.iter().map(|line| format!("{}\n", line.rsplit('\r').next().unwrap().trim_end())));
        let mut pane = pane(Options { size: (6, 12), ..Options::default() });
        let mut reader = Reader::default();
        let mut rest = printed.as_bytes();
        let mut now = 0;
        for (cut, pause) in cuts {
            let (chunk, after) = rest.split_at(cut.min(rest.len()));
            pane.feed(at(now), chunk);
            rest = after;
            now += pause;
            reader.read(pane.take(at(now)));
        }
        pane.feed(at(now), rest);
        reader.read(pane.finish(at(now)));
        prop_assert_eq!(reader.text, expected);
    }

}

proptest! {
    // Each case prints a lot.
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_take_more_than_their_share(chunks in prop::collection::vec(bytes(), 0..20), repeat in 1_usize..40, ansi: bool) {
        let options = Options { burst_bytes: 32 * 1024, ansi, size: (6, 12), ..Options::default() };
        let mut pane = pane(options);
        for chunk in chunks {
            for _ in 0..repeat {
                pane.feed(at(0), &chunk);
            }
            prop_assert!(pane.held() < 192 * 1024, "{}", pane.held());
        }
        let mut reader = Reader::default();
        reader.read(pane.finish(at(0)));
        prop_assert!(reader.outputs.iter().all(|output| output.content.len() <= 8 * 1024));
    }
}

/// Bytes as a program may write them: text, controls, sequences whole and broken.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        4 => "[a-z ]{0,20}".prop_map(String::into_bytes),
        2 => prop::sample::select(vec!["\r\n", "\r", "\n", "\x08", "\t", "\x07", "é", "漢", "e\u{301}", "✳", "\u{85}"])
            .prop_map(|text| text.as_bytes().to_vec()),
        2 => (prop::sample::select("ABCDEFGHIJKLMPSTXZ@bdfrsuhl`".chars().collect::<Vec<_>>()), 0_u16..70, 0_u16..20)
            .prop_map(|(action, a, b)| format!("\x1b[{a};{b}{action}").into_bytes()),
        1 => prop::sample::select(vec![
            "\x1b[?1049h", "\x1b[?1049l", "\x1b]0;title\x07", "\x1b]9;4;1;20\x1b\\", "\x1b]8;;u\x07", "\x1bM", "\x1bD", "\x1bE",
            "\x1bc", "\x1b7", "\x1b8", "\x1bk", "\x1b\\", "\x1b(0", "\x1b(B", "\x1bP1;2|", "\x1b]", "\x1b[",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..8),
    ];
    prop::collection::vec(part, 0..60).prop_map(|parts| parts.concat())
}

/// Lines of text, some drawn several times; none is longer than the pane is wide, so that drawing again covers all.
fn lines() -> impl Strategy<Value = Vec<String>> {
    let drawn = "[a-zé漢]{5}".prop_map(|text| text.chars().take(5).collect::<String>());
    let line = prop_oneof![
        3 => "[a-zé漢 ]{0,60}".prop_map(|text| text.trim_end().to_owned()),
        1 => prop::collection::vec("[a-z]{6}", 1..5).prop_map(|drawn| drawn.join("\r")),
        1 => drawn,
    ];
    prop::collection::vec(line, 0..30)
}
