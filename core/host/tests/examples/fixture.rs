//! A plugin made by hand against the ABI, without the SDK, so that the host is tested against the ABI and not against our
//! other half of it. Its settings say what it does; most of that is bad.
#![allow(unsafe_code)] // the exported symbol, and the faults that are the purpose
#![allow(clippy::unwrap_used)] // a part of the tests

use headwater_abi::{
    AttributeRef, DeliveryRef, EventRef, HostV1Ref, PluginV1, PluginV1Ref,
    abi_stable::{
        self,
        library::{CheckTypeLayout, LibHeader, RootModuleResult},
        prefix_type::PrefixTypeTrait,
        std_types::{RResult, RSlice, RStr, RString},
    },
    flags, sent, state,
};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    fs,
    hint::black_box,
    process, ptr,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

const MANIFEST: &[u8] =
    br#"{"abi":1,"name":"fixture","version":"0.1.0","description":"does what it is told","panic":"unwind",
"emits":["fixture","fixture:*"],"reads":["*"],"commands":[{"name":"echo"},{"name":"crash"},{"name":"silence"}]}"#;

#[used]
#[unsafe(link_section = ".headwater_plugin")]
static SECTION: [u8; MANIFEST.len()] = *MANIFEST.first_chunk().unwrap();

/// What the host looks for.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals)]
pub static headwater_plugin_v1: LibHeader =
    // SAFETY: `module` gives the type that is named.
    unsafe { LibHeader::from_constructor::<PluginV1Ref>(module, CheckTypeLayout::Yes) };

extern "C" fn module() -> RootModuleResult {
    abi_stable::library::__call_root_module_loader(|| {
        PluginV1 { describe, create, send, deliver, stop, join, query }.leak_into_prefix()
    })
}

struct Instance {
    host: HostV1Ref,
    ctx: u64,
    settings: Value,
    stop: AtomicBool,
    deaf: AtomicBool,
    ended: (Mutex<bool>, Condvar),
}

static INSTANCES: Mutex<Option<HashMap<u64, Arc<Instance>>>> = Mutex::new(None);

fn instance(number: u64) -> Option<Arc<Instance>> {
    INSTANCES.lock().unwrap().as_ref()?.get(&number).cloned()
}

extern "C" fn describe() -> RString {
    String::from_utf8_lossy(MANIFEST).into_owned().into()
}

extern "C" fn query(_: RStr<'_>) -> *const () {
    ptr::null()
}

extern "C" fn create(host: HostV1Ref, ctx: u64, config: RSlice<'_, u8>) -> RResult<u64, RString> {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let settings: Value = serde_json::from_slice(config.as_slice()).unwrap();
    if settings["mode"] == "refuse" {
        return RResult::RErr("settings: `mode` must not be `refuse`".into());
    }
    let made = Arc::new(Instance {
        host,
        ctx,
        settings,
        stop: AtomicBool::new(false),
        deaf: AtomicBool::new(false),
        ended: Default::default(),
    });
    let number = NEXT.fetch_add(1, SeqCst);
    INSTANCES.lock().unwrap().get_or_insert_default().insert(number, made.clone());
    thread::spawn(move || {
        (host.state())(ctx, state::RUNNING, "".into());
        made.run();
        *made.ended.0.lock().unwrap() = true;
        made.ended.1.notify_all();
    });
    RResult::ROk(number)
}

extern "C" fn send(number: u64, request: u64, message: RSlice<'_, u8>) -> u32 {
    let Some(instance) = instance(number) else { return sent::UNKNOWN_INSTANCE };
    let Ok(message) = serde_json::from_slice::<Value>(message.as_slice()) else { return sent::MALFORMED };
    let reply = |answer: Value| {
        (instance.host.reply())(instance.ctx, request, RSlice::from_slice(answer.to_string().as_bytes()));
    };
    match (message["kind"].as_str(), message["name"].as_str()) {
        (Some("heartbeat"), _) if !instance.deaf.load(SeqCst) => reply(json!({ "status": "alive" })),
        (Some("command"), Some("echo")) => {
            reply(json!({ "status": "accepted" }));
            reply(json!({ "status": "progress", "completion_percent": 50 }));
            let result =
                json!({ "parameters": message["parameters"], "caller": message["caller"], "pid": process::id() });
            reply(json!({ "status": "completed", "result": result }));
        }
        (Some("command"), Some("crash")) => process::exit(9),
        (Some("notice"), _) => {
            instance.emit("fixture", "noticed", &message, 0);
        }
        _ => {}
    }
    sent::TAKEN
}

extern "C" fn deliver(number: u64, events: RSlice<'_, DeliveryRef<'_>>) -> u32 {
    let Some(instance) = instance(number) else { return events.len() as u32 };
    // Half of them, so that the host must offer the rest again.
    let taken = events.len().div_ceil(2);
    for delivery in &events.as_slice()[..taken] {
        let data = json!({
            "subscription": delivery.subscription, "offset": delivery.offset, "source": delivery.source.as_str(),
            "id": delivery.id.as_str(), "channel": delivery.event.channel.as_str(), "kind": delivery.event.kind.as_str(),
        });
        instance.emit("fixture", "seen", &data, 0);
    }
    taken as u32
}

extern "C" fn stop(number: u64) {
    if let Some(instance) = instance(number) {
        instance.stop.store(true, SeqCst);
    }
}

extern "C" fn join(number: u64, ms: u64) -> bool {
    let Some(instance) = instance(number) else { return true };
    let ended = instance.ended.0.lock().unwrap();
    let wait = instance.ended.1.wait_timeout_while(ended, Duration::from_millis(ms), |ended| !*ended).unwrap();
    *wait.0
}

impl Instance {
    fn emit(&self, channel: &str, kind: &str, data: &Value, bits: u64) {
        self.emit_raw(channel, kind, data.to_string().as_bytes(), bits);
    }

    /// Insists until it is taken, or the instance is told to stop and has waited long enough.
    fn emit_raw(&self, channel: &str, kind: &str, payload: &[u8], bits: u64) {
        let attributes = [AttributeRef { name: "from".into(), value: "fixture".into() }];
        let event = EventRef {
            channel: channel.into(),
            kind: kind.into(),
            key: if bits & flags::RETAIN == 0 { "".into() } else { "last".into() },
            attributes: RSlice::from_slice(&attributes),
            payload: RSlice::from_slice(payload),
            time_ns: 0,
            flags: bits,
        };
        while (self.host.publish())(self.ctx, RSlice::from_slice(&[event])) == 0 {
            thread::sleep(Duration::from_micros(200));
        }
    }

    fn number(&self, key: &str) -> u64 {
        self.settings[key].as_u64().unwrap_or(0)
    }

    fn stopping(&self) -> bool {
        self.stop.load(SeqCst)
    }

    fn until_stopped(&self) {
        while !self.stopping() {
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn say(&self, state: u32, detail: &str) {
        (self.host.state())(self.ctx, state, detail.into());
    }

    fn run(&self) {
        self.emit("fixture", "began", &json!({ "pid": process::id(), "settings": self.settings }), 0);
        // Only so long, that a test sees it up first.
        let after = Duration::from_millis(self.number("after_ms"));
        match self.settings["mode"].as_str().unwrap_or("tick") {
            "tick" => {
                let mut n = 0;
                while !self.stopping() {
                    n += 1;
                    self.emit("fixture", "tick", &json!({ "n": n }), 0);
                    thread::sleep(Duration::from_millis(2));
                }
            }
            "count" => self.count(),
            "burst" => {
                for n in 0..self.number("events") {
                    self.emit("fixture", "burst", &json!({ "n": n }), 0);
                }
                self.until_stopped();
            }
            "bench" => {
                let payload = format!("{{\"text\":\"{}\"}}", "x".repeat(245));
                for _ in 0..self.number("events") {
                    self.emit_raw("fixture", "bench", payload.as_bytes(), 0);
                }
                self.until_stopped();
            }
            "flood" => {
                while !self.stopping() {
                    self.emit_raw("fixture", "flood", b"{\"text\":\"0123456789\"}", 0);
                }
            }
            "finish" => self.say(state::STOPPED, ""),
            "fail" => self.say(state::FAILED, "cannot connect to the server"),
            "panic" => self.say(state::PANICKED, "boom at src/lib.rs:9"),
            "exit" => {
                thread::sleep(after);
                process::exit(3);
            }
            "abort" => {
                eprintln!("the allocator is broken");
                process::abort();
            }
            // SAFETY: there is none; that is the test.
            "segfault" => unsafe { black_box(ptr::null_mut::<u8>()).write_volatile(1) },
            "overflow" => {
                black_box(deep(1));
            }
            "loop" => {
                self.deaf.store(true, SeqCst);
                let began = Instant::now();
                // Not for ever, should a test fail to kill it.
                while began.elapsed() < Duration::from_mins(1) {
                    black_box(began);
                    thread::sleep(Duration::from_millis(1));
                }
            }
            "memory" => {
                let mut held = Vec::new();
                while held.len() < 4096 {
                    held.push(black_box(vec![1u8; 1 << 20]));
                }
            }
            "clings" => loop {
                thread::sleep(Duration::from_secs(1));
            },
            "bad_events" => {
                self.emit("elsewhere", "t", &json!(1), 0);
                self.emit("system_events", "source.up", &json!(1), 0);
                self.emit_raw("fixture", "t", b"{not json", 0);
                self.emit_raw("fixture", "t", &vec![b'1'; 2 << 20], 0);
                self.emit("fixture", "", &json!(1), 0);
                self.emit("fixture", "good", &json!(1), flags::pack(true, 3, 1));
                self.until_stopped();
            }
            "reads" => {
                let request = self.settings["request"].to_string();
                (self.host.subscribe())(self.ctx, RSlice::from_slice(request.as_bytes()));
                self.until_stopped();
            }
            "logs" => {
                println!("a line on standard output");
                (self.host.log())(self.ctx, 3, "fixture".into(), "a record".into());
                self.until_stopped();
            }
            other => self.say(state::FAILED, &format!("no mode `{other}`")),
        }
    }

    /// Emits numbers that go on where the last generation ended, as fast as it can, and the last ones after it was told
    /// to stop.
    fn count(&self) {
        let path = self.settings["file"].as_str().unwrap_or_default().to_owned();
        let mut next: u64 = fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        while !self.stopping() {
            self.emit("fixture", "count", &json!(next), 0);
            next += 1;
        }
        for _ in 0..200 {
            self.emit("fixture", "count", &json!(next), 0);
            next += 1;
        }
        fs::write(&path, next.to_string()).unwrap();
    }
}

#[allow(unconditional_recursion)]
fn deep(n: u64) -> u64 {
    let here = black_box([n; 512]);
    deep(n + 1) + here[n as usize % 512]
}
