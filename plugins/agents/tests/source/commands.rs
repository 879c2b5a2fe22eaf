//! What clients ask, and the answers.

use crate::world::World;
use headwater_testkit::prelude::*;

#[tokio::test]
async fn the_hive_commands_are_answered_in_the_shapes_of_their_dialect() {
    let mut world = World::new(json!({})).await;
    let capabilities = json!([{ "name": "sql", "proficiency": 0.85, "learning_rate": 0.1 }]);
    let new = json!({ "name": "DataProcessor-1", "type": "specialist", "capabilities": capabilities });
    let answer = world.run.command("create_agent", new).await.completed();
    let id = answer["agent_id"].clone();
    assert_eq!((&answer["success"], &answer["agent"]["id"]), (&json!(true), &id));
    assert_eq!((&answer["agent"]["name"], &answer["agent"]["state"]), (&json!("DataProcessor-1"), &json!("idle")));
    assert_eq!(answer["agent"]["capabilities"], capabilities);
    // As get_status has it.
    assert_eq!((&answer["agent"]["status"], &world.agents().await[0]["status"]), (&json!("idle"), &json!("idle")));

    let requires = json!([{ "name": "sql", "min_proficiency": 0.7 }]);
    let new = json!({ "description": "count", "type": "report", "priority": 2, "required_capabilities": requires });
    let answer = world.run.command("create_task", new).await.completed();
    let task = answer["task_id"].clone();
    assert_eq!((&answer["matching_agents"], &answer["task"]["status"]), (&json!(1), &json!("pending")));
    assert_eq!((&answer["task"]["description"], &answer["task"]["priority"]), (&json!("count"), &json!(2)));
    let assigned = world.next("task_assigned").await;
    assert_eq!((&assigned.data["agent_id"], &assigned.data["assignment_reason"]), (&id, &json!("capability_match")));

    let answer = world.run.command("cancel_task", json!({ "task_id": task })).await.completed();
    assert_eq!(answer["task"]["status"], "cancelled");
    let cancelled = world.next("task_cancelled").await;
    assert_eq!(
        (&cancelled.data["reason"], &cancelled.data["cancelled_by"]),
        (&json!("manual_cancellation"), &json!("client"))
    );
    let answer = world.run.command("remove_agent", json!({ "agent_id": id })).await.completed();
    assert_eq!(answer["success"], true);
    assert_eq!(world.next("agent_removed").await.data["reason"], "manual_removal");
}

#[tokio::test]
async fn an_order_that_is_not_possible_is_refused_with_what_is() {
    let mut world = World::new(json!({})).await;
    world.run.command("create_task", json!({ "id": "t" })).await.completed();
    let report = json!({ "type": "task_completed", "data": { "task_id": "t" } });
    let refused = world.run.command("report", report).await;
    assert_eq!(refused.error().0, "VALIDATION_ERROR");
    assert_eq!(
        refused.last()["details"],
        json!({ "status": "pending", "allowed": ["task_assigned", "task_cancelled"] })
    );
    world.run.command("create_agent", json!({ "id": "a" })).await.completed();
    let status = json!({ "type": "agent_status_changed", "data": { "agent_id": "a", "new_status": "asleep" } });
    let refused = world.run.command("report", status).await;
    assert_eq!(refused.last()["details"]["allowed"], json!(["active", "waiting", "failed", "unknown"]));
    for (command, parameters, code) in [
        ("cancel_task", json!({ "task_id": "none" }), "RESOURCE_NOT_FOUND"),
        ("assign_task", json!({ "task_id": "t", "agent_id": "none" }), "RESOURCE_NOT_FOUND"),
        ("remove_agent", json!({}), "VALIDATION_ERROR"),
        ("create_agent", json!({ "id": "a" }), "VALIDATION_ERROR"),
        ("create_agent", json!({ "colour": "red" }), "VALIDATION_ERROR"),
        ("create_task", json!({ "required_capabilities": [{}] }), "VALIDATION_ERROR"),
        ("report", json!({ "type": "task_started", "data": 7 }), "VALIDATION_ERROR"),
    ] {
        assert_eq!(world.run.command(command, parameters.clone()).await.error().0, code, "{command} {parameters}");
    }
    for (command, parameters, field) in [
        ("create_task", json!({ "priority": "high" }), "`priority`"),
        ("create_task", json!({ "description": 5 }), "`description`"),
        ("create_task", json!({ "required_capabilities": "sql" }), "`required_capabilities`"),
        (
            "create_task",
            json!({ "required_capabilities": [{ "name": "a", "min_proficiency": 2 }] }),
            "`min_proficiency`",
        ),
        ("create_agent", json!({ "capabilities": [{ "proficiency": 1 }] }), "`capabilities`"),
        ("create_agent", json!({ "colour": "red" }), "`colour`"),
        ("assign_task", json!({ "task_id": "t" }), "`agent_id`"),
    ] {
        let refused = world.run.command(command, parameters).await;
        assert!(refused.error().1.contains(field), "{field}: {}", refused.last());
    }
    let status = world.run.command("get_status", json!({})).await.completed();
    assert_eq!(
        status["counts"]["tasks"],
        json!({ "created": 1, "open": 1, "completed": 0, "failed": 0, "cancelled": 0 })
    );
}
