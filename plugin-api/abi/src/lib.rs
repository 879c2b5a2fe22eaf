//! The frozen plugin ABI, v1: what crosses the boundary between a plugin and its host, and nothing else.
//!
//! Called by the SDK's export macro on one side and by the host's loader on the other. It holds no logic.
//!
//! **No field is ever added, removed or reordered.** The layout check refuses a plugin whose table is shorter than
//! the host's, so one new field would break every installed plugin. Growth goes through the JSON bodies, the
//! manifest and `query`; a break would be a new symbol, `headwater_plugin_v2`, beside this one.
#![allow(unsafe_code)] // abi_stable's derive writes the unsafe impls that describe these layouts
#![allow(clippy::expl_impl_clone_on_copy)] // it also writes its own Clone for the prefix references

pub mod flags;

pub use abi_stable;
use abi_stable::{
    StableAbi,
    library::RootModule,
    package_version_strings,
    sabi_types::VersionStrings,
    std_types::{RResult, RSlice, RStr, RString},
};

/// The major version that this crate describes; a manifest with another one is refused before loading.
pub const ABI_MAJOR: u32 = 1;

/// The exported symbol: an `abi_stable` library header.
pub const SYMBOL: &str = "headwater_plugin_v1";

/// The ELF section that holds the manifest as JSON, readable without running a line of the plugin.
pub const MANIFEST_SECTION: &str = ".headwater_plugin";

/// One flat attribute of an event.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct AttributeRef<'a> {
    /// The attribute's name.
    pub name: RStr<'a>,
    /// The attribute's value.
    pub value: RStr<'a>,
}

/// An event on its way out of a plugin, borrowed: the host copies what it keeps before it returns.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct EventRef<'a> {
    /// Where it is published.
    pub channel: RStr<'a>,
    /// What happened.
    pub kind: RStr<'a>,
    /// The key of a retained event; empty otherwise.
    pub key: RStr<'a>,
    /// A few flat strings for cheap filtering.
    pub attributes: RSlice<'a, AttributeRef<'a>>,
    /// The payload: one JSON value.
    pub payload: RSlice<'a, u8>,
    /// When it was observed, in nanoseconds since 1970 (UTC); 0 lets the host take the time of arrival.
    pub time_ns: i64,
    /// Retention, severity and evidence: see [`flags`].
    pub flags: u64,
}

/// An event of the bus on its way into a plugin that subscribed.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct DeliveryRef<'a> {
    /// The subscription it belongs to, as the plugin numbered it.
    pub subscription: u64,
    /// The event.
    pub event: EventRef<'a>,
    /// The source that emitted it.
    pub source: RStr<'a>,
    /// Its id, in the text form of a UUID.
    pub id: RStr<'a>,
    /// The epoch of its channel.
    pub epoch: u64,
    /// Its offset in the channel.
    pub offset: u64,
}

/// What the host offers to a plugin. `ctx` is the number that `create` was given; a call with a number that the host
/// no longer knows is dropped.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = HostV1Ref, prefix_fields = HostV1Fields)))]
pub struct HostV1 {
    /// Publishes events; never blocks. Returns how many of them, from the first on, were accepted: fewer than given
    /// means that the queue is full.
    pub publish: extern "C" fn(ctx: u64, events: RSlice<'_, EventRef<'_>>) -> u32,
    /// Subscribes to the bus, with a JSON request as documented in the SDK's `wire` module. 0: passed on.
    pub subscribe: extern "C" fn(ctx: u64, request: RSlice<'_, u8>) -> u32,
    /// Forwards a log record: level 1 (error) to 5 (trace), the target, the message.
    pub log: extern "C" fn(ctx: u64, level: u8, target: RStr<'_>, message: RStr<'_>),
    /// Answers a request that came by `send`; the JSON says accepted, progress, completed or error.
    pub reply: extern "C" fn(ctx: u64, request: u64, answer: RSlice<'_, u8>),
    /// Tells a change of the instance's state: see [`state`].
    pub state: extern "C" fn(ctx: u64, state: u32, detail: RStr<'_>),
    /// An optional interface by name; null when the host has no such one.
    #[sabi(last_prefix_field)]
    pub query: extern "C" fn(name: RStr<'_>) -> *const (),
}

/// What a plugin offers to its host. Instances are numbers; nothing allocated on one side is freed on the other,
/// except through `RString`.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = PluginV1Ref, prefix_fields = PluginV1Fields)))]
pub struct PluginV1 {
    /// The manifest as JSON, the config schema included.
    pub describe: extern "C" fn() -> RString,
    /// Starts an instance with its config (JSON); returns its number, or why it cannot start.
    pub create: extern "C" fn(host: HostV1Ref, ctx: u64, config: RSlice<'_, u8>) -> RResult<u64, RString>,
    /// Hands a request (JSON) to an instance. 0: taken; anything else: see [`sent`].
    pub send: extern "C" fn(instance: u64, request: u64, message: RSlice<'_, u8>) -> u32,
    /// Delivers events of the bus; returns how many, from the first on, were taken.
    pub deliver: extern "C" fn(instance: u64, events: RSlice<'_, DeliveryRef<'_>>) -> u32,
    /// Asks an instance to end.
    pub stop: extern "C" fn(instance: u64),
    /// Waits up to `ms` milliseconds; true: the instance has ended and holds nothing any more.
    pub join: extern "C" fn(instance: u64, ms: u64) -> bool,
    /// An optional interface by name; null when the plugin has no such one.
    #[sabi(last_prefix_field)]
    pub query: extern "C" fn(name: RStr<'_>) -> *const (),
}

impl RootModule for PluginV1Ref {
    abi_stable::declare_root_module_statics! {PluginV1Ref}
    const BASE_NAME: &'static str = "headwater_plugin";
    const NAME: &'static str = "headwater_plugin";
    const VERSION_STRINGS: VersionStrings = package_version_strings!();
}

/// States that an instance reports.
pub mod state {
    /// `run` was entered.
    pub const RUNNING: u32 = 1;
    /// `run` returned without an error.
    pub const STOPPED: u32 = 2;
    /// `run` returned an error; the detail is its text.
    pub const FAILED: u32 = 3;
    /// The author's code panicked; the detail is the message and the place.
    pub const PANICKED: u32 = 4;
}

/// Answers of `send`.
pub mod sent {
    /// The request was taken.
    pub const TAKEN: u32 = 0;
    /// The message is not the JSON that was agreed.
    pub const MALFORMED: u32 = 1;
    /// No such instance.
    pub const UNKNOWN_INSTANCE: u32 = 2;
    /// The instance has ended, or its queue is full.
    pub const NOT_TAKEN: u32 = 3;
    /// The plugin panicked while it took the request.
    pub const PANICKED: u32 = 9;
}
