//! Equal filters share one number, so that a shard runs each of them once per event. Owned by a shard; not shared.

use crate::Filter;
use std::collections::HashMap;

/// The number of a filter in one table. Numbers are small and used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FilterId(u32);

impl FilterId {
    /// As an index: below [`FilterTable::capacity`].
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Filters by number, each counted.
#[derive(Debug, Default)]
pub struct FilterTable {
    numbers: HashMap<Filter, FilterId>,
    slots: Vec<Option<Slot>>,
    free: Vec<FilterId>,
}

#[derive(Debug)]
struct Slot {
    filter: Filter,
    uses: u32,
}

impl FilterTable {
    /// The number of this filter, one use more.
    pub fn intern(&mut self, filter: Filter) -> FilterId {
        if let Some(id) = self.numbers.get(&filter) {
            self.slots[id.index()].as_mut().expect("invariant: a numbered filter has its slot").uses += 1;
            return *id;
        }
        let id = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            FilterId(self.slots.len() as u32 - 1)
        });
        self.numbers.insert(filter.clone(), id);
        self.slots[id.index()] = Some(Slot { filter, uses: 1 });
        id
    }

    /// One use less; the last one frees the number.
    pub fn release(&mut self, id: FilterId) {
        let Some(place) = self.slots.get_mut(id.index()) else { return };
        let Some(slot) = place else { return };
        slot.uses -= 1;
        if slot.uses == 0 {
            self.numbers.remove(&slot.filter);
            *place = None;
            self.free.push(id);
        }
    }

    /// The filter with this number.
    ///
    /// # Panics
    /// When the number has been released.
    pub fn get(&self, id: FilterId) -> &Filter {
        &self.slots[id.index()].as_ref().expect("invariant: an id is used until it is released").filter
    }

    /// How many different filters are in use.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// All numbers are below this one.
    pub fn capacity(&self) -> usize {
        self.slots.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(kind: &str) -> Filter {
        Filter::new(&[kind.to_owned()], None, &[], &[])
    }

    #[test]
    fn equal_filters_share_a_number_until_the_last_is_released() {
        let mut table = FilterTable::default();
        let (a, again, b) = (table.intern(filter("a")), table.intern(filter("a")), table.intern(filter("b")));
        assert_eq!(a, again);
        assert_ne!(a, b);
        assert_eq!((table.len(), table.get(a), table.get(b)), (2, &filter("a"), &filter("b")));
        table.release(a);
        assert_eq!(table.get(a), &filter("a"));
        table.release(a);
        assert_eq!(table.len(), 1);
        // The number is used again, and the table does not grow for ever.
        let c = table.intern(filter("c"));
        assert_eq!((c, table.get(c), table.capacity()), (a, &filter("c"), 2));
        assert_ne!(table.intern(filter("a")), c);
    }

    #[test]
    fn releasing_once_too_often_takes_no_filter_from_another() {
        let mut table = FilterTable::default();
        let a = table.intern(filter("a"));
        table.release(a);
        table.release(a);
        assert!(table.is_empty());
        let (b, c) = (table.intern(filter("b")), table.intern(filter("c")));
        assert_ne!(b, c);
        assert_eq!((table.get(b), table.get(c)), (&filter("b"), &filter("c")));
    }
}
