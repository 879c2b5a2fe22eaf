//! Random trees: whatever changed, the steps lead there, and only they are told that are needed.

use super::*;
use crate::tree::id::Id;
use proptest::{collection::btree_map, option, prelude::*};
use std::collections::BTreeMap;

fn name() -> impl Strategy<Value = String> {
    prop_oneof![Just("prod".to_owned()), Just("prod-db".to_owned()), Just("#(touch x)".to_owned()), "[a-b]{0,2}"]
}

fn ending() -> impl Strategy<Value = Ending> {
    (option::of(0..3), option::of(1..3)).prop_map(|(status, signal)| Ending { status, signal })
}

prop_compose! {
    fn session()(name in name(), path in option::of(name()), attached in 0..3_u32, fleeting: bool,
        windows in btree_map(0..4_u32, (0..5_u32).prop_map(Id), 0..4), current in option::of(0..4_u32)) -> Session {
        Session { name, path, attached, fleeting, windows, current }
    }
}

prop_compose! {
    fn pane()(window in (0..5_u32).prop_map(Id), index in 0..3_u32, size in (1..3_u32, 1..3_u32), pid in option::of(1..4_u32), title in name(),
        command in name(), path in name(), dead in option::of(ending())) -> Pane {
        Pane { window, index, size, pid, title, command, path, dead }
    }
}

prop_compose! {
    fn tree()(sessions in btree_map((0..4_u32).prop_map(Id), session(), 0..4),
        windows in btree_map((0..5_u32).prop_map(Id), (name(), option::of((0..6_u32).prop_map(Id))), 0..5),
        panes in btree_map((0..6_u32).prop_map(Id), pane(), 0..6)) -> Tree {
        let windows = windows.into_iter().map(|(id, (name, active))| (id, Window { name, active })).collect();
        Tree { sessions, windows, panes }
    }
}

proptest! {
    #[test]
    fn the_steps_lead_to_the_new_tree(old in tree(), new in tree()) {
        let mut tree = old.clone();
        for change in diff(&old, &new) {
            let before = tree.clone();
            tree.apply(&change);
            prop_assert_ne!(&before, &tree, "{:?} changes nothing", change);
        }
        prop_assert_eq!(tree, new);
    }

    #[test]
    fn between_equal_trees_there_is_no_step(tree in tree()) {
        prop_assert_eq!(diff(&tree, &tree), []);
    }
}

fn with_windows(windows: &[(u32, u32)]) -> Tree {
    let links = windows.iter().map(|(index, id)| (*index, Id(*id))).collect();
    let session = Session { name: "work".into(), windows: links, current: Some(0), ..Session::default() };
    Tree {
        sessions: BTreeMap::from([(Id(1), session)]),
        windows: windows.iter().map(|(_, id)| (Id(*id), Window::default())).collect(),
        panes: BTreeMap::new(),
    }
}

/// `renumber-windows` would otherwise look like windows that close and open.
#[test]
fn a_window_at_another_index_was_moved_and_not_closed() {
    let changes = diff(&with_windows(&[(0, 1), (1, 2), (2, 3)]), &with_windows(&[(0, 1), (1, 3)]));
    let unlinked = |index, window, moved| Change::WindowUnlinked { session: Id(1), index, window: Id(window), moved };
    let linked = Change::WindowLinked { session: Id(1), index: 1, window: Id(3), moved: true };
    assert_eq!(changes, [unlinked(1, 2, false), unlinked(2, 3, true), Change::WindowGone(Id(2)), linked]);
}

#[test]
fn a_window_that_two_sessions_link_is_found_in_the_first() {
    let mut tree = with_windows(&[(3, 7)]);
    tree.sessions.insert(Id(0), Session { windows: BTreeMap::from([(5, Id(8))]), ..Session::default() });
    tree.sessions.insert(Id(2), Session { windows: BTreeMap::from([(1, Id(7))]), ..Session::default() });
    assert_eq!((tree.home(Id(7)), tree.home(Id(8)), tree.home(Id(9))), (Some((Id(1), 3)), Some((Id(0), 5)), None));
}
