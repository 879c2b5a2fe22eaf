//! Pages of events.

use crate::world::{HELD, Store, all_pages, offsets, page, publish, publish_as, query, router, time, told};
use headwater_engine::{Engine, MemoryEngine};
use headwater_event::{Event, GapReason};
use headwater_filter::Filter;
use headwater_history::{Budget, Cursor, HistoryError, Order, Query, Span, Withdrawal};
use headwater_router::{PageLimit, Router};
use proptest::prelude::*;
use std::{sync::Arc, time::Duration};

#[test]
fn memory_and_store_are_one_past() {
    let router = router(Arc::new(Store::new()));
    for second in 1..=20 {
        publish(&router, "a", second, "1");
    }
    assert_eq!(router.log("a").unwrap().tail(), 20 - HELD as u64 + 1);
    let up = page(&router, &query("a")).unwrap();
    assert_eq!((offsets(&up.events), up.cursor, up.gaps), ((1..=20).collect(), None, vec![]));
    let down = page(&router, &Query { order: Order::Descending, limit: Some(18), ..query("a") }).unwrap();
    assert_eq!(offsets(&down.events), (3..=20).rev().collect::<Vec<_>>());
    assert!(down.cursor.is_some());
}

#[test]
fn without_a_store_the_past_is_what_memory_holds() {
    let router = router(Arc::new(MemoryEngine::new(10)));
    for second in 1..=20 {
        publish(&router, "a", second, "1");
    }
    let page = page(&router, &query("a")).unwrap();
    assert_eq!((offsets(&page.events), page.gaps), (vec![16, 17, 18, 19, 20], vec![]));
    let none = crate::world::page(&router, &query("nobody*")).unwrap();
    assert!(none.events.is_empty() && none.cursor.is_none());
}

#[test]
fn a_range_holds_its_start_and_not_its_end_and_asks_each_event() {
    let router = router(Arc::new(Store::new()));
    // Clocks do not order events.
    for second in [1, 9, 3, 4, 2, 7, 8, 5, 6, 1] {
        publish(&router, "a", second, "1");
    }
    let span = Span { since: Some(time(3)), until: Some(time(7)) };
    let page = page(&router, &Query { span, ..query("a") }).unwrap();
    assert_eq!(told(&page.events), [("a", 3, 3), ("a", 4, 4), ("a", 8, 5), ("a", 9, 6)]);
    assert!(page.cursor.is_none());
}

#[test]
fn a_filter_leaves_out_what_it_does_not_want() {
    let router = router(Arc::new(Store::new()));
    for second in 1..=9 {
        publish_as(&router, "a", second, "1", if second % 3 == 0 { "third" } else { "other" });
    }
    let filter = Filter::new(&["third".into()], None, &[], &[]);
    let page = page(&router, &Query { filter, order: Order::Descending, ..query("a") }).unwrap();
    assert_eq!(offsets(&page.events), [9, 6, 3]);
}

/// Harm prevented: a client that pages by "an hour ago" would lose what has grown older than an hour between two pages.
#[test]
fn the_range_of_the_first_page_holds_for_all() {
    let router = router(Arc::new(Store::new()));
    for second in 1..=6 {
        publish(&router, "a", second, "1");
    }
    let asked = |since| Query { span: Span { since: Some(time(since)), until: None }, limit: Some(2), ..query("a") };
    let first = page(&router, &asked(2)).unwrap();
    assert_eq!(offsets(&first.events), [2, 3]);
    let second = page(&router, &Query { cursor: first.cursor, ..asked(5) }).unwrap();
    assert_eq!(offsets(&second.events), [4, 5]);
}

#[test]
fn what_is_published_between_two_pages_is_at_the_end_upwards_and_nowhere_downwards() {
    let router = router(Arc::new(Store::new()));
    for second in 1..=6 {
        publish(&router, "a", second, "1");
    }
    let asked = |order| Query { order, limit: Some(4), ..query("*") };
    let (up, down) =
        (page(&router, &asked(Order::Ascending)).unwrap(), page(&router, &asked(Order::Descending)).unwrap());
    publish(&router, "a", 7, "1");
    publish(&router, "b", 8, "1");
    let up = page(&router, &Query { cursor: up.cursor, ..asked(Order::Ascending) }).unwrap();
    assert_eq!(told(&up.events), [("a", 5, 5), ("a", 6, 6), ("a", 7, 7), ("b", 1, 8)]);
    let down = page(&router, &Query { cursor: down.cursor, ..asked(Order::Descending) }).unwrap();
    assert_eq!(told(&down.events), [("a", 2, 2), ("a", 1, 1)]);
}

#[test]
fn what_the_store_lost_is_a_gap_on_the_page_where_it_belongs() {
    let router = router(Arc::new(Store::without(4..7)));
    for second in 1..=20 {
        publish(&router, "a", second, "1");
    }
    for order in [Order::Ascending, Order::Descending] {
        let pages = all_pages(&router, &Query { order, limit: Some(2), ..query("a") }, Budget::PAGE);
        let mut seen: Vec<u64> = pages.iter().flat_map(|page| offsets(&page.events)).collect();
        seen.sort_unstable();
        assert_eq!(seen, (1..4).chain(7..=20).collect::<Vec<_>>());
        let gaps: Vec<_> = pages.iter().flat_map(|page| &page.gaps).collect();
        let [gap] = &gaps[..] else { panic!("{order:?}: {gaps:?}") };
        assert_eq!((gap.from.offset, gap.to, gap.reason), (4, 6, GapReason::Corruption));
    }
}

#[test]
fn what_retention_took_between_two_pages_is_a_gap() {
    let store = Arc::new(Store::new());
    let router = router(store.clone());
    for second in 1..=20 {
        publish(&router, "a", second, "1");
    }
    let first = page(&router, &Query { limit: Some(2), ..query("a") }).unwrap();
    *store.first.lock().unwrap() = 8;
    let second = page(&router, &Query { cursor: first.cursor, limit: Some(2), ..query("a") }).unwrap();
    assert_eq!(offsets(&second.events), [8, 9]);
    let [gap] = &second.gaps[..] else { panic!("{:?}", second.gaps) };
    assert_eq!((gap.from.offset, gap.to, gap.reason), (3, 7, GapReason::Retention));
}

#[test]
fn a_cursor_of_another_life_is_refused_and_says_what_to_do() {
    let router = router(Arc::new(Store::new()));
    publish(&router, "a", 1, "1");
    let log = router.log("a").unwrap();
    for place in ["a@00000000000000ab:1".to_owned(), format!("a@{}:2", log.epoch())] {
        let cursor = Some(Cursor::parse(&format!("events~asc~~~{place}")).unwrap());
        let error = page(&router, &Query { cursor, ..query("a") }).unwrap_err();
        assert!(matches!(&error, HistoryError::Wrong(text) if text.contains("without it")), "{error}");
    }
    let cursor = Some(Cursor::parse("points~asc~~~0").unwrap());
    assert!(matches!(page(&router, &Query { cursor, ..query("a") }), Err(HistoryError::Wrong(_))));
}

/// Harm prevented: a filter that nothing fits keeps a thread at work until all of a large store has been read.
#[test]
fn a_call_ends_when_it_has_looked_at_enough_and_the_next_goes_on_there() {
    let router = router(Arc::new(Store::new()));
    for second in 1..=400 {
        publish_as(
            &router,
            ["a", "b"][second as usize % 2],
            second,
            "1",
            if second == 390 { "wanted" } else { "other" },
        );
    }
    let filter = Filter::new(&["wanted".into()], None, &[], &[]);
    for order in [Order::Ascending, Order::Descending] {
        let asked = Query { filter: filter.clone(), order, ..query("*") };
        for budget in [
            Budget { events: 50, ..Budget::PAGE },
            // Even with no time at all each call gets on.
            Budget { time: Duration::ZERO, ..Budget::PAGE },
        ] {
            let pages = all_pages(&router, &asked, budget);
            assert!(pages.len() > 2, "{order:?} {budget:?}: {} pages", pages.len());
            assert!(pages.iter().rev().skip(1).any(|page| page.events.is_empty()), "an empty page has a cursor too");
            let seen: Vec<_> = pages.iter().flat_map(|page| told(&page.events)).collect();
            assert_eq!(seen, [("a", 195, 390)]);
        }
    }
}

#[test]
fn a_question_that_nobody_waits_for_ends() {
    let router = router(Arc::new(Store::new()));
    publish(&router, "a", 1, "1");
    let withdrawal = Withdrawal::default();
    drop(withdrawal.on_drop());
    assert_eq!(query("a").page(&router, Budget::PAGE, &withdrawal).unwrap_err(), HistoryError::Withdrawn);
}

#[test]
fn a_page_holds_a_mebibyte_and_at_least_one_event() {
    let router = Router::new(Arc::new(MemoryEngine::new(10)), headwater_router::LogLimits::default());
    let payload = |bytes: usize| format!("\"{}\"", "x".repeat(bytes));
    for bytes in [400_000, 400_000, 400_000, 2_000_000, 10] {
        publish(&router, "a", 1, &payload(bytes));
    }
    for order in [Order::Ascending, Order::Descending] {
        let pages = all_pages(&router, &Query { order, ..query("a") }, Budget::PAGE);
        let mut sizes: Vec<usize> = pages.iter().map(|page| page.events.len()).collect();
        if order == Order::Descending {
            sizes.reverse();
            assert_eq!(sizes, [1, 2, 1, 1]);
        } else {
            assert_eq!(sizes, [2, 1, 1, 1]);
        }
    }
}

/// Harm prevented: hundreds of channels whose next event is a large one, all in memory at once for one question.
#[test]
fn many_channels_of_large_events_are_merged_though_not_all_are_held() {
    let limits = headwater_router::LogLimits { memory: 256 << 20, ..headwater_router::LogLimits::default() };
    let router = Router::new(Arc::new(MemoryEngine::new(100)), limits);
    let large = format!("\"{}\"", "x".repeat(900_000));
    for channel in 0..20 {
        publish(&router, &format!("c{channel:02}"), 100 - channel, &large);
    }
    for channel in 0..20 {
        publish(&router, &format!("c{channel:02}"), 200 + channel, "1");
    }
    for order in [Order::Ascending, Order::Descending] {
        let pages = all_pages(&router, &Query { order, ..query("c*") }, Budget::PAGE);
        let mut times: Vec<i64> = pages.iter().flat_map(|page| &page.events).map(|event| event.time.0).collect();
        assert_eq!(times.len(), 40);
        if order == Order::Descending {
            times.reverse();
        }
        assert!(times.is_sorted());
    }
}

#[test]
fn too_many_channels_are_refused_by_number_unless_they_have_nothing_to_tell() {
    let router = router(Arc::new(MemoryEngine::new(1_000)));
    for channel in 0..=headwater_history::MAX_CHANNELS {
        publish(&router, &format!("c{channel}"), channel as i64, "1");
    }
    let error = page(&router, &query("c*")).unwrap_err();
    assert!(matches!(&error, HistoryError::TooLarge(text) if text.contains("257") && text.contains("256")), "{error}");
    let span = Span { since: Some(time(250)), until: None };
    assert_eq!(page(&router, &Query { span, ..query("c*") }).unwrap().events.len(), 7);
}

/// Harm prevented: a cursor that a URL cannot carry back ends the answer with an error of HTTP that says nothing.
#[test]
fn a_cursor_that_would_be_too_long_is_refused_before_it_is_given() {
    let router = router(Arc::new(MemoryEngine::new(1_000)));
    for channel in 0..100 {
        publish(&router, &format!("{}{channel}", "long".repeat(30)), channel, "1");
    }
    assert_eq!(page(&router, &query("*")).unwrap().events.len(), 100);
    let error = page(&router, &Query { limit: Some(99), ..query("*") }).unwrap_err();
    assert!(matches!(&error, HistoryError::TooLarge(text) if text.contains("fewer")), "{error}");
}

/// A replay reads pages and then goes live: together they are everything, once.
#[test]
fn behind_the_positions_of_the_last_page_comes_what_no_page_had() {
    let router = router(Arc::new(Store::new()));
    for second in 1..=30 {
        publish(&router, ["a", "b", "c"][second as usize % 3], second, "1");
    }
    let span = Span { since: Some(time(12)), until: None };
    let last = all_pages(&router, &Query { span, limit: Some(7), ..query("*") }, Budget::PAGE).pop().unwrap();
    for (channel, position) in &last.positions {
        let log = router.log(channel.as_str()).unwrap();
        assert_eq!((position.offset, position.epoch), (log.head(), log.epoch()), "{channel}");
    }
    assert_eq!(last.positions.len(), 3);
    // In the middle: what follows the positions is what the other pages have.
    let first = page(&router, &Query { span, limit: Some(7), ..query("*") }).unwrap();
    let mut rest = Vec::new();
    for (channel, position) in &first.positions {
        let log = router.log(channel.as_str()).unwrap();
        let mut next = position.offset + 1;
        while next <= log.head() {
            let mut events = Vec::new();
            if let headwater_router::Read::Ok { next: then } = log.read(next, PageLimit::default(), &mut events) {
                next = then;
            } else if let headwater_router::Paged::Events { events: paged, next: then } =
                router.page(&log, next, PageLimit::default()).unwrap()
            {
                (events, next) = (paged, then);
            }
            rest.extend(events);
        }
    }
    assert_eq!(first.events.len() + rest.iter().filter(|event| event.time >= time(12)).count(), 19);
}

/// What a page is by definition: each channel by offset, merged by the times of their next events.
fn naive(events: &[Arc<Event>], query: &Query) -> Vec<(String, u64)> {
    let mut channels: std::collections::BTreeMap<&str, std::collections::VecDeque<&Arc<Event>>> =
        std::collections::BTreeMap::new();
    for event in events {
        if query.channels.matches(event.channel.as_str())
            && query.span.contains(event.time)
            && query.filter.matches(event)
        {
            let channel = channels.entry(event.channel.as_str()).or_default();
            if query.order == Order::Ascending { channel.push_back(event) } else { channel.push_front(event) }
        }
    }
    let mut merged = Vec::new();
    loop {
        let heads = channels.iter().filter_map(|(name, queue)| queue.front().map(|event| (event.time, *name)));
        let next = if query.order == Order::Ascending { heads.min() } else { heads.max() };
        let Some((_, name)) = next else { return merged };
        let event = channels.get_mut(name).unwrap().pop_front().unwrap();
        merged.push((name.to_owned(), event.position.offset));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn all_pages_together_are_the_answer(
        events in proptest::collection::vec((0_usize..4, 0_i64..30, any::<bool>()), 0..60),
        stored in any::<bool>(),
        (since, until) in (proptest::option::of(0_i64..30), proptest::option::of(0_i64..30)),
        (filtered, descending) in (any::<bool>(), any::<bool>()),
        limit in proptest::option::of(1_usize..20),
        budget in 1_u64..60,
        pattern in prop_oneof![Just("*"), Just("a"), Just("?b")],
    ) {
        let engine: Arc<dyn Engine> = if stored { Arc::new(Store::new()) } else { Arc::new(MemoryEngine::new(9)) };
        // Without a store everything has to be in memory.
        let limits = headwater_router::LogLimits::default();
        let router = if stored { router(engine) } else { Router::new(engine, limits) };
        let mut published = Vec::new();
        for (channel, seconds, wanted) in events {
            let name = ["a", "b", "ab", "bb"][channel];
            published.push(publish_as(&router, name, seconds, "1", if wanted { "wanted" } else { "other" }));
        }
        let (since, until) = match (since, until) {
            (Some(since), Some(until)) => (Some(since.min(until)), Some(since.max(until))),
            open => open,
        };
        let query = Query {
            span: Span { since: since.map(time), until: until.map(time) },
            filter: if filtered { Filter::new(&["wanted".into()], None, &[], &[]) } else { Filter::default() },
            order: if descending { Order::Descending } else { Order::Ascending },
            limit,
            ..query(pattern)
        };
        let pages = all_pages(&router, &query, Budget { events: budget, ..Budget::PAGE });
        let told: Vec<(String, u64)> = pages.iter().flat_map(|page| told(&page.events))
            .map(|(name, offset, _)| (name.to_owned(), offset)).collect();
        prop_assert_eq!(told, naive(&published, &query));
        prop_assert!(pages.iter().all(|page| page.gaps.is_empty() && page.events.len() <= limit.unwrap_or(1000)));
    }
}

/// Harm prevented: an asker that can take less than a page loses what it left, or is told it twice.
#[test]
fn a_page_that_is_cut_goes_on_where_it_was_cut() {
    let router = router(Arc::new(Store::new()));
    for second in 1..=30 {
        publish(&router, if second % 3 == 0 { "b" } else { "a" }, second, "1");
    }
    for order in [Order::Ascending, Order::Descending] {
        let whole = page(&router, &Query { order, ..query("*") }).unwrap();
        for keep in [1, 4, 7, 40] {
            let (mut got, mut cursor) = (Vec::new(), None);
            loop {
                let query = Query { order, cursor, limit: Some(9), ..query("*") };
                let mut one = page(&router, &query).unwrap();
                one.cut(keep, &query, &router);
                assert!(one.events.len() <= keep);
                got.extend(told(&one.events).into_iter().map(|(channel, offset, _)| (channel.to_owned(), offset)));
                cursor = one.cursor;
                if cursor.is_none() {
                    break;
                }
            }
            let all: Vec<_> =
                told(&whole.events).into_iter().map(|(channel, offset, _)| (channel.to_owned(), offset)).collect();
            assert_eq!(got, all, "{order:?} {keep}");
        }
    }
}

#[test]
fn who_has_read_by_another_way_goes_on_behind_its_positions() {
    let router = router(Arc::new(Store::new()));
    for second in 1..=9 {
        publish(&router, if second % 3 == 0 { "b" } else { "a" }, second, "1");
    }
    let query1 = Query { limit: Some(4), ..query("*") };
    let mut first = page(&router, &query1).unwrap();
    first.cut(2, &query1, &router);
    let cursor = Cursor::behind(Span::default(), first.positions);
    assert_eq!(cursor.order(), Order::Ascending);
    let rest = page(&router, &Query { cursor: Some(cursor), ..query("*") }).unwrap();
    assert_eq!(first.events.len() + rest.events.len(), 9);
    assert_eq!(told(&rest.events)[0], ("b", 1, 3));
}
