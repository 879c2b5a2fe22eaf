//! Faults as people read them: code, place, the line itself with a caret, the fix.

use crate::{Diagnostic, Level, diagnostic::Spot, masked, text::Text};
use annotate_snippets::{Annotation, AnnotationKind, Group, Level as Shown, Renderer, Snippet};
use std::ops::Range;

/// One fault as text, ending in a newline.
pub(crate) fn render(fault: &Diagnostic, coloured: bool) -> String {
    let level = match fault.level {
        Level::Error => Shown::ERROR,
        Level::Warning => Shown::WARNING,
    };
    let mut group = level
        .primary_title(fault.message.as_str())
        .id(fault.code)
        .elements(std::iter::empty::<Snippet<'_, Annotation<'_>>>());
    if let Some(spot) = &fault.spot {
        match &fault.also {
            Some((also, label)) if also.text == spot.text => {
                let lines = Lines::around(&spot.text, &[&spot.span, &also.span]);
                let primary = lines.annotation(AnnotationKind::Primary, spot, &fault.label);
                let second = lines.annotation(AnnotationKind::Context, also, label);
                group = group.element(lines.snippet().annotation(primary).annotation(second));
            }
            also => {
                let lines = Lines::around(&spot.text, &[&spot.span]);
                let primary = lines.annotation(AnnotationKind::Primary, spot, &fault.label);
                group = group.element(lines.snippet().annotation(primary));
                if let Some((also, label)) = also {
                    let lines = Lines::around(&also.text, &[&also.span]);
                    let second = lines.annotation(AnnotationKind::Context, also, label);
                    group = group.element(lines.snippet().annotation(second));
                }
            }
        }
    }
    if let Some(advice) = &fault.advice {
        group = group.element(Shown::HELP.message(advice.as_str()));
    }
    let report: [Group<'_>; 1] = [group];
    let renderer = if coloured { Renderer::styled() } else { Renderer::plain() };
    let mut text = renderer.render(&report);
    text.push('\n');
    text
}

/// The lines of a file that are shown. The renderer splits all that it is given into lines, for each fault anew: the
/// whole file would be too much.
struct Lines<'a> {
    text: &'a Text,
    range: Range<usize>,
}

impl<'a> Lines<'a> {
    fn around(text: &'a Text, spans: &[&Range<usize>]) -> Self {
        let first = spans.iter().map(|span| span.start).min().unwrap_or_default();
        let last = spans.iter().map(|span| span.end).max().unwrap_or_default();
        let start = text.text[..first].rfind('\n').map_or(0, |at| at + 1);
        let end = text.text[last..].find('\n').map_or(text.text.len(), |at| last + at);
        Self { text, range: start..end }
    }

    fn snippet(&self) -> Snippet<'a, Annotation<'a>> {
        let (line, _) = self.text.place(self.range.start);
        let text = &self.text.text;
        let shown = masked::lines(&text[..self.range.start], &text[self.range.clone()]);
        Snippet::source(shown).path(self.text.shown.to_string_lossy()).line_start(line)
    }

    fn annotation(&self, kind: AnnotationKind, spot: &Spot, label: &'a str) -> Annotation<'a> {
        let annotation = kind.span(spot.span.start - self.range.start..spot.span.end - self.range.start);
        if label.is_empty() { annotation } else { annotation.label(label) }
    }
}
