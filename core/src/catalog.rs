//! What the config's check asks about other rooms: plugins and channel names, which the host's discovery knows, and
//! expressions, which filters know.

use headwater_config::{Catalog, ExpressionFault, Lookup};
use headwater_filter::Filter;
use headwater_host::Discovery;
use std::path::PathBuf;

/// Answers everything that a config can ask.
pub(crate) struct Knowledge<'a>(pub(crate) &'a Discovery);

impl Catalog for Knowledge<'_> {
    fn settings_schema(&self, plugin: &str) -> Lookup {
        self.0.settings_schema(plugin)
    }

    fn settings_schema_in(&self, plugin: &str, directories: &[PathBuf]) -> Lookup {
        self.0.settings_schema_in(plugin, directories)
    }

    fn check_channel(&self, pattern: &str) -> Result<(), String> {
        self.0.check_channel(pattern)
    }

    fn check_expression(&self, expression: &str) -> Result<(), ExpressionFault> {
        Filter::default().with_expression(expression).map(drop).map_err(|error| ExpressionFault {
            column: error.column,
            message: error.message,
            help: error.help,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_config::{Paths, load};

    /// The caret must stand where the filter says, in the file that the person has open.
    #[test]
    fn a_webhooks_expression_that_does_not_compile_is_refused_at_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("headwater.toml");
        let text = "[[webhook]]\nname = \"x\"\nurl = \"https://example.org/\"\nchannels = [\"a\"]\nsecret = { env = \"S\" }\n\
                    filter = { where = \"data.exit_code = 1\" }\n";
        std::fs::write(&file, text).unwrap();
        let faults = load(&Paths::new(&file), &Knowledge(&Discovery::standard(&[]))).unwrap_err();
        let fault = &faults.items()[0];
        assert_eq!((fault.code, fault.line), ("E0401", 6), "{faults}");
        let equals = text.lines().nth(5).unwrap().rfind('=').unwrap() + 1;
        assert_eq!(fault.column, equals, "{faults}");
        std::fs::write(&file, text.replace("= 1", "== 1")).unwrap();
        load(&Paths::new(&file), &Knowledge(&Discovery::standard(&[]))).unwrap();
    }
}
