//! What a subscription wants of its channels: globs over types, sources and attribute values, a least severity, and a
//! condition in CEL. Built by the gateway from a request, run once per event for all subscriptions with an equal filter.

use crate::expression::{Expression, ExpressionError};
use headwater_event::{Event, Glob, Severity};
use std::sync::Arc;

/// All of its parts must agree; of several types (or sources) one. Equal filters compare and hash equal, whatever the
/// order in which their parts were written. Cheap to clone; the default lets everything pass.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Filter(Option<Arc<Parts>>);

/// At least one of them asks for something.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Parts {
    /// Empty: any.
    types: Box<[Text]>,
    /// Nothing below this one.
    severity: Option<Severity>,
    /// Each of them, by name.
    attributes: Box<[(Box<str>, Text)]>,
    /// Empty: any.
    sources: Box<[Text]>,
    expression: Option<Arc<Expression>>,
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
        let sources = texts(sources);
        let parts = Parts { types: texts(types), severity, attributes: attributes.into(), sources, expression: None };
        Self((parts != Parts::default()).then(|| Arc::new(parts)))
    }

    /// With a condition in CEL besides, instead of the one it may have. The text comes from a client: whatever it is,
    /// this takes a few milliseconds at most and never panics.
    pub fn with_expression(self, cel: &str) -> Result<Self, ExpressionError> {
        let expression = Some(Arc::new(Expression::new(cel)?));
        let parts = self.0.map(Arc::unwrap_or_clone).unwrap_or_default();
        Ok(Self(Some(Arc::new(Parts { expression, ..parts }))))
    }

    /// Whether it lets everything pass.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether the event is wanted. Takes some nanoseconds; with an expression over long lists a few milliseconds at most.
    pub fn matches(&self, event: &Event) -> bool {
        self.0.as_ref().is_none_or(|parts| parts.match_all(event))
    }
}

impl Parts {
    fn match_all(&self, event: &Event) -> bool {
        self.severity.is_none_or(|least| event.effective_severity() >= least)
            && any(&self.types, &event.kind)
            && any(&self.sources, &event.source)
            && self.attributes.iter().all(|(name, text)| event.attribute(name).is_some_and(|value| text.matches(value)))
            && self.expression.as_ref().is_none_or(|expression| expression.matches(event))
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

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use headwater_event::{ChannelName, Draft, Epoch, Payload, Position};
    use proptest::prelude::*;
    use uuid::Uuid;

    fn event(kind: &str, source: &str, severity: Option<Severity>, attributes: &[(&str, &str)]) -> Event {
        let data = Payload::new(Bytes::from_static(b"1")).unwrap();
        let draft = Draft {
            severity,
            attributes: attributes.iter().map(|(n, v)| (Box::from(*n), Box::from(*v))).collect(),
            ..Draft::new(ChannelName::new("a").unwrap(), kind, source, data)
        };
        Event::new(draft, Position { epoch: Epoch(1), offset: 1 }, Uuid::nil())
    }

    fn filter(types: &[&str], least: Option<Severity>, attributes: &[(&str, &str)], sources: &[&str]) -> Filter {
        let strings = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        let pairs: Vec<_> = attributes.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect();
        Filter::new(&strings(types), least, &pairs, &strings(sources))
    }

    #[test]
    fn each_part_alone_and_all_together() {
        let event = event("pane.created", "tmux", Some(Severity::Warning), &[("session", "api-1"), ("pane", "%1")]);
        for (filter, wanted) in [
            (filter(&[], None, &[], &[]), true),
            (filter(&["pane.created"], None, &[], &[]), true),
            (filter(&["pane.*"], None, &[], &[]), true),
            (filter(&["*.created"], None, &[], &[]), true),
            (filter(&["pane.create?"], None, &[], &[]), true),
            (filter(&["*"], None, &[], &[]), true),
            (filter(&["session.*", "pane.*"], None, &[], &[]), true),
            (filter(&["pane"], None, &[], &[]), false),
            (filter(&["session.*"], None, &[], &[]), false),
            (filter(&[], Some(Severity::Warning), &[], &[]), true),
            (filter(&[], Some(Severity::Error), &[], &[]), false),
            (filter(&[], None, &[("session", "api*")], &[]), true),
            (filter(&[], None, &[("session", "api*"), ("pane", "%1")], &[]), true),
            (filter(&[], None, &[("session", "api*"), ("pane", "%2")], &[]), false),
            (filter(&[], None, &[("window", "*")], &[]), false),
            (filter(&[], None, &[("session", "*")], &[]), true),
            (filter(&[], None, &[], &["tmux"]), true),
            (filter(&[], None, &[], &["agents", "tm*"]), true),
            (filter(&[], None, &[], &["agents"]), false),
            (filter(&["pane.*"], Some(Severity::Info), &[("session", "api-?")], &["tmux"]), true),
            (filter(&["pane.*"], Some(Severity::Info), &[("session", "api-?")], &["agents"]), false),
        ] {
            assert_eq!(filter.matches(&event), wanted, "{filter:?}");
        }
    }

    #[test]
    fn an_absent_severity_counts_as_info() {
        let event = event("a", "b", None, &[]);
        assert!(filter(&[], Some(Severity::Info), &[], &[]).matches(&event));
        assert!(!filter(&[], Some(Severity::Warning), &[], &[]).matches(&event));
    }

    #[test]
    fn filters_that_mean_the_same_are_equal() {
        let one = filter(&["a", "b*"], None, &[("x", "1"), ("y", "2")], &["s", "t"]);
        let other =
            filter(&["b*", "a", "a"], Some(Severity::Debug), &[("y", "2"), ("x", "1"), ("x", "1")], &["t", "s"]);
        assert_eq!(one, other);
        assert!(filter(&["a", "*"], None, &[], &["**"]).is_empty());
        assert_ne!(one, filter(&["a"], None, &[("x", "1"), ("y", "2")], &["s", "t"]));
        assert!(!filter(&[], None, &[("x", "*")], &[]).is_empty());
    }

    fn glob() -> impl Strategy<Value = String> {
        "[ab*?]{0,5}"
    }

    fn name() -> impl Strategy<Value = String> {
        "[ab]{0,5}"
    }

    proptest! {
        /// The compiled form says what its parts say one by one, by the plain glob.
        #[test]
        fn compiled_as_written(
            types in proptest::collection::vec(glob(), 0..4),
            sources in proptest::collection::vec(glob(), 0..3),
            attributes in proptest::collection::vec(("[xy]", glob()), 0..3),
            least in proptest::option::of(1_u8..=5),
            kind in name(), source in name(), x in proptest::option::of(name()), severity in 0_u8..=5,
        ) {
            let least = least.and_then(Severity::from_number);
            let held: Vec<(&str, &str)> = x.iter().map(|x| ("x", x.as_str())).collect();
            let event = event(&kind, &source, Severity::from_number(severity), &held);
            let fits = |globs: &[String], text: &str| globs.is_empty() || globs.iter().any(|g| Glob::new(g).matches(text));
            let plain = fits(&types, &kind)
                && fits(&sources, &source)
                && event.effective_severity() >= least.unwrap_or(Severity::Debug)
                && attributes.iter().all(|(n, g)| event.attribute(n).is_some_and(|value| Glob::new(g).matches(value)));
            prop_assert_eq!(Filter::new(&types, least, &attributes, &sources).matches(&event), plain);
        }
    }
}
