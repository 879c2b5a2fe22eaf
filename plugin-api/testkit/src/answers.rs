//! What a source answered to a command.

use serde_json::Value;

/// All answers to one command, the last one included.
#[derive(Clone, Debug, PartialEq)]
pub struct Answers {
    all: Vec<Value>,
}

impl Answers {
    /// `None`: the last answer has not come yet.
    pub(crate) fn complete(all: &[Value]) -> Option<Self> {
        let last = all.last()?;
        (last["status"] == "completed" || last["status"] == "error").then(|| Self { all: all.to_vec() })
    }

    /// Whether the source said that it has begun.
    pub fn was_accepted(&self) -> bool {
        self.all.iter().any(|answer| answer["status"] == "accepted")
    }

    /// What it said on the way.
    pub fn progress(&self) -> Vec<&Value> {
        self.all.iter().filter(|answer| answer["status"] == "progress").collect()
    }

    /// The result.
    ///
    /// # Panics
    /// When the command failed.
    pub fn completed(&self) -> Value {
        let last = self.last();
        assert!(last["status"] == "completed", "the command failed: {last}");
        last["result"].clone()
    }

    /// The code and the message of the failure.
    ///
    /// # Panics
    /// When the command did not fail.
    pub fn error(&self) -> (String, String) {
        let last = self.last();
        assert!(last["status"] == "error", "the command did not fail: {last}");
        let text = |key: &str| last[key].as_str().unwrap_or_default().to_owned();
        (text("error_code"), text("message"))
    }

    /// The last answer, as it crossed the boundary.
    pub fn last(&self) -> &Value {
        self.all.last().expect("answers are made with a last one")
    }
}
