//! From the parser's tree to the compiled form: resolves names, turns words of severity into ranks, and refuses what can
//! never match, with the column where it stands.

use super::{
    ExpressionError,
    compare::{arithmetic, comparison},
    functions::{Function, Search, span},
    kind::Kind,
    names::{self, MACROS},
    node::{Literal, Loop, Macro, Node},
    paths::{MAX_PATHS, Paths},
    pattern::Pattern,
    places::{called, field},
    tokens::{self, Token},
};
use cel::{
    IdedExpr,
    common::ast::{CallExpr, EntryExpr, Expr, LiteralValue, SourceInfo, operators},
};
use headwater_event::Timestamp;

/// How deep macros over lists may stand in each other.
const MAX_LOOPS: usize = 2;

/// One expression on its way.
pub(super) struct Compiler<'t> {
    pub(super) tokens: &'t [Token<'t>],
    pub(super) source: SourceInfo,
    pub(super) paths: Paths,
    /// The variables of the loops around, the innermost last.
    pub(super) locals: Vec<(String, Kind)>,
}

/// A node, and what is known of its value.
pub(super) struct Typed {
    pub(super) node: Node,
    pub(super) kind: Kind,
}

pub(super) type Compiled<T = Typed> = Result<T, ExpressionError>;

impl Typed {
    pub(super) fn new(node: Node, kind: Kind) -> Self {
        Self { node, kind }
    }

    pub(super) fn condition(node: Node) -> Self {
        Self::new(node, Kind::Condition)
    }
}

impl Compiler<'_> {
    /// A node that is true or false.
    pub(super) fn condition(&mut self, expr: &IdedExpr, place: &str) -> Compiled<Node> {
        let typed = self.typed(expr)?;
        if typed.kind.may_be(Kind::Condition) {
            return Ok(typed.node);
        }
        let message = format!("{place}, and {} is {}", called(expr), typed.kind.phrase());
        let error = ExpressionError::new(self.start(expr), message);
        Err(match (&expr.expr, place) {
            (Expr::Literal(LiteralValue::String(_)), JOINED) => {
                error.help("for one of several write a in [\"x\", \"y\"]")
            }
            (Expr::Ident(_) | Expr::Select(_), _) => {
                error.help(format!("compare it, as in {} == …", called(expr).trim_matches('`')))
            }
            _ => error,
        })
    }

    pub(super) fn typed(&mut self, expr: &IdedExpr) -> Compiled {
        match &expr.expr {
            Expr::Literal(value) => {
                let literal = self.literal(expr, value)?;
                let kind = literal.kind();
                Ok(Typed::new(Node::Literal(literal), kind))
            }
            Expr::Ident(name) => self.variable(expr, name),
            Expr::Select(_) => self.selected(expr),
            Expr::Call(call) => self.call(expr, call),
            Expr::List(list) => {
                let nodes: Vec<Node> =
                    list.elements.iter().map(|element| Ok(self.typed(element)?.node)).collect::<Compiled<_>>()?;
                Ok(Typed::new(Node::List(nodes.into()), Kind::List))
            }
            Expr::Map(map) => {
                let mut entries = Vec::new();
                for entry in &map.entries {
                    let EntryExpr::MapEntry(entry) = &entry.expr else { return Err(self.not_known(expr)) };
                    let Expr::Literal(LiteralValue::String(key)) = &entry.key.expr else {
                        return Err(ExpressionError::new(
                            self.start(&entry.key),
                            "the key of a map is a text in quotes",
                        ));
                    };
                    entries.push((key.inner().into(), self.typed(&entry.value)?.node));
                }
                Ok(Typed::new(Node::Map(entries.into()), Kind::Map))
            }
            Expr::Comprehension(_) | Expr::Struct(_) | Expr::Unspecified => Err(self.not_known(expr)),
        }
    }

    fn literal(&self, expr: &IdedExpr, value: &LiteralValue) -> Compiled<Literal> {
        Ok(match value {
            LiteralValue::Null => Literal::Null,
            LiteralValue::Boolean(bool) => Literal::Bool(*bool.inner()),
            LiteralValue::Int(int) => Literal::Int(*int.inner()),
            LiteralValue::UInt(unsigned) => Literal::UInt(*unsigned.inner()),
            LiteralValue::Double(double) => Literal::Double(*double.inner()),
            LiteralValue::String(text) => Literal::Text(text.inner().into()),
            LiteralValue::Bytes(_) => return Err(self.not_known(expr)),
        })
    }

    fn variable(&self, expr: &IdedExpr, name: &str) -> Compiled {
        if let Some((outward, (_, kind))) = self.locals.iter().rev().enumerate().find(|(_, (local, _))| local == name) {
            return Ok(Typed::new(Node::Local(outward), *kind));
        }
        if let Some((node, kind)) = names::variable(name) {
            return Ok(Typed::new(node, kind));
        }
        let column = self.start(expr);
        // `data.cpu-usage` is a difference to CEL.
        let at = self.tokens.iter().position(|token| token.column == column).unwrap_or(0);
        if let Some([before, minus, _]) = at.checked_sub(2).and_then(|from| self.tokens.get(from..=at))
            && minus.is("-")
            && before.kind == tokens::Kind::Name
            && before.at + before.text.len() == minus.at
        {
            let help = format!("a name with `-` is written [\"{}-{name}\"]", before.text);
            return Err(ExpressionError::new(column, format!("unknown variable `{name}`")).help(help));
        }
        Err(names::unknown_variable(column, name, &self.locals))
    }

    /// `a.b`, and `a["b"]`, which is the same.
    fn selected(&mut self, expr: &IdedExpr) -> Compiled {
        if let Some(path) = self.path(expr) {
            let number = self.paths.number(path).ok_or_else(|| {
                let message = format!("the expression names more than {MAX_PATHS} fields of the payload");
                ExpressionError::new(self.start(expr), message)
            })?;
            return Ok(Typed::new(Node::Part(number), Kind::Payload));
        }
        let (operand, name) = field(expr).expect("invariant: called for fields");
        if self.is_variable(operand, "attributes") {
            return Ok(Typed::new(Node::Attribute(name.into()), Kind::Text));
        }
        let typed = self.typed(operand)?;
        if let Node::Attribute(attribute) = &typed.node {
            let message = format!("`attributes.{attribute}` is text and has no `{name}`");
            let help = format!("an attribute with a dot is attributes[\"{attribute}.{name}\"]");
            return Err(ExpressionError::new(self.own(expr), message).help(help));
        }
        if !typed.kind.may_be(Kind::Map) {
            let message = format!("{} is {} and has no `{name}`", called(operand), typed.kind.phrase());
            return Err(ExpressionError::new(self.own(expr), message));
        }
        Ok(Typed::new(Node::Member(Box::new(typed.node), name.into()), inner(typed.kind)))
    }

    /// The names after `data`, where there is nothing else.
    fn path(&self, expr: &IdedExpr) -> Option<Vec<String>> {
        let (operand, name) = field(expr)?;
        let mut path = if self.is_variable(operand, "data") { Vec::new() } else { self.path(operand)? };
        path.push(name.to_owned());
        Some(path)
    }

    pub(super) fn is_variable(&self, expr: &IdedExpr, variable: &str) -> bool {
        matches!(&expr.expr, Expr::Ident(name) if name == variable)
            && !self.locals.iter().any(|(local, _)| local == variable)
    }

    fn call(&mut self, expr: &IdedExpr, call: &CallExpr) -> Compiled {
        if let Some(target) = &call.target {
            return self.member_call(expr, target, call);
        }
        let name = call.func_name.as_str();
        if let Some(comparison) = comparison(name) {
            return self.compared(expr, comparison, &call.args[0], &call.args[1]);
        }
        if let Some(operator) = arithmetic(name) {
            return self.computed(expr, operator, &call.args[0], &call.args[1]);
        }
        match (name, call.args.as_slice()) {
            (operators::LOGICAL_AND | operators::LOGICAL_OR, _) => {
                let mut nodes = Vec::new();
                self.join(name, expr, &mut nodes)?;
                // What is cheap may decide before the payload is looked at; the outcome is the same in any order.
                nodes.sort_by_key(Node::cost);
                let join = if name == operators::LOGICAL_AND { Node::And } else { Node::Or };
                Ok(Typed::condition(join(nodes.into())))
            }
            (operators::LOGICAL_NOT, [operand]) => {
                Ok(Typed::condition(Node::Not(Box::new(self.condition(operand, "`!` negates a condition")?))))
            }
            (operators::CONDITIONAL, [condition, then, otherwise]) => {
                let condition = self.condition(condition, "`?` asks for a condition")?;
                let (then, otherwise) = (self.typed(then)?, self.typed(otherwise)?);
                let kind = then.kind.either(otherwise.kind);
                Ok(Typed::new(Node::If([condition, then.node, otherwise.node].into()), kind))
            }
            (operators::NEGATE, [operand]) => self.negative(operand),
            (operators::IN, [item, container]) => self.contained(expr, item, container),
            (operators::INDEX, [container, index]) => self.element(expr, container, index),
            ("has", [asked]) => {
                if field(asked).is_none() {
                    let error = ExpressionError::new(self.start(asked), "`has` asks for a field");
                    return Err(error.help("write has(data.x) or has(attributes.x)"));
                }
                Ok(Typed::condition(Node::Has(Box::new(self.typed(asked)?.node))))
            }
            ("dyn", [argument]) => Ok(Typed::new(self.typed(argument)?.node, Kind::Any)),
            (_, [argument]) => match Function::GLOBAL.iter().find(|(global, _)| *global == name) {
                Some((_, function)) => self.function(*function, argument),
                None => Err(names::unknown_function(self.function_column(expr), name)),
            },
            _ if name == "has" || Function::GLOBAL.iter().any(|(global, _)| *global == name) => {
                Err(ExpressionError::new(self.function_column(expr), format!("`{name}` takes one value")))
            }
            _ => Err(names::unknown_function(self.function_column(expr), name)),
        }
    }

    /// Flattens `a && b && c`.
    fn join(&mut self, operator: &str, expr: &IdedExpr, nodes: &mut Vec<Node>) -> Compiled<()> {
        match &expr.expr {
            Expr::Call(call) if call.func_name == operator && call.target.is_none() => {
                call.args.iter().try_for_each(|side| self.join(operator, side, nodes))
            }
            _ => {
                nodes.push(self.condition(expr, JOINED)?);
                Ok(())
            }
        }
    }

    fn element(&mut self, expr: &IdedExpr, container: &IdedExpr, index: &IdedExpr) -> Compiled {
        if field(expr).is_some() {
            return self.selected(expr);
        }
        let (typed, index) = (self.typed(container)?, self.typed(index)?);
        if !typed.kind.may_be(Kind::List) && typed.kind != Kind::Map {
            let message = format!("{} is {} and has no elements", called(container), typed.kind.phrase());
            return Err(ExpressionError::new(self.own(expr), message));
        }
        let kind = if matches!(typed.node, Node::Attributes) { Kind::Text } else { inner(typed.kind) };
        Ok(Typed::new(Node::Element([typed.node, index.node].into()), kind))
    }

    fn function(&mut self, function: Function, argument: &IdedExpr) -> Compiled {
        let typed = self.typed(argument)?;
        let kind = match function {
            Function::Size | Function::Int | Function::UInt | Function::Double | Function::Part(_) => Kind::Number,
            Function::String => Kind::Text,
            Function::Bool => Kind::Condition,
            Function::Timestamp => Kind::Time,
            Function::Duration => Kind::Span,
        };
        // Known now, and checked now.
        if let Node::Literal(Literal::Text(text)) = &typed.node {
            let (literal, help) = match function {
                Function::Timestamp => (
                    Timestamp::parse(text).map(|time| Literal::Time(time.0)),
                    "write RFC 3339, as in timestamp(\"2026-11-20T09:30:00Z\")",
                ),
                Function::Duration => (
                    span(text).map(Literal::Span),
                    "write a number and ns, us, ms, s, m, h or d, as in duration(\"1h30m\")",
                ),
                _ => return Ok(Typed::new(Node::Call(function, Box::new(typed.node)), kind)),
            };
            let literal = literal.ok_or_else(|| {
                ExpressionError::new(self.start(argument), format!("\"{text}\" is not {}", kind.phrase())).help(help)
            })?;
            return Ok(Typed::new(Node::Literal(literal), kind));
        }
        Ok(Typed::new(Node::Call(function, Box::new(typed.node)), kind))
    }

    fn member_call(&mut self, expr: &IdedExpr, target: &IdedExpr, call: &CallExpr) -> Compiled {
        let name = call.func_name.as_str();
        let column = self.function_column(expr);
        if let Some((_, kind)) = MACROS.iter().find(|(known, _)| *known == name) {
            return self.looped(column, *kind, name, target, &call.args);
        }
        if let Some((_, search)) = Search::ALL.iter().find(|(known, _)| *known == name) {
            let [part] = call.args.as_slice() else {
                return Err(ExpressionError::new(column, format!("`{name}` takes one text")));
            };
            let sides = [self.searched(target, name)?, self.searched(part, name)?];
            return Ok(Typed::condition(Node::Search(*search, sides.into())));
        }
        if name == "matches" {
            return self.matched(column, target, &call.args);
        }
        let Some((_, function)) = Function::MEMBER.iter().find(|(known, _)| *known == name) else {
            return Err(names::unknown_member(column, name));
        };
        if let Some(extra) = call.args.first() {
            let error = ExpressionError::new(self.start(extra), format!("`{name}` takes no value"));
            return Err(if matches!(function, Function::Part(_)) { error.help("times are UTC") } else { error });
        }
        self.function(*function, target)
    }

    fn searched(&mut self, expr: &IdedExpr, function: &str) -> Compiled<Node> {
        let typed = self.typed(expr)?;
        if typed.kind.may_be(Kind::Text) {
            return Ok(typed.node);
        }
        let message = format!("`{function}` looks into text, and {} is {}", called(expr), typed.kind.phrase());
        let error = ExpressionError::new(self.start(expr), message);
        Err(if typed.kind == Kind::List { error.help("for an element of a list write a in […]") } else { error })
    }

    fn matched(&mut self, column: usize, text: &IdedExpr, arguments: &[IdedExpr]) -> Compiled {
        let [IdedExpr { expr: Expr::Literal(LiteralValue::String(pattern)), .. }] = arguments else {
            return Err(ExpressionError::new(column, "`matches` takes one pattern, in quotes"));
        };
        let pattern = Pattern::new(pattern.inner()).map_err(|refused| {
            let message = format!("\"{}\" is no pattern: {refused}", pattern.inner());
            ExpressionError::new(self.start(&arguments[0]), message)
        })?;
        Ok(Typed::condition(Node::Matches(Box::new(self.searched(text, "matches")?), pattern)))
    }

    fn looped(
        &mut self,
        column: usize,
        kind: Macro,
        name: &str,
        target: &IdedExpr,
        arguments: &[IdedExpr],
    ) -> Compiled {
        let range = self.typed(target)?;
        if !range.kind.may_be(Kind::List) && range.kind != Kind::Map {
            let message = format!("`{name}` runs over a list, and {} is {}", called(target), range.kind.phrase());
            return Err(ExpressionError::new(self.start(target), message));
        }
        let (local, guard, body) = match (kind, arguments) {
            (_, [local, body]) => (local, None, body),
            (Macro::Map, [local, guard, body]) => (local, Some(guard), body),
            _ => {
                let error = ExpressionError::new(column, format!("`{name}` takes a name and a condition"));
                return Err(error.help(format!("write data.list.{name}(x, x > 1)")));
            }
        };
        let Expr::Ident(local) = &local.expr else {
            let error = ExpressionError::new(self.start(local), format!("`{name}` gives each element a name first"));
            return Err(error.help(format!("write data.list.{name}(x, x > 1)")));
        };
        if self.locals.len() == MAX_LOOPS {
            let message = format!("lists are looked through in each other more than {MAX_LOOPS} deep");
            return Err(ExpressionError::new(column, message));
        }
        let each = if matches!(range.node, Node::Attributes) { Kind::Text } else { inner(range.kind) };
        self.locals.push((local.clone(), each));
        let guard = guard.map(|guard| self.condition(guard, "`map` asks for a condition")).transpose()?;
        let body = match kind {
            Macro::Map => self.typed(body)?.node,
            _ => self.condition(body, "this is asked of each element")?,
        };
        self.locals.pop();
        let result = if matches!(kind, Macro::Map | Macro::Filter) { Kind::List } else { Kind::Condition };
        Ok(Typed::new(Node::Loop(Box::new(Loop { kind, range: range.node, guard, body })), result))
    }
}

/// The kind of what is inside.
fn inner(kind: Kind) -> Kind {
    if kind == Kind::Payload { kind } else { Kind::Any }
}

const JOINED: &str = "`&&` and `||` join conditions";
