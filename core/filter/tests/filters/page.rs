//! Every row of the tables in `docs/filters.md`, so that the page and the program cannot drift apart.

use crate::event;
use headwater_event::Event;
use headwater_filter::Filter;
use serde_json::Value;

const PAGE: &str = include_str!("../../../../docs/filters.md");

/// The cells of the tables with this head. In a table of Markdown `|` is written `\|`.
fn rows(head: &str) -> Vec<Vec<String>> {
    let lines = PAGE.lines().skip_while(|line| *line != head).skip(2).take_while(|line| line.starts_with('|'));
    lines
        .map(|line| {
            let cells = line.replace("\\|", "\u{0}");
            cells.trim_matches('|').split('|').map(|cell| cell.trim().replace('\u{0}', "|")).collect()
        })
        .collect()
}

/// What stands between the backquotes.
fn code(cell: &str) -> &str {
    cell.strip_prefix('`').and_then(|cell| cell.strip_suffix('`')).unwrap_or_else(|| panic!("no code: {cell}"))
}

/// The two events of the examples.
fn events() -> [Event; 2] {
    let blocks = PAGE.split("```json\n").skip(1).map(|block| block.split("```").next().unwrap());
    let events: Vec<Event> = blocks
        .map(|block| serde_json::from_str::<Value>(block).unwrap())
        .filter(|json| json.get("offset").is_some())
        .map(|json| event(&json))
        .collect();
    events.try_into().unwrap()
}

/// The outcomes that a row says, and the filter's.
fn compare(row: &[String], filter: &Filter, events: &[Event; 2], wrong: &mut Vec<String>) {
    let found = events.each_ref().map(|event| if filter.matches(event) { "yes" } else { "no" });
    if row[1..] != found {
        wrong.push(format!("{}: the page says {:?}, the program {found:?}", row[0], &row[1..]));
    }
}

#[test]
fn every_expression_of_the_page_does_what_it_says() {
    let (events, rows) = (events(), rows("| where | cpu | build |"));
    let mut wrong = Vec::new();
    for row in &rows {
        match Filter::default().with_expression(code(&row[0])) {
            Ok(filter) => compare(row, &filter, &events, &mut wrong),
            Err(error) => wrong.push(format!("{}: {error}", row[0])),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(rows.len() > 70, "the table was not found: {} rows", rows.len());
}

#[test]
fn every_other_part_does_what_the_page_says() {
    let (events, rows) = (events(), rows("| filter | cpu | build |"));
    let texts = |json: &Value| -> Vec<String> {
        json.as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let mut wrong = Vec::new();
    for row in &rows {
        let json: Value = serde_json::from_str(code(&row[0])).unwrap();
        let attributes = json["attributes"].as_object().into_iter().flatten();
        let attributes: Vec<(String, String)> =
            attributes.map(|(name, glob)| (name.clone(), glob.as_str().unwrap().to_owned())).collect();
        let severity = json["severity"].as_str().map(|word| word.parse().unwrap());
        let mut filter = Filter::new(&texts(&json["types"]), severity, &attributes, &texts(&json["sources"]));
        if let Some(expression) = json["where"].as_str() {
            filter = filter.with_expression(expression).unwrap();
        }
        compare(row, &filter, &events, &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(rows.len() > 10, "the table was not found: {} rows", rows.len());
}

#[test]
fn every_error_of_the_page_is_worded_like_that() {
    let rows = rows("| where | error |");
    let mut wrong = Vec::new();
    for row in &rows {
        let said = match Filter::default().with_expression(code(&row[0])) {
            Ok(_) => "is a filter".to_owned(),
            Err(error) => error.to_string(),
        };
        if said != row[1] {
            wrong.push(format!("{}\n  page:    {}\n  program: {said}", row[0], row[1]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(rows.len() > 60, "the table was not found: {} rows", rows.len());
}
