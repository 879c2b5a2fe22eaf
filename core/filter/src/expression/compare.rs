//! Comparing and computing: what kinds go together, and severity, whose words compare by rank.

use super::{
    ExpressionError,
    compile::{Compiled, Compiler, Typed},
    kind::Kind,
    names::nearest,
    node::{Comparison, Field, Literal, Node},
    places::{called, name},
    value::Arithmetic,
};
use cel::{
    IdedExpr,
    common::ast::{Expr, LiteralValue, operators},
};
use headwater_event::Severity;

const WORDS: [&str; 5] = ["debug", "info", "warning", "error", "critical"];

/// The comparison that an operator of the tree is.
pub(super) fn comparison(operator: &str) -> Option<Comparison> {
    Some(match operator {
        operators::EQUALS => Comparison::Equal,
        operators::NOT_EQUALS => Comparison::Unequal,
        operators::LESS => Comparison::Less,
        operators::LESS_EQUALS => Comparison::LessOrEqual,
        operators::GREATER => Comparison::Greater,
        operators::GREATER_EQUALS => Comparison::GreaterOrEqual,
        _ => return None,
    })
}

/// The computation that an operator of the tree is.
pub(super) fn arithmetic(operator: &str) -> Option<Arithmetic> {
    Some(match operator {
        operators::ADD => Arithmetic::Add,
        operators::SUBSTRACT => Arithmetic::Subtract,
        operators::MULTIPLY => Arithmetic::Multiply,
        operators::DIVIDE => Arithmetic::Divide,
        operators::MODULO => Arithmetic::Remainder,
        _ => return None,
    })
}

impl Compiler<'_> {
    pub(super) fn compared(
        &mut self,
        expr: &IdedExpr,
        comparison: Comparison,
        left: &IdedExpr,
        right: &IdedExpr,
    ) -> Compiled {
        let ordering = !matches!(comparison, Comparison::Equal | Comparison::Unequal);
        let (mut ours, mut theirs) = (self.typed(left)?, self.typed(right)?);
        let severity = |compiler: &Self, expr: &IdedExpr| compiler.is_variable(expr, "severity");
        match (severity(self, left), severity(self, right)) {
            (true, true) => (ours.node, theirs.node) = (Node::Field(Field::Rank), Node::Field(Field::Rank)),
            (true, false) => self.rank(&mut ours, &mut theirs, right, ordering)?,
            (false, true) => self.rank(&mut theirs, &mut ours, left, ordering)?,
            (false, false) => {}
        }
        let fits = if ordering {
            let has_order = |kind| !matches!(kind, Kind::Null | Kind::List | Kind::Map);
            ours.kind.may_be(theirs.kind) && has_order(ours.kind) && has_order(theirs.kind)
        } else {
            ours.kind.may_be(theirs.kind) || ours.kind == Kind::Null || theirs.kind == Kind::Null
        };
        if !fits {
            return Err(self.never(expr, (left, &ours), (right, &theirs), ordering));
        }
        Ok(Typed::condition(match (ours.node, theirs.node) {
            // What is written down stands on the right, where it is compared at sight.
            (literal @ Node::Literal(_), node) => Node::Compare(comparison.turned(), [node, literal].into()),
            (node, other) => Node::Compare(comparison, [node, other].into()),
        }))
    }

    /// Turns `severity` and the word beside it into ranks.
    fn rank(&self, severity: &mut Typed, word: &mut Typed, expr: &IdedExpr, ordering: bool) -> Compiled<()> {
        if let Node::Literal(Literal::Text(text)) = &word.node {
            word.node = Node::Literal(Literal::Int(self.severity(expr, text)? as i64));
            severity.node = Node::Field(Field::Rank);
            // So that both are numbers to whoever looks at the kinds.
            (severity.kind, word.kind) = (Kind::Number, Kind::Number);
        } else if ordering {
            let error = ExpressionError::new(self.start(expr), "`severity` is compared with a word in quotes");
            return Err(error.help("write severity >= \"warning\""));
        }
        Ok(())
    }

    fn severity(&self, expr: &IdedExpr, word: &str) -> Compiled<Severity> {
        word.parse().map_err(|_| {
            let words = WORDS.join(", ");
            let help = match nearest(word, WORDS.into_iter()) {
                Some(near) => format!("did you mean \"{near}\"? The words are {words}"),
                None => format!("the words are {words}"),
            };
            ExpressionError::new(self.start(expr), format!("\"{word}\" is no severity")).help(help)
        })
    }

    /// Of kinds that never go together.
    fn never(
        &self,
        expr: &IdedExpr,
        (left, ours): (&IdedExpr, &Typed),
        (right, theirs): (&IdedExpr, &Typed),
        ordering: bool,
    ) -> ExpressionError {
        let verb = if ordering { "has no order with" } else { "never equals" };
        let message = format!("{} is {} and {verb} {}", called(left), ours.kind.phrase(), theirs.kind.phrase());
        let error = ExpressionError::new(self.own(expr), message);
        // A hint speaks of the side that is written down.
        for ((written, this), (other, that)) in [((right, theirs), (left, ours)), ((left, ours), (right, theirs))] {
            match (&written.expr, this.kind, that.kind) {
                (Expr::Literal(LiteralValue::String(text)), _, Kind::Number) if text.inner().parse::<f64>().is_ok() => {
                    return error.help(format!("write {} without quotes", text.inner()));
                }
                (Expr::Literal(LiteralValue::String(text)), _, Kind::Time) => {
                    return error.help(format!("write timestamp(\"{}\")", text.inner()));
                }
                (Expr::Literal(LiteralValue::String(text)), _, Kind::Span) => {
                    return error.help(format!("write duration(\"{}\")", text.inner()));
                }
                (Expr::Literal(_), Kind::Number, Kind::Text) if ordering && name(other).is_some() => {
                    return error.help(format!("write int({})", called(other).trim_matches('`')));
                }
                (Expr::Literal(LiteralValue::Int(number)), _, Kind::Text) => {
                    return error.help(format!("write \"{}\"", number.inner()));
                }
                (_, Kind::Payload, Kind::Time | Kind::Span) if name(written).is_some() => {
                    let function = if that.kind == Kind::Time { "timestamp" } else { "duration" };
                    return error.help(format!("write {function}({})", called(written).trim_matches('`')));
                }
                (Expr::Call(_), Kind::Condition, _) if ordering => {
                    return error.help("compare twice: a < b && b < c");
                }
                _ => {}
            }
        }
        error
    }

    /// `a in b`.
    pub(super) fn contained(&mut self, expr: &IdedExpr, item: &IdedExpr, container: &IdedExpr) -> Compiled {
        let mut item_typed = self.typed(item)?;
        let container_typed = self.typed(container)?;
        if !container_typed.kind.may_be(Kind::List) && container_typed.kind != Kind::Map {
            let message = format!(
                "`in` looks into a list or a map, and {} is {}",
                called(container),
                container_typed.kind.phrase()
            );
            let error = ExpressionError::new(self.start(container), message);
            let text = container_typed.kind == Kind::Text;
            return Err(if text { error.help("for a part of a text write a.contains(\"…\")") } else { error });
        }
        let (list, nodes) = match (&container.expr, container_typed.node) {
            (Expr::List(list), Node::List(nodes)) => (list, nodes),
            (_, node) => return Ok(Typed::condition(Node::In([item_typed.node, node].into()))),
        };
        let is_severity = self.is_variable(item, "severity");
        let all_words = list.elements.iter().all(|e| matches!(e.expr, Expr::Literal(LiteralValue::String(_))));
        let mut literals = Vec::new();
        for (element, node) in list.elements.iter().zip(&nodes) {
            let Node::Literal(literal) = node else { continue };
            if let (true, Literal::Text(word)) = (is_severity, literal) {
                let severity = self.severity(element, word)?;
                literals.push(if all_words {
                    Literal::Int(severity as i64)
                } else {
                    Literal::Text(severity.as_str().into())
                });
                continue;
            }
            let kind = literal.kind();
            if !kind.may_be(item_typed.kind) && kind != Kind::Null && item_typed.kind != Kind::Null {
                let typed = Typed { node: Node::Literal(literal.clone()), kind };
                let mut error = self.never(expr, (item, &item_typed), (element, &typed), false);
                error.column = self.start(element);
                return Err(error);
            }
            literals.push(literal.clone());
        }
        if literals.len() == nodes.len() {
            if is_severity && all_words {
                item_typed.node = Node::Field(Field::Rank);
            }
            return Ok(Typed::condition(Node::Among(Box::new(item_typed.node), literals.into())));
        }
        // Some elements are of the event; the literals among them stand as they were made above.
        let mut literals = literals.into_iter();
        let nodes: Vec<Node> = nodes
            .into_iter()
            .map(|node| match node {
                Node::Literal(_) => Node::Literal(literals.next().expect("invariant: one for each literal")),
                other => other,
            })
            .collect();
        Ok(Typed::condition(Node::In([item_typed.node, Node::List(nodes.into())].into())))
    }

    pub(super) fn computed(
        &mut self,
        expr: &IdedExpr,
        operator: Arithmetic,
        left: &IdedExpr,
        right: &IdedExpr,
    ) -> Compiled {
        let (ours, theirs) = (self.typed(left)?, self.typed(right)?);
        let kind = match (ours.kind, operator, theirs.kind) {
            (Kind::Text, Arithmetic::Add, Kind::Text | Kind::Any | Kind::Payload)
            | (Kind::Any | Kind::Payload, Arithmetic::Add, Kind::Text) => Kind::Text,
            (Kind::List, Arithmetic::Add, Kind::List | Kind::Any | Kind::Payload)
            | (Kind::Any | Kind::Payload, Arithmetic::Add, Kind::List) => Kind::List,
            (Kind::Time, Arithmetic::Subtract, Kind::Time)
            | (Kind::Span, Arithmetic::Add | Arithmetic::Subtract, Kind::Span) => Kind::Span,
            (Kind::Time, Arithmetic::Add | Arithmetic::Subtract, Kind::Span)
            | (Kind::Span, Arithmetic::Add, Kind::Time) => Kind::Time,
            (Kind::Time | Kind::Span | Kind::Any, Arithmetic::Add | Arithmetic::Subtract, Kind::Any)
            | (Kind::Any, Arithmetic::Add | Arithmetic::Subtract, Kind::Time | Kind::Span)
            | (Kind::Any | Kind::Payload, Arithmetic::Add, Kind::Any | Kind::Payload) => Kind::Any,
            (Kind::Any | Kind::Payload | Kind::Number, _, Kind::Any | Kind::Payload | Kind::Number) => Kind::Number,
            _ => {
                let sides = [(left, &ours), (right, &theirs)];
                let (odd, typed) =
                    sides.into_iter().find(|(_, typed)| !typed.kind.may_be(Kind::Number)).unwrap_or(sides[1]);
                let message = format!("this computes with numbers, and {} is {}", called(odd), typed.kind.phrase());
                return Err(ExpressionError::new(self.own(expr), message));
            }
        };
        Ok(Typed::new(Node::Compute(operator, [ours.node, theirs.node].into()), kind))
    }

    pub(super) fn negative(&mut self, operand: &IdedExpr) -> Compiled {
        let typed = self.typed(operand)?;
        if !typed.kind.may_be(Kind::Number) && typed.kind != Kind::Span {
            let message = format!("`-` negates a number, and {} is {}", called(operand), typed.kind.phrase());
            return Err(ExpressionError::new(self.start(operand), message));
        }
        Ok(Typed::new(Node::Negative(Box::new(typed.node)), typed.kind))
    }
}
