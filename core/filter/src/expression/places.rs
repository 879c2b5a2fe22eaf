//! Where a node of the tree stands in the text, and what to call it in a sentence.

use super::{ExpressionError, compile::Compiler};
use cel::{
    IdedExpr,
    common::ast::{Expr, LiteralValue, operators},
};

impl Compiler<'_> {
    /// The column of an operator, a dot or a bracket.
    pub(super) fn own(&self, expr: &IdedExpr) -> usize {
        self.column(self.offset(expr))
    }

    /// The column where the whole of it starts.
    pub(super) fn start(&self, expr: &IdedExpr) -> usize {
        self.column(self.first(expr))
    }

    /// The column of a called function's name: the word before the bracket.
    pub(super) fn function_column(&self, expr: &IdedExpr) -> usize {
        let bracket = self.offset(expr);
        let name = self.tokens.iter().rev().find(|token| token.at < bracket);
        name.map_or_else(|| self.column(bracket), |name| name.column)
    }

    fn column(&self, at: usize) -> usize {
        let token = self.tokens.iter().rev().find(|token| token.at <= at);
        token.map_or(1, |token| token.column)
    }

    fn offset(&self, expr: &IdedExpr) -> usize {
        self.source.offset_for(expr.id).map_or(0, |(start, _)| start as usize)
    }

    fn first(&self, expr: &IdedExpr) -> usize {
        let own = self.offset(expr);
        let below = match &expr.expr {
            Expr::Select(select) => Some(self.first(&select.operand)),
            Expr::Call(call) => match (&call.target, call.args.first()) {
                (Some(target), _) => Some(self.first(target)),
                (None, Some(first)) if !call.func_name.starts_with(|c: char| c.is_ascii_alphabetic()) => {
                    Some(self.first(first))
                }
                // The name of a function stands before its bracket.
                _ => self.tokens.iter().rev().find(|token| token.at < own).map(|name| name.at),
            },
            _ => None,
        };
        below.map_or(own, |below| below.min(own))
    }

    /// What the parser knows and filters do not.
    pub(super) fn not_known(&self, expr: &IdedExpr) -> ExpressionError {
        ExpressionError::new(self.start(expr), "a filter knows nothing of this kind")
    }
}

/// A variable or field by its name, a literal as it is, everything else as "this".
pub(super) fn called(expr: &IdedExpr) -> String {
    match &expr.expr {
        Expr::Literal(LiteralValue::String(text)) => format!("\"{}\"", text.inner()),
        Expr::Literal(LiteralValue::Null) => "`null`".into(),
        Expr::Literal(LiteralValue::Boolean(bool)) => format!("`{}`", bool.inner()),
        Expr::Literal(LiteralValue::Int(int)) => format!("`{}`", int.inner()),
        _ => name(expr).map_or_else(|| "this".into(), |name| format!("`{name}`")),
    }
}

/// A variable with its fields, as people write it.
pub(super) fn name(expr: &IdedExpr) -> Option<String> {
    match &expr.expr {
        Expr::Ident(name) => Some(name.clone()),
        Expr::Select(select) => Some(format!("{}.{}", name(&select.operand)?, select.field)),
        _ => None,
    }
}

/// `a.b` and `a["b"]`: the operand and the name.
pub(super) fn field(expr: &IdedExpr) -> Option<(&IdedExpr, &str)> {
    match &expr.expr {
        Expr::Select(select) => Some((&select.operand, &select.field)),
        Expr::Call(call) if call.func_name == operators::INDEX => match call.args.as_slice() {
            [operand, IdedExpr { expr: Expr::Literal(LiteralValue::String(name)), .. }] => {
                Some((operand, name.inner()))
            }
            _ => None,
        },
        _ => None,
    }
}
