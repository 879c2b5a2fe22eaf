//! Claude Code.

use super::{Program, Scene, story::Word};
use expect_test::expect_file;

#[tokio::test]
async fn claude_code_is_followed_from_its_start_to_its_death() {
    let mut scene = Scene::new().await;
    scene.part("It starts.");
    scene.start(Program::Claude).await;
    scene.ready().await;
    scene.until(&[Word::Event("agent_created"), Word::Pane("idle")]).await;
    let agents = scene.agents().await;
    assert_eq!((agents.len(), agents[0]["pane"]["pane_id"].as_str()), (1, Some(scene.pane())), "{agents:?}");

    scene.part("It is asked for a word, and gives it.");
    scene.says("say hello").await;
    scene.until(&[Word::Agent("idle"), Word::Pane("idle")]).await;

    scene.part("It wants to run a command, and waits for permission.");
    scene.says("run touch made").await;
    scene.until(&[Word::Agent("waiting"), Word::Pane("waiting")]).await;
    scene.asks().await;

    scene.part("It gets the permission, runs the command, and is done.");
    scene.presses("Enter").await;
    scene.until(&[Word::Agent("idle"), Word::Pane("idle")]).await;

    scene.part("It works, and is stopped with Esc. No hook tells so; the title does.");
    scene.ready().await;
    scene.says("hang").await;
    scene.until(&[Word::Agent("active"), Word::Pane("busy")]).await;
    // Before the first word has come, Esc would take the prompt back.
    scene.shows(" tokens)").await;
    scene.presses("Escape").await;
    scene.until(&[Word::Pane("idle"), Word::Agent("idle")]).await;

    scene.part("The model refuses, and the turn fails.");
    scene.ready().await;
    scene.says("fail 400").await;
    scene.until(&[Word::Agent("failed")]).await;

    scene.part("It is told to go.");
    scene.ready().await;
    scene.says("/exit").await;
    scene.until(&[Word::Event("agent_removed")]).await;

    scene.part("Another one is killed while it works.");
    scene.start(Program::Claude).await;
    scene.ready().await;
    scene.until(&[Word::Event("agent_created"), Word::Pane("idle")]).await;
    scene.says("hang").await;
    scene.until(&[Word::Agent("active"), Word::Pane("busy")]).await;
    scene.kill().await;
    scene.until(&[Word::Event("agent_removed")]).await;
    scene.is(&expect_file!["../../golden/agents/claude.txt"]);
}
