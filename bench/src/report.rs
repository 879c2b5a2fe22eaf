//! Figures for people: medians with their spread, and tables.

use std::fmt::{self, Display};

/// The figures of several runs of one thing.
#[derive(Clone, Debug, Default)]
pub struct Runs(Vec<f64>);

impl Runs {
    /// Adds a run.
    pub fn push(&mut self, figure: f64) {
        self.0.push(figure);
        self.0.sort_by(f64::total_cmp);
    }

    /// The one in the middle; of two the larger one.
    pub fn median(&self) -> Option<f64> {
        self.0.get(self.0.len() / 2).copied()
    }
}

/// `41 (38–55)`: the median, and the range when there was more than one run.
impl Display for Runs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match (self.median(), &self.0[..]) {
            (Some(only), [_]) => short(only),
            (Some(median), [first, .., last]) => format!("{} ({}–{})", short(median), short(*first), short(*last)),
            _ => "–".to_owned(),
        };
        f.pad(&text)
    }
}

/// Three digits are all that a benchmark knows.
pub fn short(figure: f64) -> String {
    let digits = if figure.abs() < 10.0 { 2 } else { usize::from(figure.abs() < 100.0) };
    format!("{figure:.digits$}")
}

/// `a` to `b`, as `144×`.
pub fn ratio(a: &Runs, b: &Runs) -> String {
    match (a.median(), b.median()) {
        (Some(a), Some(b)) if b > 0.0 => format!("{}×", short(a / b)),
        _ => "–".to_owned(),
    }
}

/// Prints a table: the first row is the head, columns are as wide as they need.
pub fn print_table(title: &str, rows: &[Vec<String>]) {
    println!("\n{title}");
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    for (number, row) in rows.iter().enumerate() {
        let cells = (0..columns).map(|column| {
            let (cell, width) = (row.get(column).map_or("", String::as_str), width(column).unwrap_or(0));
            if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        println!("  {}", cells.collect::<Vec<_>>().join("   ").trim_end());
        if number == 0 {
            let rules: Vec<String> = (0..columns).map(|column| "─".repeat(width(column).unwrap_or(0))).collect();
            println!("  {}", rules.join("───"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_with_its_range() {
        let mut runs = Runs::default();
        assert_eq!(runs.to_string(), "–");
        for figure in [7.0, 5900.4, 41.26] {
            runs.push(figure);
        }
        assert_eq!((runs.median(), runs.to_string()), (Some(41.26), "41.3 (7.00–5900)".to_owned()));
        let mut one = Runs::default();
        one.push(0.5);
        assert_eq!((one.to_string(), ratio(&runs, &one)), ("0.50".to_owned(), "82.5×".to_owned()));
    }
}
