//! The bits of `EventRef::flags`. Unknown bits are ignored by both sides.

/// Keep the event as the last one of its channel and key, for late subscribers.
pub const RETAIN: u64 = 1;
/// Forget the retained event of this channel and key.
pub const FORGET: u64 = 1 << 1;

/// Four bits: 0 absent, then debug 1, info 2, warning 3, error 4, critical 5.
pub const SEVERITY_SHIFT: u32 = 4;
/// The mask of the severity, after the shift.
pub const SEVERITY_MASK: u64 = 0xf;

/// Two bits: 0 absent, then observed 1, inferred 2, polled 3.
pub const EVIDENCE_SHIFT: u32 = 8;
/// The mask of the evidence, after the shift.
pub const EVIDENCE_MASK: u64 = 0x3;

/// The severity's number in `flags`.
pub const fn severity(flags: u64) -> u8 {
    ((flags >> SEVERITY_SHIFT) & SEVERITY_MASK) as u8
}

/// The evidence's number in `flags`.
pub const fn evidence(flags: u64) -> u8 {
    ((flags >> EVIDENCE_SHIFT) & EVIDENCE_MASK) as u8
}

/// `flags` made of its parts.
pub const fn pack(retain: bool, severity: u8, evidence: u8) -> u64 {
    (retain as u64)
        | ((severity as u64 & SEVERITY_MASK) << SEVERITY_SHIFT)
        | ((evidence as u64 & EVIDENCE_MASK) << EVIDENCE_SHIFT)
}
