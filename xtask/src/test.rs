//! `cargo xtask test`: sets up what the tests need, builds what they run, and runs them all.

use crate::{Stop, house::House, languages, program, tools};

pub(crate) fn run(house: &House, arguments: &[String]) -> Result<(), Stop> {
    tools::system(&[
        tools::BROWSER,
        tools::CURL,
        tools::GIT,
        tools::JQ,
        tools::KILL,
        tools::NODE,
        tools::NPM,
        tools::PYTHON,
        tools::SCRIPT,
        tools::SQLITE,
        tools::TMUX,
        tools::VENV,
    ])?;
    languages::python(house)?;
    languages::node(house)?;
    tools::from_registry(house, &[tools::WEBSOCAT, tools::NEXTEST])?;
    let path = tools::path(house);
    // Journeys start the daemon and load plugins as files; building the tests alone would not make those.
    program::run(&mut house.cargo(&["build", "--workspace", "--lib", "--bins", "--examples"]))?;
    let arguments = arguments.strip_prefix(&["--".to_owned()]).unwrap_or(arguments);
    // Documentation first: the last line on the screen is then nextest's.
    if arguments.is_empty() {
        program::run(house.cargo(&["test", "--workspace", "--doc", "--quiet"]).env("PATH", &path))?;
    }
    // Without `--workspace`, so that `-p` can choose; all members are the default.
    program::run(house.cargo(&["nextest", "run"]).args(arguments).env("PATH", &path))
}
