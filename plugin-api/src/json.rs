//! Writing JSON while the plugin is compiled: `const` functions over a byte array. `manifest` is the only caller.

/// Where the JSON goes. Beyond the end it only counts, which is how the length is found.
pub(crate) struct Out<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl<'a> Out<'a> {
    pub(crate) const fn new(bytes: &'a mut [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How long the JSON is, however much room there is.
    pub(crate) const fn len(&self) -> usize {
        self.at
    }

    const fn byte(&mut self, byte: u8) {
        if self.at < self.bytes.len() {
            self.bytes[self.at] = byte;
        }
        self.at += 1;
    }

    pub(crate) const fn raw(&mut self, text: &str) {
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            self.byte(bytes[at]);
            at += 1;
        }
    }

    const fn escaped(&mut self, bytes: &[u8]) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut at = 0;
        while at < bytes.len() {
            match bytes[at] {
                b'"' => self.raw("\\\""),
                b'\\' => self.raw("\\\\"),
                b'\n' => self.raw("\\n"),
                control @ 0..=0x1f => {
                    self.raw("\\u00");
                    self.byte(HEX[(control >> 4) as usize]);
                    self.byte(HEX[(control & 15) as usize]);
                }
                other => self.byte(other),
            }
            at += 1;
        }
    }

    pub(crate) const fn text(&mut self, text: &str) {
        self.byte(b'"');
        self.escaped(text.as_bytes());
        self.byte(b'"');
    }

    /// `,"name":`
    pub(crate) const fn key(&mut self, name: &str) {
        self.raw(",");
        self.text(name);
        self.raw(":");
    }

    pub(crate) const fn texts(&mut self, all: &[&str]) {
        self.raw("[");
        let mut at = 0;
        while at < all.len() {
            if at > 0 {
                self.raw(",");
            }
            self.text(all[at]);
            at += 1;
        }
        self.raw("]");
    }

    pub(crate) const fn integer(&mut self, number: i128) {
        if number < 0 {
            self.byte(b'-');
        }
        let magnitude = number.unsigned_abs();
        let mut scale = 1_u128;
        while magnitude / scale >= 10 {
            scale *= 10;
        }
        while scale > 0 {
            self.byte(b'0' + (magnitude / scale % 10) as u8);
            scale /= 10;
        }
    }

    /// Doc lines as one text: each without the blank after `///`, joined by line ends.
    pub(crate) const fn docs(&mut self, lines: &[&str]) {
        self.byte(b'"');
        let mut at = 0;
        while at < lines.len() {
            if at > 0 {
                self.raw("\\n");
            }
            self.escaped(lines[at].as_bytes().trim_ascii());
            at += 1;
        }
        self.byte(b'"');
    }
}
