//! Where in a message the scanner is: the keys from the message down, as far as they are of interest.

/// How deep anything of interest stands: a list of messages, a message, and four below it.
const DEEPEST: usize = 6;

/// A key that is known, or any other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Key {
    Id,
    Method,
    Params,
    Result,
    Error,
    Name,
    Version,
    Cancelled,
    Cursor,
    NextCursor,
    Revision,
    IsError,
    ServerInfo,
    Tools,
    Meta,
    /// The revision in a request's `_meta`.
    MetaRevision,
    /// The server in a result's `_meta`.
    MetaServerInfo,
    /// An entry of a list.
    Item,
    #[default]
    Other,
}

impl Key {
    fn of(text: &str) -> Self {
        match text {
            "id" => Self::Id,
            "method" => Self::Method,
            "params" => Self::Params,
            "result" => Self::Result,
            "error" => Self::Error,
            "name" => Self::Name,
            "version" => Self::Version,
            "requestId" => Self::Cancelled,
            "cursor" => Self::Cursor,
            "nextCursor" => Self::NextCursor,
            "protocolVersion" => Self::Revision,
            "isError" => Self::IsError,
            "serverInfo" => Self::ServerInfo,
            "tools" => Self::Tools,
            "_meta" => Self::Meta,
            "io.modelcontextprotocol/protocolVersion" => Self::MetaRevision,
            "io.modelcontextprotocol/serverInfo" => Self::MetaServerInfo,
            _ => Self::Other,
        }
    }
}

/// Where the scanner is.
#[derive(Debug, Default)]
pub(super) struct Path {
    depth: usize,
    /// Of the brackets that are open, the first ones: whether each is a list, ...
    lists: [bool; DEEPEST],
    /// ... and the key in it.
    keys: [Key; DEEPEST],
    /// The next string in the innermost object is a key.
    before_key: bool,
}

impl Path {
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Outside of all brackets.
    pub(super) fn is_outside(&self) -> bool {
        self.depth == 0
    }

    /// Brackets around a message: that of a batch.
    fn base(&self) -> usize {
        usize::from(self.depth > 0 && self.lists[0])
    }

    /// A bracket that opens here opens a message, or one that has closed here was one.
    pub(super) fn is_message(&self) -> bool {
        self.depth == 0 || (self.depth == 1 && self.lists[0])
    }

    /// The next string is a key.
    pub(super) fn is_key(&self) -> bool {
        self.before_key
    }

    /// The keys from the message down to here; none where it is too deep.
    pub(super) fn keys(&self) -> &[Key] {
        if self.depth > DEEPEST { &[] } else { &self.keys[self.base()..self.depth] }
    }

    pub(super) fn enter(&mut self, list: bool) {
        if let (Some(is_list), Some(key)) = (self.lists.get_mut(self.depth), self.keys.get_mut(self.depth)) {
            *is_list = list;
            *key = if list { Key::Item } else { Key::Other };
        }
        self.depth += 1;
        self.before_key = !list;
    }

    pub(super) fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        self.before_key = false;
    }

    /// After a comma.
    pub(super) fn next(&mut self) {
        // Deeper than is looked at, it does not matter what is a key.
        self.before_key = (1..=DEEPEST).contains(&self.depth) && !self.lists[self.depth - 1];
    }

    /// After a colon.
    pub(super) fn value(&mut self) {
        self.before_key = false;
    }

    pub(super) fn key(&mut self, text: &str) {
        if (1..=DEEPEST).contains(&self.depth) {
            self.keys[self.depth - 1] = Key::of(text);
        }
        // The colon is still to come, and so is the value: another string before it is none of the format.
        self.before_key = false;
    }
}
