//! Codex.

use super::{Program, Scene, story::Word};
use expect_test::expect_file;

impl Scene {
    /// Codex asks whether new hooks may run; it is told that all of them may.
    pub(super) async fn trusts(&self) {
        self.shows("Hooks need review").await;
        // Keys that come while it draws its first screen are lost.
        self.presses_until("2", "› 2. Trust all and continue").await;
        self.presses("Enter").await;
    }
}

#[tokio::test]
async fn codex_is_followed_from_its_start_to_its_death() {
    let mut scene = Scene::new().await;
    scene.part("It starts. Codex runs no hook before the first prompt, so it is only seen.");
    scene.start(Program::Codex).await;
    scene.trusts().await;
    scene.ready().await;
    scene.until(&[Word::Event("agent_created"), Word::Pane("idle")]).await;

    scene.part("It is asked for a word, and gives it.");
    scene.says("say hello").await;
    scene.until(&[Word::Event("task_completed"), Word::Agent("idle"), Word::Pane("idle")]).await;
    let agents = scene.agents().await;
    assert_eq!((agents.len(), agents[0]["pane"]["pane_id"].as_str()), (1, Some(scene.pane())), "{agents:?}");

    scene.part("It wants to run a command, and waits for permission.");
    scene.says("run touch made").await;
    scene.until(&[Word::Agent("waiting"), Word::Pane("waiting")]).await;
    scene.asks().await;

    scene.part("It gets the permission, runs the command, and is done.");
    scene.presses("Enter").await;
    scene.until(&[Word::Agent("idle"), Word::Pane("idle")]).await;

    scene.part("It works, and is stopped with Esc. A hook tells so.");
    scene.ready().await;
    scene.says("hang").await;
    scene.until(&[Word::Agent("active"), Word::Pane("busy")]).await;
    scene.presses("Escape").await;
    scene.until(&[Word::Pane("idle"), Word::Agent("idle")]).await;

    scene.part("It is told to go.");
    scene.ready().await;
    scene.says("/quit").await;
    scene.until(&[Word::Event("agent_removed")]).await;

    scene.part("Another one, which needs no trust any more, is killed while it works.");
    scene.start(Program::Codex).await;
    scene.ready().await;
    scene.until(&[Word::Event("agent_created"), Word::Pane("idle")]).await;
    scene.says("hang").await;
    scene.until(&[Word::Event("task_started"), Word::Agent("active"), Word::Pane("busy")]).await;
    scene.kill().await;
    scene.until(&[Word::Event("agent_removed")]).await;
    scene.is(&expect_file!["../../golden/agents/codex.txt"]);
}
