//! `export_source!`: from a source to the symbol and the section that a host looks for.
//!
//! The functions here are what the host's calls reach first. No panic leaves them, and nothing of the author's is called
//! on the host's thread but the reading of the settings.
#![allow(unsafe_code)] // the macro below writes the exported symbol into the author's crate

use crate::{
    Source,
    instance::Instance,
    link::Link,
    manifest::Declared,
    panics::{self, guard},
    registry, subscription,
    wire::Message,
};
use headwater_abi::{
    DeliveryRef, HostV1Ref, PluginV1, PluginV1Ref,
    abi_stable::{
        prefix_type::PrefixTypeTrait,
        std_types::{RErr, ROk, RResult, RSlice, RStr, RString},
    },
    sent,
};
use serde_json::Value;
use std::{ptr, time::Duration};

/// A source that `export_source!` has exported.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not exported",
    note = "add `export_source!({Self});` below its `impl Source`"
)]
pub trait Exported: Source {
    /// The plugin's name.
    const NAME: &'static str;
    /// Its channels and commands.
    const DECLARED: Declared;
    /// The manifest, as it stands in the ELF section.
    fn manifest() -> &'static [u8];
}

/// The table of functions of a source, as the host gets it.
pub fn table<S: Exported>() -> PluginV1Ref {
    PluginV1 { describe: describe::<S>, create: create::<S>, send, deliver, stop, join, query }.leak_into_prefix()
}

/// The manifest.
pub extern "C" fn describe<S: Exported>() -> RString {
    guard(|| String::from_utf8_lossy(S::manifest()).into_owned().into(), |_| RString::new())
}

extern "C" fn create<S: Exported>(host: HostV1Ref, ctx: u64, config: RSlice<'_, u8>) -> RResult<u64, RString> {
    let start = || -> Result<u64, String> {
        panics::install();
        crate::log::install();
        let settings: Value = match config.as_slice() {
            [] => Value::Object(serde_json::Map::new()),
            json => serde_json::from_slice(json).map_err(|error| format!("the settings are no JSON: {error}"))?,
        };
        if !settings.is_object() {
            return Err("the settings are no JSON object".into()); // serde would also read a struct from an array
        }
        let config: S::Config = serde_json::from_value(settings).map_err(|error| format!("settings: {error}"))?;
        let (instance, parts) = Instance::new(Link::new(host, ctx), S::DECLARED);
        // Known before it starts: its first log record asks for its level.
        let number = registry::insert(instance);
        crate::log::levels_changed();
        let started = registry::get(number).map(|instance| instance.start::<S>(S::NAME, config, parts));
        if let Some(Err(error)) = started {
            registry::remove(number);
            return Err(format!("cannot start a thread: {error}"));
        }
        Ok(number)
    };
    guard(|| start().map_or_else(|reason| RErr(reason.into()), ROk), |panic| RErr(RString::from(panic)))
}

extern "C" fn send(instance: u64, request: u64, message: RSlice<'_, u8>) -> u32 {
    let take = || {
        let Some(instance) = registry::get(instance) else { return sent::UNKNOWN_INSTANCE };
        match serde_json::from_slice::<Message>(message.as_slice()) {
            Ok(message) => instance.send(request, message),
            Err(_) => sent::MALFORMED,
        }
    };
    guard(take, |_| sent::PANICKED)
}

extern "C" fn deliver(instance: u64, events: RSlice<'_, DeliveryRef<'_>>) -> u32 {
    let all = events.len() as u32;
    // Of an instance that is gone nobody misses anything: all is taken, so that the host does not try again.
    let take = || registry::get(instance).map_or(all, |i| subscription::deliver(i.link(), events.as_slice()));
    guard(take, |_| all)
}

extern "C" fn stop(instance: u64) {
    let ask = || {
        if let Some(instance) = registry::get(instance) {
            instance.link().stop.send_replace(true);
        }
    };
    guard(ask, |_| ());
}

extern "C" fn join(instance: u64, ms: u64) -> bool {
    let wait = || {
        let Some(found) = registry::get(instance) else { return true };
        let ended = found.join(Duration::from_millis(ms));
        if ended {
            registry::remove(instance);
            crate::log::levels_changed();
        }
        ended
    };
    guard(wait, |_| false)
}

extern "C" fn query(_: RStr<'_>) -> *const () {
    ptr::null()
}

/// Exports a [`Source`](crate::Source) from a `cdylib` crate, and writes its manifest.
///
/// ```
/// # use headwater_plugin::prelude::*;
/// # #[config] struct Config {}
/// # struct Disk;
/// # impl Source for Disk {
/// #     type Config = Config;
/// #     async fn run(_: Config, mut ctx: Context) -> Result<()> { ctx.stopped().await; Ok(()) }
/// # }
/// /// How often to look.
/// #[config]
/// struct Interval {
///     every: Period,
/// }
///
/// export_source!(Disk {
///     emits: ["disk", "disk:*"],
///     reads: ["agents"],
///     commands: [
///         /// Looks at once.
///         measure,
///         /// Changes how often the source looks.
///         set_interval(operate): Interval,
///     ],
/// });
/// # fn main() {}
/// ```
///
/// * `emits`: patterns of the channels it publishes to; the host refuses others. Without it: the channel of the
///   plugin's own name. A config may say otherwise, with `channels`.
/// * `reads`: patterns of the channels it subscribes to.
/// * `commands`: what clients may ask. The doc comment is the description; in parentheses stands the permission that the
///   caller needs (without: `control`); after the colon a `#[config]` type that describes the parameters. With this
///   list, any other command is answered `UNKNOWN_COMMAND` before the source sees it.
///
/// The plugin's name is the package's, without a leading `headwater-plugin-`; version and description are the package's.
/// A mistake is an error of the compiler:
///
/// ```compile_fail
/// # use headwater_plugin::prelude::*;
/// # #[config] struct Config {}
/// # struct Disk;
/// # impl Source for Disk {
/// #     type Config = Config;
/// #     async fn run(_: Config, mut ctx: Context) -> Result<()> { ctx.stopped().await; Ok(()) }
/// # }
/// export_source!(Disk { emits: ["no blanks in names"] });
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! export_source {
    ($source:ty $({ $($key:ident : $list:tt),* $(,)? })?) => {
        #[allow(unsafe_code, unreachable_pub, non_upper_case_globals, clippy::pedantic)]
        const _: () = {
            const DECLARED: $crate::manifest::Declared = {
                #[allow(unused_mut)]
                let mut declared = $crate::manifest::Declared::NONE;
                $($($crate::__declare!(declared, $key $list);)*)?
                declared
            };
            const PARTS: $crate::manifest::Manifest = $crate::manifest::Manifest {
                name: $crate::manifest::plugin_name(env!("CARGO_PKG_NAME")),
                version: env!("CARGO_PKG_VERSION"),
                description: env!("CARGO_PKG_DESCRIPTION"),
                declared: DECLARED,
                config: <<$source as $crate::Source>::Config as $crate::ConfigType>::SCHEMA,
                panic: if cfg!(panic = "unwind") { "unwind" } else { "abort" },
            };

            #[used]
            #[cfg_attr(
                not(any(target_vendor = "apple", target_os = "windows")),
                unsafe(link_section = ".headwater_plugin")
            )]
            static MANIFEST: [u8; PARTS.len()] = PARTS.write();

            impl $crate::__private::Exported for $source {
                const NAME: &'static str = PARTS.name;
                const DECLARED: $crate::manifest::Declared = DECLARED;
                fn manifest() -> &'static [u8] {
                    &MANIFEST
                }
            }

            extern "C" fn root() -> $crate::__private::abi::abi_stable::library::RootModuleResult {
                $crate::__private::abi::abi_stable::library::__call_root_module_loader(
                    $crate::__private::table::<$source>,
                )
            }

            // SAFETY: `root` returns the erased form of a `PluginV1Ref`, as the header says. The name carries the
            // ABI's version, and no other library that a process loads has a reason to use it.
            #[unsafe(no_mangle)]
            pub static headwater_plugin_v1: $crate::__private::abi::abi_stable::library::LibHeader = unsafe {
                $crate::__private::abi::abi_stable::library::LibHeader::from_constructor::<
                    $crate::__private::abi::PluginV1Ref,
                >(root, $crate::__private::abi::abi_stable::library::CheckTypeLayout::Yes)
            };
        };
    };
}

/// One key in the braces of [`export_source!`].
#[doc(hidden)]
#[macro_export]
macro_rules! __declare {
    ($declared:ident, emits [$($pattern:literal),* $(,)?]) => {
        const EMITS: &[&str] = &[$($pattern),*];
        const _: () = $crate::manifest::check_patterns(EMITS);
        $declared.emits = Some(EMITS);
    };
    ($declared:ident, reads [$($pattern:literal),* $(,)?]) => {
        const READS: &[&str] = &[$($pattern),*];
        const _: () = $crate::manifest::check_patterns(READS);
        $declared.reads = Some(READS);
    };
    ($declared:ident, commands [
        $($(#[doc = $doc:expr])* $name:ident $(($permission:ident))? $(: $parameters:ty)?),* $(,)?
    ]) => {
        $declared.commands = Some(&[$($crate::manifest::Declaration {
            name: stringify!($name),
            permission: concat!($(stringify!($permission),)? $crate::__or_control!($($permission)?)),
            docs: &[$($doc),*],
            parameters: $crate::__parameters!($($parameters)?),
        }),*]);
    };
    ($declared:ident, $key:ident $list:tt) => {
        compile_error!(concat!(
            "cannot read `", stringify!($key), ": ", stringify!($list), "`: export_source! knows emits: [\"…\"], ",
            "reads: [\"…\"] and commands: [name, name(permission): Parameters]"
        ));
    };
}

/// The permission of a command that names none.
#[doc(hidden)]
#[macro_export]
macro_rules! __or_control {
    () => {
        "control"
    };
    ($permission:ident) => {
        ""
    };
}

/// The schema of a command's parameters, where it names a type.
#[doc(hidden)]
#[macro_export]
macro_rules! __parameters {
    () => {
        None
    };
    ($parameters:ty) => {
        Some(<$parameters as $crate::ConfigType>::SCHEMA)
    };
}
