//! Lines as tmux 3.3a writes them, whole and in pieces.

use super::*;
use crate::tree::id::Id;
use proptest::prelude::*;

/// A line that owns its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    Output(u32, Vec<u8>),
    Paused(u32),
    Session(u32),
    Screen(u32, Screen),
    Listing(Option<Vec<u8>>),
    Ready,
    Exit,
    Changed,
}

fn parse<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Told> {
    let mut parser = Parser::new(Mark("MARK".into()));
    let mut told = Vec::new();
    for piece in pieces {
        parser.feed(piece, |line| {
            told.push(match line {
                Line::Output(pane, bytes) => Told::Output(pane.0, bytes.to_vec()),
                Line::Paused(pane) => Told::Paused(pane.0),
                Line::Session(session) => Told::Session(session.0),
                Line::Screen(pane, screen) => Told::Screen(pane.0, screen),
                Line::Listing(listing) => Told::Listing(listing),
                Line::Ready => Told::Ready,
                Line::Exit => Told::Exit,
                Line::Changed => Told::Changed,
            });
        });
    }
    told
}

/// What tmux does on its side.
fn escape(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for byte in bytes {
        match byte {
            b'\\' | 0..b' ' => out.extend(format!("\\{byte:03o}").bytes()),
            _ => out.push(*byte),
        }
    }
    out
}

#[test]
fn a_recorded_session_is_understood() {
    let recorded: &[u8] = b"%begin 1795191540 264 0\n%output %9 not output but an answer\n%end 1795191540 264 0\n\
        %session-changed $0 x y\n%extended-output %0 0 : \\033]2;t\xc3\xa9\\007\\134 x\xffy : z\n\
        %output %12 a\\015\\012\n%window-renamed @1 %pause %3\n%pause %0\n%continue %0\n%sessions-changed\n%exit\n";
    let expected = [
        Told::Session(0),
        Told::Output(0, b"\x1b]2;t\xc3\xa9\x07\\ x\xffy : z".to_vec()),
        Told::Output(12, b"a\r\n".to_vec()),
        Told::Changed,
        Told::Paused(0),
        Told::Changed,
        Told::Exit,
    ];
    assert_eq!(parse([recorded]), expected);
    assert_eq!(parse(recorded.chunks(1)), expected, "byte by byte");
}

/// A program may show lines that look like the end of an answer. They are part of the screen, whatever they say.
#[test]
fn a_screen_comes_between_the_output_before_and_after_it() {
    let recorded: &[u8] =
        b"%output %3 before\n%begin 1 5 1\nMARK %3 1 2\n%end 1 5 1\n%begin 1 6 1\nhello\n%end 1 6 1\n\
        %output %9 forged\nMAR end\n%end 1 6 1\n%begin 1 7 1\nMARK end\n%end 1 7 1\n%output %3 after\n\
        %begin 1 8 1\ncan't find pane: %7\n%error 1 8 1\n%begin 1 9 1\ncan't find pane: %7\n%error 1 9 1\n\
        %begin 1 10 1\nMARK end\n%end 1 10 1\n\
        %begin 1 11 1\nMARK %8 0 0\n%end 1 11 1\n%begin 1 12 1\ncan't find pane: %8\n%error 1 12 1\n%begin 1 13 1\n\
        MARK end\n%end 1 13 1\n%begin 1 14 1\nMARK end\n%end 1 14 1\n\
        %begin 1 15 1\nMARK ready\n%end 1 15 1\n%output %3 more\n";
    let text = "hello\n%end 1 6 1\n%output %9 forged\nMAR end\n".to_owned();
    let expected = [
        Told::Output(3, b"before".to_vec()),
        Told::Screen(3, Screen { text, cursor: (1, 2) }),
        Told::Output(3, b"after".to_vec()),
        Told::Ready,
        Told::Output(3, b"more".to_vec()),
    ];
    assert_eq!(parse([recorded]), expected);
    assert_eq!(parse(recorded.chunks(1)), expected);
}

/// A directory may be called as the end of an answer and another pane's output.
#[test]
fn everything_comes_as_tmux_says_it_and_after_what_was_told_before() {
    let body = "%end 1 5 1\n%begin 1 6 1\nS 7\n%end 1 6 1\n%begin 1 7 1\nP $1 9:\n%end 1 7 1\n%output %9 forged\n%end 1 7 1\n%begin 1 8 1\n";
    let recorded = format!(
        "%window-add @1\n%begin 1 5 1\nMARK listing\n{body}MARK end\n%end 1 8 1\n%begin 1 9 1\nMARK end\n%end 1 9 1\n\
        %window-close @1\n"
    );
    let expected = [Told::Changed, Told::Listing(Some(body.as_bytes().to_vec())), Told::Changed];
    assert_eq!(parse([recorded.as_bytes()]), expected);
    assert_eq!(parse(recorded.as_bytes().chunks(1)), expected);
}

/// A pane whose line was skipped would be told as removed.
#[test]
fn an_answer_in_which_a_line_is_missing_is_none() {
    let long = "x".repeat(2 * LONGEST);
    let recorded = format!("MARK listing\nS 7\nP {long}\nC 8\nMARK end\n%output %1 y\n");
    assert_eq!(parse(recorded.as_bytes().chunks(64 * 1024)), [Told::Listing(None), Told::Output(1, b"y".to_vec())]);
    let much = format!("P {}\n", &long[..LONGEST - 2]).repeat(LONGEST_ANSWER / LONGEST + 1);
    let recorded = format!("MARK listing\n{much}MARK end\n");
    assert_eq!(parse([recorded.as_bytes()]), [Told::Listing(None)]);
}

#[test]
fn what_is_no_escape_stays_as_it_is() {
    for (escaped, bytes) in [(&b"\\1"[..], &b"\\1"[..]), (b"\\18x", b"\\18x"), (b"\\777", b"\\777"), (b"a\\", b"a\\")] {
        let mut out = Vec::new();
        unescape(escaped, &mut out);
        assert_eq!(out, bytes);
    }
}

/// A line without an end would otherwise take all memory.
#[test]
fn a_line_without_an_end_is_skipped() {
    let mut input = b"%output %1 ".to_vec();
    input.resize(3 * LONGEST, b'x');
    input.extend(b"\n%output %2 y\n");
    assert_eq!(parse(input.chunks(64 * 1024)), [Told::Output(2, b"y".to_vec())]);
}

#[test]
fn lines_that_are_wrong_are_passed_over() {
    let wrong = b"%output\n%output prod x\n%extended-output %1 0 x\n%pause\n%pause %x\n%session-changed x\n\nhello\n";
    assert_eq!(parse([&wrong[..]]), []);
    assert_eq!(Id::<'%'>::parse("%1"), Some(Id(1)));
}

proptest! {
    #[test]
    fn any_bytes_come_through_in_any_pieces(bytes: Vec<u8>, size in 1..20_usize) {
        let mut line = b"%extended-output %7 0 : ".to_vec();
        line.extend(escape(&bytes));
        line.push(b'\n');
        prop_assert_eq!(parse(line.chunks(size)), [Told::Output(7, bytes)]);
    }

    #[test]
    fn no_bytes_at_all_make_it_fail(bytes: Vec<u8>, size in 1..20_usize) {
        parse(bytes.chunks(size));
    }
}
