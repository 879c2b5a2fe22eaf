//! The machines under any sequence of moves.

use super::*;
use proptest::prelude::*;

fn moves() -> impl Strategy<Value = TaskMove> {
    prop_oneof![
        Just(TaskMove::Assign),
        Just(TaskMove::Start),
        Just(TaskMove::Progress),
        Just(TaskMove::Complete),
        any::<bool>().prop_map(|retry| TaskMove::Fail { retry }),
        Just(TaskMove::Cancel),
    ]
}

/// The design's table, written down once more: what may follow what.
fn follows(from: TaskStatus, to: TaskStatus) -> bool {
    use TaskStatus::{Assigned, Cancelled, Completed, Failed, Pending, Started};
    match from {
        Pending => matches!(to, Assigned | Cancelled),
        Assigned => matches!(to, Assigned | Started | Failed { .. } | Cancelled),
        Started => matches!(to, Started | Completed | Failed { .. } | Cancelled),
        Failed { retry: true } => matches!(to, Started | Failed { .. } | Cancelled),
        Completed | Failed { retry: false } | Cancelled => false,
    }
}

proptest! {
    #[test]
    fn no_sequence_of_moves_leads_off_the_table(all in prop::collection::vec((0..4_usize, moves()), 0..200)) {
        let mut tasks = [TaskStatus::Pending; 4];
        let mut counts = Counts::default();
        for _ in &tasks {
            counts.create();
        }
        for (index, by) in all {
            let from = tasks[index];
            match from.go(by) {
                Ok(to) => {
                    prop_assert!(follows(from, to), "{from:?} {by:?} {to:?}");
                    counts.moved(from, to);
                    tasks[index] = to;
                }
                Err(refused) => {
                    prop_assert!(!refused.allowed.contains(&by.name()));
                    prop_assert_eq!(refused.allowed.is_empty(), from.is_final());
                }
            }
            let open = tasks.iter().filter(|status| !status.is_final()).count() as u64;
            prop_assert_eq!(counts.open(), open);
            prop_assert_eq!(counts.completed + counts.failed + counts.cancelled + open, counts.created);
        }
    }

    /// What is missing is itself possible, and leads to the move that was asked for.
    #[test]
    fn missing_moves_lead_where_they_should(before in prop::collection::vec(moves(), 0..6), by in moves()) {
        let reached = before.into_iter().fold(TaskStatus::Pending, |status, by| status.go(by).unwrap_or(status));
        match reached.missing(by) {
            Some(missing) => {
                let mut status = reached;
                for step in missing {
                    status = status.go(*step).unwrap();
                }
                prop_assert!(status.go(by).is_ok(), "{reached:?} {by:?}");
            }
            None => prop_assert!(reached.go(by).is_err()),
        }
    }
}

#[test]
fn a_failed_task_starts_again_only_when_a_retry_was_announced() {
    let failed = |retry| TaskStatus::Failed { retry };
    assert_eq!(failed(true).go(TaskMove::Start), Ok(TaskStatus::Started));
    let refused = failed(false).go(TaskMove::Start).unwrap_err();
    assert_eq!(refused.to_string(), "task_started is not possible from failed; allowed: nothing");
    assert_eq!(failed(false).missing(TaskMove::Start), None);
}

#[test]
fn an_agent_goes_anywhere_in_at_most_two_steps_and_nowhere_else() {
    for from in AgentStatus::ALL {
        for to in AgentStatus::ALL {
            match (from.go(to), from.missing(to)) {
                (Ok(reached), None) => assert_eq!(reached, to),
                (Err(refused), Some(step)) => {
                    assert!(!refused.allowed.contains(&to.name()));
                    assert_eq!(from.go(step).and_then(|step| step.go(to)), Ok(to));
                }
                (Err(_), None) => assert_eq!(from, to, "only staying is no step"),
                (Ok(_), Some(_)) => panic!("{from:?} to {to:?} is possible and yet a step is missing"),
            }
        }
    }
    for status in AgentStatus::ALL {
        assert_eq!(AgentStatus::parse(status.name()), Some(status));
    }
}
