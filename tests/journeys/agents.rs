//! Real coding agents, from npm, offline: they talk to a model on this machine that does as the prompt says
//! (`tests/agents/model.py`), each in a pane of a tmux server of the test's own, with settings and a home of its own and the
//! hooks that `headwater hook install` writes. What Headwater then tells is compared with a golden story. Those of `away` are no
//! real ones.

mod away;
mod claude;
mod codex;
mod program;
mod scene;
mod screen;
mod story;

use program::Program;
use scene::Scene;
