//! Hooks of Codex: the JSON that a hook command gets on its standard input. The names and fields are those of version
//! 0.169, whose binary carries their schemas.

use super::{
    Unknown,
    fields::Fields,
    lifecycle::{self, Program},
};
use crate::signal::Signal;

pub(super) const CODEX: Program = Program { name: "codex", turn: "turn_id" };

pub(super) fn read(hook: Fields<'_>, unknown: &Unknown) -> Vec<Signal> {
    lifecycle::read(&CODEX, hook, unknown)
}
