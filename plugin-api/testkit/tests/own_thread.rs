//! Log records of a thread that the author started himself. In a binary of its own: such a thread says nothing of the
//! instance that it works for, and is taken to work for the only one in the process.

use headwater_plugin::prelude::*;
use headwater_testkit::{Outcome, Testkit};

#[config]
struct Config {}

struct Threaded;

impl Source for Threaded {
    type Config = Config;

    async fn run(_: Config, mut ctx: Context) -> Result<()> {
        std::thread::spawn(|| info!("from a thread of its own")).join().map_err(|_| "the thread panicked")?;
        ctx.stopped().await;
        Ok(())
    }
}

export_source!(Threaded);

#[tokio::test]
async fn a_thread_of_the_authors_own_logs_for_the_only_instance() {
    let mut run = Testkit::start::<Threaded>(json!({}));
    let record = run.logged("from a thread of its own").await;
    assert_eq!((record.level, record.target.as_str()), (3, "own_thread"));
    assert_eq!(run.stop().await, Outcome::Stopped);
}
