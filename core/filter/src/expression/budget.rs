//! What one evaluation may cost. Everything that takes time longer than a few nanoseconds asks here first, so that the
//! cost of an expression has a bound whatever the payload.

use std::cell::Cell;

/// There is no such value: a field is missing, types do not fit, an integer does not fit, or the budget is used up. An
/// expression that comes to this does not match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Undefined;

/// Steps that are left.
#[derive(Debug)]
pub(super) struct Budget(Cell<u32>);

impl Budget {
    /// For one event. A step takes ten to forty nanoseconds: the longest evaluation takes a few milliseconds.
    pub(super) const STEPS: u32 = 100_000;

    pub(super) fn new() -> Self {
        Self(Cell::new(Self::STEPS))
    }

    /// One step.
    pub(super) fn step(&self) -> Result<(), Undefined> {
        self.spend(1)
    }

    /// Looks at this many bytes.
    pub(super) fn read(&self, bytes: usize) -> Result<(), Undefined> {
        self.spend(u32::try_from(bytes / 16).unwrap_or(u32::MAX))
    }

    /// Whether anything is left.
    pub(super) fn left(&self) -> Result<(), Undefined> {
        if self.0.get() == 0 { Err(Undefined) } else { Ok(()) }
    }

    fn spend(&self, steps: u32) -> Result<(), Undefined> {
        let left = self.0.get().saturating_sub(steps);
        self.0.set(left);
        if left == 0 { Err(Undefined) } else { Ok(()) }
    }
}
