//! The cells of tags: what an answer may teach one that a hint or a fence has overtaken, and what a reader takes from it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use shuttle::thread;

use super::{Origin, explore, join, once, some};
use crate::{
    cell::TagCell,
    epochs::Epochs,
    sync::atomic as scheduled,
    tag::TagId,
    tags::Tags,
    version::{Verdict, Versions},
};

/// A tag: its record on a server, where a generation is one more than how often it was changed, and its cell.
struct Tag {
    record: Origin,
    cell: Arc<TagCell>,
    epochs: Arc<Epochs>,
}

impl Tag {
    fn new() -> Arc<Self> {
        let epochs = Arc::new(Epochs::new(1));
        let cell = Arc::new(TagCell::unknown(TagId::Namespace, &epochs));
        Arc::new(Self { record: Origin::default(), cell, epochs })
    }

    /// Asks the server, and lets the cell learn what it answers.
    fn ask(&self) {
        let seen = self.cell.seen();
        seen.learn(&Versions::at(self.record.load() + 1));
    }

    /// Whoever asks the cell may know nothing older than what everybody was told.
    fn check(&self) {
        self.record.ask(|| self.cell.known().map_or(u64::MAX, |generation| generation - 1));
    }

    /// Somebody changes the record, and this node hears of it.
    fn change(&self) {
        let changed = self.record.change();
        self.cell.hint();
        self.record.told(changed);
    }

    /// Somebody changes the record, and this node hears only that it may have missed something.
    fn change_unheard(&self) {
        let changed = self.record.change();
        self.epochs.fence([0]);
        self.record.told(changed);
    }
}

fn race(steps: [fn(&Tag); 4]) {
    explore(move || {
        let tag = Tag::new();
        tag.ask();
        join(steps.map(|step| {
            let tag = Arc::clone(&tag);
            some(2, move || step(&tag))
        }));
        tag.check();
    });
}

#[test]
fn cell_learns_nothing_that_a_hint_overtook() {
    race([Tag::change, Tag::ask, Tag::ask, Tag::check]);
}

#[test]
fn cell_learns_nothing_that_a_fence_overtook() {
    race([Tag::change_unheard, Tag::ask, Tag::ask, Tag::check]);
}

#[test]
fn cell_learns_nothing_that_either_overtook() {
    race([Tag::change, Tag::change_unheard, Tag::ask, Tag::check]);
}

/// While an older answer is refused, nobody sees a part of it.
#[test]
fn answer_from_before_a_fence_takes_nothing_from_one_after_it() {
    explore(|| {
        let tag = Tag::new();
        let (older, generation) = (tag.cell.seen(), tag.record.load() + 1);
        tag.change_unheard();
        let asks = {
            let tag = Arc::clone(&tag);
            once(move || tag.ask())
        };
        let learns = once(move || {
            older.learn(&Versions::at(generation));
        });
        let checks = {
            let tag = Arc::clone(&tag);
            some(3, move || tag.check())
        };
        join([asks, learns, checks]);
        tag.check();
    });
}

#[test]
fn tag_has_one_cell_whoever_comes_first() {
    explore(|| {
        let tags = Arc::new(Tags::remote(Arc::new(Epochs::new(1))));
        let cells = [(); 2].map(|()| {
            let tags = Arc::clone(&tags);
            thread::spawn(move || tags.cell(&TagId::Namespace))
        });
        let [one, other] = cells.map(|cell| cell.join().unwrap());
        assert!(Arc::ptr_eq(&one, &other), "a hint reaches one of them");
    });
}

/// The count of moves is read before the marks, and added to after them: whoever saw a cell stand and remembers the count
/// from before looks again once the cell has moved.
#[test]
fn count_of_moves_follows_every_move_of_a_cell() {
    explore(|| {
        let tag = Tag::new();
        tag.ask();
        // The generation that an entry holds, and the count at which it was last found to stand.
        let (generation, stood_at) = (tag.cell.known().unwrap(), Arc::new(scheduled::AtomicU64::new(u64::MAX)));
        let told = Arc::new(scheduled::AtomicU64::new(0));
        let changes = |change: fn(&Tag)| {
            let (tag, told) = (Arc::clone(&tag), Arc::clone(&told));
            some(1, move || {
                change(&tag);
                told.store(1, Ordering::SeqCst);
            })
        };
        let hits = || {
            let (tag, told, stood_at) = (Arc::clone(&tag), Arc::clone(&told), Arc::clone(&stood_at));
            some(2, move || {
                let is_told = told.load(Ordering::SeqCst) == 1;
                let moved = tag.epochs.moves().count();
                let unmoved = stood_at.load(Ordering::SeqCst) == moved;
                let stands = unmoved || tag.cell.stands(generation);
                assert!(!(is_told && stands), "a hit on what everybody was told is gone");
                if stands {
                    stood_at.store(moved, Ordering::SeqCst);
                }
            })
        };
        let asks = {
            let tag = Arc::clone(&tag);
            some(1, move || tag.ask())
        };
        join([changes(Tag::change), changes(Tag::change_unheard), hits(), hits(), asks]);
    });
}

/// What is learned is of use: with nobody about, the cell knows it.
#[test]
fn cell_knows_what_it_learned_last() {
    explore(|| {
        let (tag, learned) = (Tag::new(), Arc::new(AtomicU64::new(0)));
        let asks = || {
            let (tag, learned) = (Arc::clone(&tag), Arc::clone(&learned));
            once(move || {
                learned.fetch_add(u64::from(tag.cell.seen().learn(&Versions::at(1))), Ordering::Relaxed);
            })
        };
        join([asks(), asks()]);
        assert_eq!((learned.load(Ordering::Relaxed), tag.cell.known()), (2, Some(1)));
    });
}

/// What a cell says of a generation is said of the one that it names as its own: the list of what was left softly is never that
/// of another record.
#[test]
fn verdict_is_that_of_the_generation_that_it_names() {
    explore(|| {
        let tag = Tag::new();
        let learns = |record: &'static [u8]| {
            let tag = Arc::clone(&tag);
            some(2, move || {
                tag.cell.hint();
                tag.cell.seen().learn(&Versions::parse(record).unwrap());
            })
        };
        let looks = {
            let tag = Arc::clone(&tag);
            some(4, move || {
                let verdict = tag.cell.verdict(1);
                let allowed =
                    [None, Some((Verdict::Current, 1)), Some((Verdict::Left(2), 2)), Some((Verdict::Gone, 3))];
                assert!(allowed.contains(&verdict), "{verdict:?}");
            })
        };
        join([learns(b"1"), learns(b"2 1"), learns(b"3"), looks]);
    });
}
