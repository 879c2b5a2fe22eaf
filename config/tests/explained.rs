//! Every kind of broken config is explained as the golden files say. `UPDATE_EXPECT=1` writes them anew.

#![allow(clippy::unwrap_used)] // Tests.

mod world;

use expect_test::expect_file;
use headwater_config::{load, load_for_start};
use std::fmt::Write;
use world::{Plugins, World};

/// Loads these files and compares what people see, and what JSON answers carry, with `golden/NAME.txt`.
fn golden(name: &str, files: &[(&str, &[u8])]) {
    let world = World::new(files);
    let mut seen = String::new();
    let items = match load(&world.paths, &Plugins) {
        Ok(loaded) => {
            writeln!(seen, "loaded, sources: {}", loaded.config.sources.into_keys().collect::<Vec<_>>().join(", "))
                .unwrap();
            for warning in &loaded.warnings {
                write!(seen, "\n{warning}").unwrap();
            }
            loaded.warnings
        }
        Err(faults) => {
            write!(seen, "{faults}").unwrap();
            faults.items().to_vec()
        }
    };
    seen.push_str("\n# as JSON\n");
    for item in items {
        writeln!(seen, "{}", serde_json::to_string(&item).unwrap()).unwrap();
    }
    expect_file![world::here().join(format!("tests/golden/{name}.txt"))].assert_eq(&world.portable(&seen));
}

fn main_file(name: &str, text: &str) {
    golden(name, &[("headwater.toml", text.as_bytes())]);
}

#[test]
fn an_empty_file_is_a_config() {
    main_file("empty", "");
}

#[test]
fn a_syntax_error_points_at_its_place() {
    main_file("syntax", "[gateway]\nlisten = 127.0.0.1:8765\n\n[source.metrics]\ninterval = \"1s\n");
}

#[test]
fn a_half_written_file_is_a_syntax_error() {
    main_file("half_written", "[gateway]\nshards = 2\n\n[source.metrics]\ninterval = \"1");
}

#[test]
fn a_key_or_section_that_stands_twice_shows_both_places() {
    main_file("twice", "[gateway]\nshards = 1\nshards = 2\n\n[log]\nlevel = \"info\"\n\n[gateway]\ndrain = \"1s\"\n");
}

#[test]
fn unknown_keys_are_guessed() {
    main_file(
        "unknown_key",
        "listen = \"127.0.0.1:1\"\n\n[gatway]\n\n[gateway]\nping_intervall = \"25s\"\nmax_patterns = 3\ncolour = 1\n\
         \n[gateway.limits]\nmessages-per-second = 10\n\n[source.metrics]\nenabeld = false\n",
    );
}

#[test]
fn wrong_types_say_what_to_write() {
    main_file(
        "wrong_type",
        "gateway = 1\n[router]\nmax_channels = \"12\"\nchannel_age = 60\nmemory = true\n[supervision]\nqueue = 1.5\n\
         [log]\nlevel = 3\n[source.metrics]\nenabled = \"true\"\nchannels = \"metrics\"\ndescription = 12\n[source]\nx = 1\n",
    );
}

#[test]
fn bad_values_say_what_is_allowed() {
    main_file(
        "bad_value",
        "[gateway]\nlisten = \"localhost:8765\"\nshards = 100\nping_interval = \"25\"\npong_timeout = \"8 sec\"\n\
         drain = \"soon\"\nhandshake_timeout = \"0s\"\nmax_message_bytes = \"64K\"\nmax_ingest_bytes = \"1B\"\n\
         [supervision]\nbackoff_min = \"40s\"\nqueue = 0\n[log]\nformat = \"jsn\"\nlevel = \"loud\"\n\
         [source.metrics]\nsha256 = \"abc\"\nisolation = \"proces\"\nchannels = [\"a b\"]\n",
    );
}

#[test]
fn limits_must_agree_with_each_other() {
    main_file(
        "agreement",
        "[supervision]\nbackoff_min = \"40s\"\n[source.x]\nplugin = \"tmux\"\nisolation = \"thread\"\nmemory_limit = \"64MiB\"\n[source.y]\nexec = [\"y\"]\nsha256 = \"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"\nisolation = \"thread\"\n",
    );
}

#[test]
fn a_missing_plugin_is_guessed_and_the_search_told() {
    main_file(
        "missing_plugin",
        "[source.tmx]\n\n[source.other]\nplugin = \"weather\"\n\n[source.file]\nplugin = \"./none.so\"\n",
    );
}

#[test]
fn an_unusable_plugin_is_told_with_its_reason() {
    main_file("unusable_plugin", "[source.broken]\n\n[source.legacy]\nplugin = \"old\"\n");
}

#[test]
fn a_slip_in_a_plugins_settings_is_guessed() {
    main_file(
        "settings",
        "[source.metrics]\nintervall = \"1s\"\n\n[source.more]\nplugin = \"metrics\"\ninterval = 5\nunit = \"percents\"\ntop = 300\nsmoothing = 1.5\ndisks = [\"/\", 1]\n\n[source.disk]\nenabled = true\n",
    );
}

#[test]
fn plugin_and_exec_exclude_each_other() {
    main_file("plugin_and_exec", "[source.x]\nplugin = \"tmux\"\nexec = [\"python3\", \"x.py\"]\n");
}

#[test]
fn listening_for_all_the_world_is_refused() {
    main_file("listen", "[gateway]\nlisten = \"0.0.0.0:8765\"\n");
}

#[test]
fn the_history_of_channels_must_make_sense() {
    main_file(
        "history",
        "[history]\ndurability = \"sure\"\nflush_interval = \"0s\"\n[history.retention]\nsize = \"1KiB\"\n\
         [[history.channel]]\npattern = \"a b\"\nsize = \"1B\"\n[[history.channel]]\npattern = \"x*\"\nstore = false\n\
         age = \"1d\"\n[[history.channel]]\nstore = true\n",
    );
}

#[test]
fn webhooks_are_held_against_their_schema_and_the_world() {
    main_file(
        "webhooks",
        "[[webhook]]\nname = \"a b\"\nurl = \"ftp://example.org/\"\nchannels = [\"x y\", \"ok\"]\n\
         secret = { env = \"HOOK\", file = \"x\" }\ndead_letter = \"dead.*\"\nmax_attempts = 0\n\
         backoff_max = \"100ms\"\nfilter = { type = [\"a\"], severity = \"warn\" }\n\n\
         [[webhook]]\nname = \"twice\"\nurl = \"https://me:hunter2@example.org/\"\nchannels = [\"a\"]\nsecret = {}\n\n\
         [[webhook]]\nname = \"twice\"\n\n[[webhook]]\nname = \"bare\"\nsecret = { vault = \"x\" }\n",
    );
    main_file("webhook_table", "[webhook.deploys]\nurl = \"https://example.org/\"\n");
}

#[test]
fn a_webhooks_expression_is_checked_at_its_place() {
    main_file(
        "expression",
        "[[webhook]]\nname = \"one\"\nurl = \"https://example.org/\"\nchannels = [\"a\"]\nsecret = { env = \"S\" }\n\
         filter = { where = \"ä == 1 && b = 2\" }\n\n\
         [[webhook]]\nname = \"two\"\nurl = \"https://example.org/\"\nchannels = [\"a\"]\nsecret = { env = \"S\" }\n\
         [webhook.filter]\nwhere = 'data.x =='\n\n\
         [[webhook]]\nname = \"three\"\nurl = \"https://example.org/\"\nchannels = [\"a\"]\nsecret = { env = \"S\" }\n\
         [webhook.filter]\nwhere = \"x = \\\"escaped\\\"\"\n",
    );
}

/// What is refused is logged and answered; a secret in the refused file must not be.
#[test]
fn a_secret_in_the_file_is_refused_and_not_shown() {
    main_file(
        "plain_secret",
        "[[webhook]]\nname = \"one\"\nurl = \"https://example.org/\"\nchannels = [\"a\"]\nsecret = \"hunter2hunter2\"\n\n\
         [[webhook]]\nname = \"two\"\nurl = \"https://example.org/\"\nchannels = [\"a\"]\nsecret = { env = \"whsec_aHVudGVyMg==\" }\n",
    );
    let golden = std::fs::read_to_string(world::here().join("tests/golden/plain_secret.txt")).unwrap();
    assert!(!golden.contains("hunter2") && !golden.contains("aHVudGVyMg"));
    main_file("plain_secret_syntax", "[[webhook]]\nsecret = \"hunter2\nname = 1\n");
    let golden = std::fs::read_to_string(world::here().join("tests/golden/plain_secret_syntax.txt")).unwrap();
    assert!(!golden.contains("hunter2"));
}

#[test]
fn all_errors_come_at_once() {
    golden(
        "several",
        &[
            (
                "headwater.toml",
                b"[gateway]\nlisten = \"[::]:80\"\nshard = 2\n\n[source.metrics]\nintervall = \"1s\"\n\n[source.tmx]\n",
            ),
            ("sources.d/a.toml", b"[source.metrics]\n"),
            ("sources.d/b.toml", b"[source.b\n"),
        ],
    );
}

#[test]
fn a_source_defined_twice_shows_both_places() {
    golden(
        "duplicate_source",
        &[
            ("headwater.toml", b"[source.metrics]\ninterval = \"1s\"\n\n[source.tmux]\n\n[source.tmux]\n"),
            ("sources.d/metrics.toml", b"# mine\n[source.metrics]\ninterval = \"5s\"\n"),
            ("sources.d/metrics2.toml", b"source.metrics.interval = \"5s\"\n"),
        ],
    );
}

#[test]
fn a_source_defined_twice_in_one_file_is_no_riddle() {
    main_file("duplicate_in_file", "[source.metrics]\ninterval = \"1s\"\n\n[source.metrics]\ninterval = \"5s\"\n");
}

#[test]
fn files_of_sources_d_hold_sources_only() {
    golden(
        "sources_d",
        &[
            ("headwater.toml", b"[source.metrics]\n"),
            ("sources.d/a.toml", b"[gateway]\nshards = 1\n\n[sources.tmux]\n\n[source.tmux]\nheartbeat = \"0s\"\n"),
        ],
    );
}

#[test]
fn bytes_that_are_no_utf_8_are_shown() {
    golden("not_utf8", &[("headwater.toml", b"[log]\n# caf\xe9\nlevel = \"info\"\n")]);
}

#[test]
fn a_missing_main_file_is_told() {
    golden("missing_file", &[("sources.d/a.toml", b"[source.metrics]\n")]);
}

#[test]
fn a_file_that_is_far_too_large_is_not_read() {
    golden("too_large", &[("headwater.toml", &vec![b'#'; (1 << 20) + 1])]);
}

#[test]
fn names_that_would_confuse_are_refused() {
    main_file(
        "names",
        "[source.\"a b\"]\nplugin = \"tmux\"\n[source.headwater]\nplugin = \"tmux\"\n[source.\"\\u001b[31m\"]\nplugin = \"tmux\"\n",
    );
}

#[test]
fn a_disabled_source_only_warns_of_its_plugin() {
    main_file(
        "disabled",
        "[source.tmx]\nenabled = false\n\n[source.metrics]\nenabled = false\nintervall = \"1s\"\n\n[source.clock]\nexec = [\"./clock\"]\nisolaton = \"process\"\ntimezone = \"UTC\"\n",
    );
}

#[test]
fn a_disabled_source_must_have_good_host_keys() {
    main_file("disabled_bad", "[source.tmux]\nenabled = false\ngrace = \"soon\"\n");
}

#[test]
fn without_a_file_that_was_asked_for_the_built_in_config_counts() {
    let mut world = World::new(&[]);
    assert_eq!(load(&world.paths, &Plugins).unwrap_err().items()[0].code, "E0107");
    world.paths.optional = true;
    assert_eq!(load(&world.paths, &Plugins).unwrap().config, headwater_config::Config::builtin());
    // A file in sources.d says what is wanted: nothing is added to it, and nothing is defined twice.
    world.write("sources.d/metrics.toml", b"[source.metrics]\ninterval = \"5s\"\n");
    let sources = load(&world.paths, &Plugins).unwrap().config.sources;
    assert_eq!(sources["metrics"].settings["interval"], "5s");
}

/// A daemon that refused to start because one of ten plugins is gone would take the other nine with it.
#[test]
fn at_the_start_a_missing_plugin_keeps_nothing_else_from_running() {
    let world = World::new(&[("headwater.toml", b"[source.tmx]\n[source.broken]\n[source.metrics]\n")]);
    let loaded = load_for_start(&world.paths, &Plugins).unwrap();
    assert_eq!(loaded.config.sources.keys().collect::<Vec<_>>(), ["broken", "metrics", "tmx"]);
    assert_eq!(loaded.warnings.iter().map(|w| w.code).collect::<Vec<_>>(), ["E0201", "E0202"]);
    assert!(load(&world.paths, &Plugins).is_err());
}

#[test]
fn a_terminal_gets_colours_and_the_same_words() {
    let world = World::new(&[("headwater.toml", b"[gatway]\n")]);
    let faults = load(&world.paths, &Plugins).unwrap_err();
    let coloured = faults.coloured();
    assert!(coloured.contains("\u{1b}["));
    let mut plain = String::new();
    let mut rest = coloured.as_str();
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        rest = after.split_once('m').unwrap().1;
    }
    plain.push_str(rest);
    assert_eq!(plain, faults.plain());
}

/// A megabyte of mistakes must neither take minutes nor bury the reader: a reload waits for the answer.
#[test]
fn a_thousand_mistakes_are_told_in_a_hundred() {
    let many = |line: fn(usize) -> String| (0..30_000).map(line).collect::<Vec<_>>().concat();
    let world = World::new(&[("headwater.toml", many(|i| format!("key{i} = {i}\n")).as_bytes())]);
    assert_eq!(load(&world.paths, &Plugins).unwrap_err().items().len(), 100);

    world.write("headwater.toml", "same = 1\n".repeat(30_000).as_bytes());
    assert!(load(&world.paths, &Plugins).unwrap_err().items().len() <= 100);

    world.write("headwater.toml", many(|i| format!("[source.s{i}]\nplugin = \"none\"\n")).as_bytes());
    assert_eq!(load(&world.paths, &Plugins).unwrap_err().items().len(), 100);
}

#[test]
fn nesting_without_end_is_refused_before_it_fills_the_stack() {
    for text in
        ["a.".repeat(400_000) + "a = 1", format!("[source.tmux]\nv = {}{}", "[".repeat(400_000), "]".repeat(400_000))]
    {
        let world = World::new(&[("headwater.toml", text.as_bytes())]);
        assert_eq!(load(&world.paths, &Plugins).unwrap_err().items()[0].code, "E0101");
    }
}
