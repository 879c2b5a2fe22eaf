//! What a subscription wants of its channels: globs over types, sources and attribute values, and a least severity. Built
//! by the gateway from a request, run once per event for all subscriptions with an equal filter.

use headwater_event::{Event, Glob, Severity};

/// All of its parts must agree; of several types (or sources) one. Equal filters compare and hash equal, whatever the
/// order in which their parts were written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Filter {
    /// Empty: any.
    types: Box<[Text]>,
    /// Nothing below this one.
    severity: Option<Severity>,
    /// Each of them, by name.
    attributes: Box<[(Box<str>, Text)]>,
    /// Empty: any.
    sources: Box<[Text]>,
}

/// A glob in its cheapest form.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Text {
    Exact(Box<str>),
    /// `pane.*`
    Prefix(Box<str>),
    /// The text of any other glob; kept beside the compiled form for the order.
    Glob(Box<str>, Compiled),
}

/// A glob that compares by the text beside it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Compiled(Glob);

impl PartialOrd for Compiled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Compiled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.as_str().cmp(other.0.as_str())
    }
}

impl Filter {
    /// Compiles the parts of a request. `types`, `sources` and the attributes' values are globs; a list that is empty
    /// asks for nothing. An attribute that is named must be there, even when its glob is `*`.
    pub fn new(
        types: &[String],
        severity: Option<Severity>,
        attributes: &[(String, String)],
        sources: &[String],
    ) -> Self {
        let mut attributes: Vec<_> =
            attributes.iter().map(|(name, value)| (Box::from(name.as_str()), Text::new(value))).collect();
        attributes.sort_unstable();
        attributes.dedup();
        // Debug is the least there is.
        let severity = severity.filter(|least| *least > Severity::Debug);
        Self { types: texts(types), severity, attributes: attributes.into(), sources: texts(sources) }
    }

    /// Whether it lets everything pass.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the event is wanted.
    pub fn matches(&self, event: &Event) -> bool {
        self.severity.is_none_or(|least| event.effective_severity() >= least)
            && any(&self.types, &event.kind)
            && any(&self.sources, &event.source)
            && self.attributes.iter().all(|(name, text)| event.attribute(name).is_some_and(|value| text.matches(value)))
    }
}

fn any(texts: &[Text], value: &str) -> bool {
    texts.is_empty() || texts.iter().any(|text| text.matches(value))
}

fn texts(globs: &[String]) -> Box<[Text]> {
    let mut texts: Vec<_> = globs.iter().map(|glob| Text::new(glob)).collect();
    texts.sort_unstable();
    texts.dedup();
    // Types and sources are never absent, so that `*` says nothing.
    if texts.iter().any(Text::is_any) {
        texts.clear();
    }
    texts.into()
}

impl Text {
    fn new(glob: &str) -> Self {
        match glob.find(['*', '?']) {
            None => Self::Exact(glob.into()),
            Some(at) if glob[at..].bytes().all(|b| b == b'*') => Self::Prefix(glob[..at].into()),
            Some(_) => Self::Glob(glob.into(), Compiled(Glob::new(glob))),
        }
    }

    fn is_any(&self) -> bool {
        matches!(self, Self::Prefix(prefix) if prefix.is_empty())
    }

    fn matches(&self, value: &str) -> bool {
        match self {
            Self::Exact(text) => **text == *value,
            Self::Prefix(prefix) => value.starts_with(&**prefix),
            Self::Glob(_, glob) => glob.0.matches(value),
        }
    }
}
