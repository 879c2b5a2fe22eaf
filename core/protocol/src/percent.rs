//! Percent-encoding (RFC 3986, 2.1), for cursors, CloudEvents sources and CloudEvents headers. Each says itself which
//! bytes may stand as they are.

/// Appends text, bytes that may not stand as they are as `%XX`. `%` itself must be one of those.
pub(crate) fn encode(out: &mut String, text: &str, stands: impl Fn(u8) -> bool) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii() && stands(byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(DIGITS[usize::from(byte >> 4)]));
            out.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
}

/// The bytes that were meant; `None` where a `%` is not followed by two hexadecimal digits.
pub(crate) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%' {
            let (digits, after) = rest.split_at_checked(2)?;
            let digit = |byte: u8| char::from(byte).to_digit(16);
            out.push((digit(digits[0])? * 16 + digit(digits[1])?) as u8);
            rest = after;
        } else {
            out.push(byte);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_may_not_stand_is_escaped() {
        let mut out = String::new();
        encode(&mut out, "a, é%", |byte| byte.is_ascii_alphanumeric());
        assert_eq!(out, "a%2C%20%C3%A9%25");
        for broken in ["%", "%4", "%4g", "%+1", "a%"] {
            assert_eq!(decode(broken.as_bytes()), None, "{broken}");
        }
        assert_eq!(decode(b"%2c%2C").unwrap(), b",,");
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(text in any::<String>()) {
            let mut out = String::new();
            encode(&mut out, &text, |byte| byte.is_ascii_graphic() && byte != b'%');
            prop_assert_eq!(decode(out.as_bytes()).unwrap(), text.as_bytes());
        }
    }
}
