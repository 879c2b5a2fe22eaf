//! Every example in `docs/protocol.md` is said to a real daemon.

use headwater_tests::{Closed, Step, World, conversations, fits};

const PAGE: &str = include_str!("../../docs/protocol.md");

#[tokio::test]
async fn every_conversation_on_the_protocol_page_happens_as_written() {
    let conversations = conversations(PAGE);
    assert!(conversations.len() >= 12, "the page has its examples");
    for (line, steps) in conversations {
        // Each has a daemon of its own: offsets on the page count from the first event.
        let daemon = World::new().start().await;
        let mut client = daemon.client().await;
        for step in steps {
            match step {
                Step::Send(text) => client.send_text(&text).await,
                Step::Expect(expected) => {
                    let actual = client.next().await;
                    assert!(fits(&expected, &actual), "block at line {line}:\nexpected {expected}\nbut got  {actual}");
                }
                Step::Close(code) => {
                    let Closed { code: actual, .. } = client.closed().await;
                    assert_eq!(actual, Some(code), "block at line {line}");
                }
            }
        }
    }
}
