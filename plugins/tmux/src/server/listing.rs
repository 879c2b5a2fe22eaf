//! The whole server in one question: every pane with its window and session, and every client.
//!
//! Names, titles and paths may hold anything, so each comes with its length before it (`4:prod`). What follows is cut by that
//! length and by nothing else: no character in a name can end it. tmux 3.4 prints control characters and bytes that are no text
//! as octal numbers, but the length is that of what they stand for.

use super::ask::{AskError, Program};
use crate::{
    hooks,
    tree::{
        Ending, Pane, Session, Tree, Window,
        id::{Id, PaneId, SessionId, WindowId},
    },
};
use std::collections::{BTreeMap, BTreeSet};

/// One line for each pane of each window of each session. `destroy-unattached` and `exit-unattached` are options: where
/// they are on, a client of ours would change when the session or the server ends.
const PANES: &str = "P #{session_id} #{window_id} #{pane_id} #{window_index} #{pane_index} \
    #{window_active} #{pane_active} #{pane_height} #{pane_width} #{session_activity} #{pane_pid} #{pane_dead} #{n:pane_dead_status}:#{pane_dead_status} \
    #{n:pane_dead_signal}:#{pane_dead_signal} #{n:destroy-unattached}:#{destroy-unattached} \
    #{n:exit-unattached}:#{exit-unattached} #{n:session_name}:#{session_name} #{n:session_path}:#{session_path} \
    #{n:window_name}:#{window_name} #{n:pane_title}:#{pane_title} #{n:pane_current_command}:#{pane_current_command} \
    #{n:pane_current_path}:#{pane_current_path}";

/// Who answers: another server may listen there by now.
const SERVER: &str = "S #{pid}";

/// One line for each client; the session is empty while it has none.
const CLIENTS: &str = "C #{client_pid} #{n:session_id}:#{session_id}";

/// What comes between the clients and the hooks.
const HOOKS: &str = "H";

/// Names and titles are cut here: a program may set a title of a megabyte, which no event could carry.
const LONGEST_TEXT: usize = 4096;

/// What was found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listing {
    /// The process of the server.
    pub(crate) server: Option<u32>,
    /// The sessions, windows and panes; as yet with nobody attached.
    pub(crate) tree: Tree,
    /// When each session was last used by somebody, in seconds since 1970.
    pub(crate) used: BTreeMap<SessionId, u32>,
    /// The clients: their processes, and where they are attached.
    clients: Vec<(u32, SessionId)>,
    /// The server ends when nobody is attached: then no client of ours may keep it alive.
    pub(crate) exits_unattached: bool,
    /// The hooks of ours or of a daemon before us, where they were asked for.
    pub(crate) hooks: Option<Vec<hooks::Entry>>,
}

impl Listing {
    /// Counts who is attached. Clients with these process ids are ours.
    pub(crate) fn count_clients(&mut self, ours: &BTreeSet<u32>) {
        for (_, session) in self.clients.iter().filter(|(pid, _)| !ours.contains(pid)) {
            if let Some(session) = self.tree.sessions.get_mut(session) {
                session.attached += 1;
            }
        }
    }
}

/// The question, whoever is asked.
#[derive(Debug)]
pub(crate) struct Question(Vec<&'static str>);

impl Question {
    /// For everything; with `hooks`, also for the hooks that are set.
    pub(crate) fn new(hooks: bool) -> Self {
        let mut words = vec!["display-message", "-p", SERVER, ";"];
        words.extend(["list-panes", "-a", "-F", PANES, ";", "list-clients", "-F", CLIENTS]);
        if hooks {
            words.extend([";", "display-message", "-p", HOOKS, ";", "show-hooks", "-g", ";", "show-hooks", "-gw"]);
        }
        Self(words)
    }

    /// As a line for tmux. No word has a quote in it.
    pub(crate) fn line(&self) -> String {
        let quoted = self.0.iter().map(|word| if *word == ";" { ";".to_owned() } else { format!("'{word}'") });
        quoted.collect::<Vec<_>>().join(" ")
    }
}

/// Asks for everything, by running `tmux`.
pub(crate) fn ask(program: &Program, question: &Question) -> Result<Listing, AskError> {
    read(&program.ask(&question.0)?)
}

/// Reads the answer. A control client's has lines of tmux between its parts, which begin with a `%`.
pub(crate) fn read(answer: &[u8]) -> Result<Listing, AskError> {
    let mut listing = Listing::default();
    let mut cursor = Cursor { rest: answer, escaped: false };
    while let Some(kind) = cursor.kind() {
        let understood = match kind {
            b'S' => cursor.number().and_then(|pid| {
                listing.server = Some(pid);
                cursor.end()
            }),
            b'P' => {
                let line = cursor.rest;
                pane(&mut cursor, &mut listing).or_else(|| {
                    (cursor.rest, cursor.escaped) = (line, true);
                    let understood = pane(&mut cursor, &mut listing);
                    cursor.escaped = false;
                    understood
                })
            }
            b'C' => client(&mut cursor, &mut listing),
            b'%' => cursor.between(),
            b'H' => {
                listing.hooks = Some(hooks::entries(&String::from_utf8_lossy(cursor.rest)));
                return Ok(listing);
            }
            _ => None,
        };
        understood.ok_or_else(|| AskError::Strange(format!("at `{}`", cursor.here())))?;
    }
    Ok(listing)
}

fn pane(cursor: &mut Cursor<'_>, listing: &mut Listing) -> Option<()> {
    let session_id: SessionId = cursor.id()?;
    let window_id: WindowId = cursor.id()?;
    let pane_id: PaneId = cursor.id()?;
    let [window_index, pane_index] = [cursor.number()?, cursor.number()?];
    let [window_active, pane_active] = [cursor.number()? != 0, cursor.number()? != 0];
    let size = (cursor.number()?, cursor.number()?);
    let used = cursor.number()?;
    let pid = Some(cursor.number()?).filter(|pid| *pid > 1);
    let dead = cursor.number()? != 0;
    let ending = Ending { status: cursor.text()?.parse().ok(), signal: cursor.text()?.parse().ok() };
    // `keep-last` and `keep-group` of newer versions: all but off may end it.
    let fleeting = !matches!(cursor.text()?.as_str(), "" | "0" | "off");
    listing.exits_unattached = !matches!(cursor.text()?.as_str(), "" | "0" | "off");
    let session_name = cursor.text()?;
    let path = Some(cursor.text()?).filter(|path| !path.is_empty());
    let window_name = cursor.text()?;
    let [title, command, path_of_pane] = [cursor.text()?, cursor.text()?, cursor.text()?];
    cursor.end()?;

    listing.used.insert(session_id, used);
    let tree = &mut listing.tree;
    let session = tree.sessions.entry(session_id).or_insert_with(|| Session {
        name: session_name,
        path,
        fleeting,
        ..Session::default()
    });
    session.windows.insert(window_index, window_id);
    if window_active {
        session.current = Some(window_index);
    }
    let window = tree.windows.entry(window_id).or_insert_with(|| Window { name: window_name, active: None });
    if pane_active {
        window.active = Some(pane_id);
    }
    let dead = dead.then_some(ending);
    let (window, index, path) = (window_id, pane_index, path_of_pane);
    tree.panes.insert(pane_id, Pane { window, index, size, pid, title, command, path, dead });
    Some(())
}

fn client(cursor: &mut Cursor<'_>, listing: &mut Listing) -> Option<()> {
    let pid = cursor.number()?;
    let session = SessionId::parse(&cursor.text()?);
    cursor.end()?;
    listing.clients.extend(session.map(|session| (pid, session)));
    Some(())
}

/// What is not read yet.
struct Cursor<'a> {
    rest: &'a [u8],
    /// Texts have octal numbers in place of some bytes.
    escaped: bool,
}

impl<'a> Cursor<'a> {
    /// The letter at the beginning of a line.
    fn kind(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest.strip_prefix(b" ").or_else(|| rest.strip_prefix(b"\n")).unwrap_or(rest);
        Some(*first)
    }

    /// A word that cannot hold a space, and the space or the end of the line after it.
    fn word(&mut self) -> Option<&'a str> {
        let end = self.rest.iter().position(|byte| matches!(byte, b' ' | b'\n'))?;
        let (word, rest) = self.rest.split_at(end);
        self.rest = if rest[0] == b' ' { &rest[1..] } else { rest };
        std::str::from_utf8(word).ok()
    }

    fn id<const SIGN: char>(&mut self) -> Option<Id<SIGN>> {
        self.word().and_then(Id::parse)
    }

    fn number(&mut self) -> Option<u32> {
        self.word()?.parse().ok()
    }

    /// A text with its length before it, and the space after it.
    fn text(&mut self) -> Option<String> {
        let colon = self.rest.iter().take(12).position(|byte| *byte == b':')?;
        let length: usize = std::str::from_utf8(&self.rest[..colon]).ok()?.parse().ok()?;
        let from = colon + 1;
        let mut text = Vec::new();
        let mut after = self.rest.get(from..)?;
        if self.escaped {
            while text.len() < length {
                let (byte, rest) = unescape(after)?;
                text.push(byte);
                after = rest;
            }
        } else {
            text.extend_from_slice(after.get(..length)?);
            after = &after[length..];
        }
        self.rest = after.strip_prefix(b" ").unwrap_or(after);
        let text = String::from_utf8_lossy(&text);
        Some(text[..text.floor_char_boundary(LONGEST_TEXT)].to_owned())
    }

    /// A line that begins or ends a part. One that ends it with an error says that the rest is missing.
    fn between(&mut self) -> Option<()> {
        let end = self.rest.iter().position(|byte| *byte == b'\n')?;
        let (line, rest) = self.rest.split_at(end + 1);
        self.rest = rest;
        [&b"begin "[..], b"end "].iter().any(|word| line.starts_with(word)).then_some(())
    }

    /// The end of the line.
    fn end(&mut self) -> Option<()> {
        self.rest = self.rest.strip_prefix(b"\n")?;
        Some(())
    }

    /// Where it stands, for a message.
    fn here(&self) -> String {
        String::from_utf8_lossy(&self.rest[..self.rest.len().min(40)]).into_owned()
    }
}

/// The first byte of a text in which some are shown by a `\` and three octal digits or a letter.
fn unescape(text: &[u8]) -> Option<(u8, &[u8])> {
    let (first, rest) = text.split_first()?;
    if *first != b'\\' {
        return Some((*first, rest));
    }
    if let Some(digits) = rest.first_chunk::<3>().filter(|digits| digits.iter().all(|c| (b'0'..=b'7').contains(c))) {
        let value = digits.iter().fold(0_u32, |value, digit| value * 8 + u32::from(digit - b'0'));
        return Some((u8::try_from(value).ok()?, &rest[3..]));
    }
    let letters = [(b'a', 7), (b'b', 8), (b'v', 11), (b'f', 12), (b'r', 13)];
    let letter = letters.into_iter().find(|(letter, _)| rest.first() == Some(letter));
    Some(letter.map_or((b'\\', rest), |(_, byte)| (byte, &rest[1..])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(session: &str, name: &str, title: &str) -> String {
        format!(
            "P {session} @2 %3 4 5 1 1 24 80 7 99 0 0: 0: 1:0 1:0 {}:{name} 1:/ 1:w {}:{title} 2:sh 4:/tmp\n",
            name.len(),
            title.len()
        )
    }

    #[test]
    fn hostile_names_are_names() {
        for name in ["", "a b", "x\nP $9 @9 %9 1 1 1 1 1", "3:abc", "é\u{202e}", "#(touch x)", "\t\u{1f}"] {
            let text = line("$1", name, "t") + &line("$2", "other", name) + "C 7 2:$1\nC 8 2:$2\nC 9 0:\n";
            let mut listing = read(text.as_bytes()).unwrap();
            listing.count_clients(&BTreeSet::from([8]));
            let session = &listing.tree.sessions[&Id(1)];
            assert_eq!((session.name.as_str(), session.attached, session.current), (name, 1, Some(4)));
            assert_eq!(listing.tree.sessions[&Id(2)].attached, 0, "our own client is not counted");
            assert_eq!(listing.tree.panes[&Id(3)].title, name);
            assert_eq!((listing.tree.sessions.len(), listing.tree.panes.len()), (2, 1));
        }
    }

    /// As tmux 3.4 prints them. A directory with such a name must not keep everything else from being seen.
    #[test]
    fn characters_that_are_printed_as_numbers_are_one_byte_each() {
        let called_so = line("$2", r"\001", "t");
        let sessions = read(called_so.as_bytes()).unwrap().tree.sessions;
        assert_eq!(sessions[&Id(2)].name, r"\001", "who is really called like that keeps the name");
        let text = line("$1", "a", "t").replace("4:/tmp", r"7:/\001\r\302\133\z");
        assert_eq!(read(text.as_bytes()).unwrap().tree.panes[&Id(3)].path, "/\u{1}\r\u{fffd}[\\z");
    }

    /// A name may hold what ends an answer of a control client, whatever tmux would say there.
    #[test]
    fn a_control_clients_answer_says_the_same() {
        let name = "x\n%end 1 2 1\n%error 1 2 1\nP $9 @9 %9 1 1 1 1 1";
        let parts = ["S 4711\n".to_owned(), line("$1", name, "t") + &line("$2", "other", name), "C 7 2:$1\n".into()];
        let plain = read(parts.concat().as_bytes()).unwrap();
        let framed = parts.map(|part| format!("%begin 1 2 1\n{part}%end 1 2 1\n")).concat();
        let framed = format!("%end 1 1 1\n{framed}%begin 1 3 1\n");
        let listing = read(framed.as_bytes()).unwrap();
        assert_eq!((listing.server, &listing.tree, &listing.clients), (Some(4711), &plain.tree, &plain.clients));
        assert_eq!((plain.server, plain.tree.sessions[&Id(1)].name.as_str()), (Some(4711), name));
        let failed = framed.replacen("%begin 1 3 1", "%error 1 3 1", 1);
        assert!(read(failed.as_bytes()).is_err(), "what is missing is not gone");
    }

    /// A longer one could be taken in two pieces, and tmux be asked half a question.
    #[test]
    fn the_question_fits_a_pipe_at_once() {
        let question = Question::new(true);
        // With room for the marks around it.
        assert!(question.line().len() + 512 < rustix::pipe::PIPE_BUF, "{}", question.line().len());
        assert!(question.0.iter().all(|word| !word.contains(['\'', '\n'])));
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        let mut bytes = line("$1", "ab", "t").into_bytes();
        let at = bytes.windows(4).position(|w| w == b"2:ab").unwrap() + 2;
        bytes[at] = 0xff;
        assert_eq!(read(&bytes).unwrap().tree.sessions[&Id(1)].name, "\u{fffd}b");
    }

    #[test]
    fn a_pane_that_remains_after_its_end_says_how_it_ended() {
        let text = line("$1", "a", "t").replace("99 0 0: 0:", "99 1 1:7 0:");
        let listing = read(text.as_bytes()).unwrap();
        assert_eq!(listing.tree.panes[&Id(3)].dead, Some(Ending { status: Some(7), signal: None }));
    }

    #[test]
    fn sessions_that_end_without_clients_are_known() {
        let text = line("$1", "a", "t").replace("1:0 1:0", "1:1 2:on");
        let listing = read(text.as_bytes()).unwrap();
        assert!(listing.tree.sessions[&Id(1)].fleeting && listing.exits_unattached);
    }

    #[test]
    fn what_is_cut_off_or_wrong_is_refused() {
        let whole = line("$1", "a", "t");
        for end in 1..whole.len() {
            assert!(read(&whole.as_bytes()[..end]).is_err(), "{end}");
        }
        assert!(read(b"P prod @1 %1\n").is_err() && read(b"odd\n").is_err());
        assert!(read(b"").unwrap().tree.sessions.is_empty());
    }
}
