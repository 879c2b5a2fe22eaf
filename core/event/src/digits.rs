//! Digits two at a time, from tables: every event's message has a time, an id and an epoch, and dividing for each of their
//! digits would be a good part of what the message costs.

/// The decimal digits of each number below 100.
pub(crate) static DECIMAL: [[u8; 2]; 100] = table(10);
/// The hexadecimal digits of each byte.
pub(crate) static HEXADECIMAL: [[u8; 2]; 256] = table(16);

const fn table<const N: usize>(base: usize) -> [[u8; 2]; N] {
    let mut all = [[0; 2]; N];
    let mut number = 0;
    while number < N {
        all[number] = [b"0123456789abcdef"[number / base], b"0123456789abcdef"[number % base]];
        number += 1;
    }
    all
}
