//! Events as rows of CSV (RFC 4180): the columns below, then the data, as JSON in one column or flattened into one for
//! each field.

use headwater_client::Fields;
use serde_json::{Map, Value};
use std::collections::HashMap;

/// The columns before the data.
pub(crate) const COLUMNS: [&str; 11] = [
    "channel",
    "epoch",
    "offset",
    "timestamp",
    "type",
    "source",
    "severity",
    "evidence",
    "key",
    "message_id",
    "attributes",
];
/// The column of the data, and the beginning of the names of its fields.
const DATA: &str = "data";
/// The most columns that data is flattened into. Keys that are ids would otherwise make a table of millions of columns.
pub(crate) const MAX_FIELDS: usize = 1_000;

/// The fields that data is flattened into, in the order in which they were first seen.
#[derive(Default)]
pub(crate) struct Flat {
    names: Vec<String>,
    places: HashMap<String, usize>,
}

impl Flat {
    /// Takes note of an event's fields. False: there are too many.
    pub(crate) fn see(&mut self, fields: &Fields<'_>) -> bool {
        for (name, _) in flattened(fields) {
            if !self.places.contains_key(&name) {
                self.places.insert(name.clone(), self.names.len());
                self.names.push(name);
            }
        }
        self.names.len() <= MAX_FIELDS
    }

    /// The headings of all columns.
    pub(crate) fn headings(&self) -> Vec<String> {
        COLUMNS.iter().map(|name| (*name).to_owned()).chain(self.names.iter().cloned()).collect()
    }

    /// The cells of an event whose fields have been seen.
    pub(crate) fn cells(&self, fields: &Fields<'_>, position: headwater_event::Position) -> Vec<String> {
        let mut cells = first_cells(fields, position);
        cells.resize(COLUMNS.len() + self.names.len(), String::new());
        for (name, value) in flattened(fields) {
            if let Some(place) = self.places.get(&name) {
                cells[COLUMNS.len() + place] = value;
            }
        }
        cells
    }
}

/// The headings where the data is one column.
pub(crate) fn headings() -> Vec<String> {
    COLUMNS.iter().chain([&DATA]).map(|name| (*name).to_owned()).collect()
}

/// The cells of an event, the data as JSON.
pub(crate) fn cells(fields: &Fields<'_>, position: headwater_event::Position) -> Vec<String> {
    let mut cells = first_cells(fields, position);
    cells.push(fields.data.map_or_else(String::new, |data| data.get().to_owned()));
    cells
}

fn first_cells(fields: &Fields<'_>, position: headwater_event::Position) -> Vec<String> {
    let optional = |text: &Option<std::borrow::Cow<'_, str>>| text.as_deref().unwrap_or_default().to_owned();
    let attributes: Map<String, Value> =
        fields.attributes.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
    vec![
        fields.channel.to_string(),
        position.epoch.to_string(),
        position.offset.to_string(),
        fields.timestamp.to_string(),
        fields.kind.to_string(),
        fields.source.to_string(),
        optional(&fields.severity),
        optional(&fields.evidence),
        optional(&fields.key),
        fields.message_id.to_string(),
        if attributes.is_empty() { String::new() } else { Value::Object(attributes).to_string() },
    ]
}

/// The data's fields by dotted path. Lists, and data that is no object, stay JSON; text stands without its quotes. Data
/// that cannot be taken apart here (a number beyond all floats, too many levels) stays JSON as a whole.
fn flattened(fields: &Fields<'_>) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let Some(data) = fields.data else { return out };
    match serde_json::from_str::<Value>(data.get()) {
        Ok(data) => flatten(DATA, data, &mut out),
        Err(_) => out.push((DATA.to_owned(), data.get().to_owned())),
    }
    out
}

fn flatten(name: &str, value: Value, out: &mut Vec<(String, String)>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (key, value) in members {
                flatten(&format!("{name}.{key}"), value, out);
            }
        }
        Value::Null => {}
        Value::String(text) => out.push((name.to_owned(), text)),
        other => out.push((name.to_owned(), other.to_string())),
    }
}

/// One row without its line end; the form has `\r\n` there.
pub(crate) fn row(cells: &[String]) -> String {
    let quoted = |cell: &String| {
        if cell.contains([',', '"', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.clone() }
    };
    cells.iter().map(quoted).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_client::Event;

    fn event(extra: &str, data: &str) -> Event {
        let line = format!(
            r#"{{"type":"t","channel":"a","timestamp":"2026-11-20T10:02:11Z","message_id":"m","epoch":"00000000000000ab","offset":7,"source":"s"{extra},"data":{data}}}"#
        );
        Event::from_line(&line).unwrap()
    }

    fn line(event: &Event) -> String {
        row(&cells(&event.fields().unwrap(), event.position()))
    }

    #[test]
    fn a_row_has_all_that_an_event_has() {
        assert_eq!(
            row(&headings()),
            "channel,epoch,offset,timestamp,type,source,severity,evidence,key,message_id,attributes,data"
        );
        assert_eq!(line(&event("", "1")), "a,00000000000000ab,7,2026-11-20T10:02:11Z,t,s,,,,m,,1");
        let full =
            event(r#","severity":"error","evidence":"polled","key":"k,1","attributes":{"x":"\"1\""}"#, r#"{"a": "b"}"#);
        assert_eq!(
            line(&full),
            r#"a,00000000000000ab,7,2026-11-20T10:02:11Z,t,s,error,polled,"k,1",m,"{""x"":""\""1\""""}","{""a"": ""b""}""#
        );
    }

    #[test]
    fn flattened_data_has_a_column_for_each_field_that_any_event_has() {
        let events = [
            event("", r#"{"cpu": {"usage": 12.5, "cores": [1, 2]}, "host": "x\ny"}"#),
            event("", r#"{"host": null, "up": true, "none": {}}"#),
            event("", "\"text\""),
        ];
        let mut flat = Flat::default();
        for event in &events {
            assert!(flat.see(&event.fields().unwrap()));
        }
        let data = |event: &Event| row(&flat.cells(&event.fields().unwrap(), event.position())[COLUMNS.len()..]);
        assert_eq!(
            flat.headings()[COLUMNS.len()..],
            ["data.cpu.cores", "data.cpu.usage", "data.host", "data.none", "data.up", "data"]
        );
        assert_eq!(data(&events[0]), "\"[1,2]\",12.5,\"x\ny\",,,");
        assert_eq!(data(&events[1]), ",,,{},true,");
        assert_eq!(data(&events[2]), ",,,,,text");
    }

    /// Harm prevented: a row without its data, in a table that looks whole.
    #[test]
    fn data_that_cannot_be_taken_apart_stays_json() {
        let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
        for data in [r#"{"host": "x", "cpu": 1e999}"#, &deep] {
            let (event, mut flat) = (event("", data), Flat::default());
            assert!(flat.see(&event.fields().unwrap()));
            assert_eq!(flat.headings()[COLUMNS.len()..], ["data"]);
            assert_eq!(flat.cells(&event.fields().unwrap(), event.position())[COLUMNS.len()..], [data]);
        }
    }

    #[test]
    fn keys_that_are_ids_do_not_make_a_table_of_millions() {
        let mut flat = Flat::default();
        let members: Vec<String> = (0..=MAX_FIELDS).map(|n| format!("\"{n}\": 1")).collect();
        let event = event("", &format!("{{{}}}", members.join(",")));
        assert!(!flat.see(&event.fields().unwrap()));
    }
}
