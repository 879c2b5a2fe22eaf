//! Data that no serializer would write.

/// No JSON.
pub(crate) const BAD_JSON: &[u8] = b"{\"n\": 1,, ]";

/// A JSON string, but for the byte 0xff in it.
pub(crate) const BAD_UTF8: &[u8] = b"\"caf\xff\"";

/// Arrays in arrays.
pub(crate) fn nested(depth: usize) -> Vec<u8> {
    let mut text = vec![b'['; depth];
    text.resize(depth * 2, b']');
    text
}

/// A payload whose drop panics.
pub(crate) struct Vengeful;

impl Drop for Vengeful {
    fn drop(&mut self) {
        panic!("and again");
    }
}
