//! The verbs, one file each.

pub(crate) mod agents;
pub(crate) mod channels;
pub(crate) mod command;
pub(crate) mod export;
pub(crate) mod history;
pub(crate) mod hook;
pub(crate) mod mcp;
pub(crate) mod mcp_wrap;
pub(crate) mod publish;
pub(crate) mod reload;
pub(crate) mod snapshot;
pub(crate) mod sources;
pub(crate) mod subscribe;

use crate::Failure;
use headwater_client::Error;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// Reads an entry of a list. One that cannot be read is an error: leaving it out would hide it.
pub(crate) fn read<T: DeserializeOwned>(entry: &RawValue) -> Result<T, Failure> {
    serde_json::from_str(entry.get()).map_err(|error| Error::Protocol(error.to_string()).into())
}
