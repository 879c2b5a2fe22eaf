//! A condition over an event, written in CEL. `docs/filters.md` is its page for people, and its examples are run.
//!
//! A text is split into words (`tokens`), read for what people get wrong (`proofread`), parsed by the `cel` crate, and
//! compiled (`compile`) to a tree that runs on the event as it lies in memory (`evaluate`): no value is built for what
//! the expression does not name, and the payload is read in one pass that ends when all named parts are found.
//!
//! The crate's own interpreter is not used, but to hold the compiled form against it in the tests: it knows no limit. 300
//! bytes of expression make it fill gigabytes. Here everything that takes time is counted (`budget`).

mod budget;
mod compare;
mod compile;
mod error;
mod evaluate;
mod functions;
mod json;
mod kind;
mod names;
mod node;
mod number;
mod paths;
mod pattern;
mod places;
mod proofread;
mod tokens;
mod value;

pub use error::ExpressionError;

use cel::Env;
use compile::Compiler;
use evaluate::Evaluation;
use headwater_event::Event;
use node::Node;
use paths::Paths;
use std::hash::{Hash, Hasher};

/// A compiled condition. Two are equal when their texts differ in nothing but white space, comments and the kind of
/// quotes.
#[derive(Debug)]
pub(crate) struct Expression {
    normalised: String,
    root: Node,
    paths: Paths,
}

impl Expression {
    /// Compiles a condition.
    pub(crate) fn new(text: &str) -> Result<Self, ExpressionError> {
        if text.len() > proofread::MAX_BYTES {
            let message = format!("the expression is longer than {} bytes", proofread::MAX_BYTES);
            let fits = &text[..text.floor_char_boundary(proofread::MAX_BYTES)];
            return Err(ExpressionError::new(fits.chars().count() + 1, message));
        }
        let tokens = tokens::tokens(text)?;
        proofread::proofread(text, &tokens)?;
        // Without macros: `has` and `exists` stay the calls that were written, and are compiled as such.
        let parser = Env::default().with_optional_support(false).parser();
        let (tree, source) = parser.parse_with_source_info(text).map_err(|errors| syntax(text, &errors))?;
        let mut compiler = Compiler { tokens: &tokens, source, paths: Paths::default(), locals: Vec::new() };
        let root = compiler.condition(&tree, "a filter is a condition")?;
        Ok(Self { normalised: tokens::normalised(&tokens), root, paths: compiler.paths })
    }

    /// Whether the event is wanted. What is undefined for this event is not.
    pub(crate) fn matches(&self, event: &Event) -> bool {
        Evaluation::new(event, &self.paths).holds(&self.root)
    }
}

/// What only the parser found. It gives lines and bytes.
fn syntax(text: &str, errors: &cel::ParseErrors) -> ExpressionError {
    let (line, byte) = errors.errors.first().map_or((1, 1), |error| error.pos);
    let before: usize = text.split_inclusive('\n').take(line.max(1) as usize - 1).map(str::len).sum();
    let at = before + byte.max(1) as usize - 1;
    let column = text.char_indices().take_while(|(start, _)| *start < at).count() + 1;
    ExpressionError::new(column, "this is no expression")
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.normalised == other.normalised
    }
}

impl Eq for Expression {}

impl Hash for Expression {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.normalised.hash(state);
    }
}
