//! What events a reader wants: globs, severity, attributes and CEL expressions, compiled.
//!
//! Whoever reads builds a [`Filter`] from a request's words and asks it per event; whoever has many readers keeps a
//! [`FilterTable`], so that equal filters run once. It knows no wire format and no subscription.

mod expression;
mod filter;
mod filter_table;

pub use expression::ExpressionError;
pub use filter::Filter;
pub use filter_table::{FilterId, FilterTable};
