//! What L1 holds under a key: decoded values with the marks by which a hit is judged.
//!
//! An entry never changes its value. It carries the stamp (stripe and epoch) read before the first command that led to it,
//! so a hint or a fence makes it stale by moving the number that it holds, without ever touching the entry.

use std::{
    any::{Any, TypeId},
    sync::{Arc, OnceLock},
    time::Duration,
};

use smallvec::SmallVec;
use xxhash_rust::xxh3::xxh3_64;

use crate::{
    cell::{Seen, TagCell},
    clock::Tick,
    key::Key,
    moves::Moves,
    sync::atomic::{AtomicU64, Ordering},
    version::Verdict,
};

/// How long a value that was softly evicted is of use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Afterlife {
    /// As one that has ended to be fresh by itself.
    #[default]
    AsStale,
    /// Until it would have ended to be fresh by itself: whoever asks has rules of his own for what is old.
    ToItsEnd,
}

/// Until when a value may be used, in microseconds of Redis time. The three travel with the value from node to node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadlines {
    /// Until then it is simply a hit.
    pub(crate) fresh_until: u64,
    /// Until then it may be served while a new one loads.
    pub(crate) stale_until: u64,
    /// Until then it may be served when a load fails.
    pub(crate) fail_safe_until: u64,
    /// It was softly evicted, and is not fresh whatever the time is: clocks step back.
    pub(crate) is_left: bool,
}

impl Deadlines {
    /// Deadlines of a value that is fresh for `ttl` from `now` and of no use after that.
    pub(crate) fn fresh_for(now_micros: u64, ttl: Duration) -> Self {
        Self::fresh_and_then(now_micros, ttl, Duration::ZERO, Duration::ZERO)
    }

    /// Deadlines of a value that is fresh for `ttl` from `now`, and after that may be served stale, or when a load fails.
    pub(crate) fn fresh_and_then(now_micros: u64, ttl: Duration, stale: Duration, fail_safe: Duration) -> Self {
        let after =
            |start: u64, time: Duration| start.saturating_add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
        let fresh_until = after(now_micros, ttl);
        let stale_until = after(fresh_until, stale);
        Self { fresh_until, stale_until, fail_safe_until: after(fresh_until, fail_safe), is_left: false }
    }

    /// Whether a value is fresh at `now_micros`.
    pub(crate) fn fresh_at(self, now_micros: u64) -> bool {
        now_micros < self.fresh_until && !self.is_left
    }

    /// Those of a value that was softly evicted `at` this moment: as if it had ended to be fresh then, by itself. What comes after
    /// is counted from there, and is never longer than it was.
    pub(crate) fn left(self, at: u64, now_micros: u64) -> Self {
        // A version may be ahead of the time of which it is made.
        let fresh_until = self.fresh_until.min(at).min(now_micros);
        let earlier = self.fresh_until - fresh_until;
        Self {
            fresh_until,
            stale_until: self.stale_until.saturating_sub(earlier),
            fail_safe_until: self.fail_safe_until.saturating_sub(earlier),
            is_left: true,
        }
    }

    /// The same to one who asks with this in mind.
    pub(crate) fn left_to(self, afterlife: Afterlife, at: u64, now_micros: u64) -> Self {
        let left = self.left(at, now_micros);
        match afterlife {
            Afterlife::AsStale => left,
            Afterlife::ToItsEnd => Self { stale_until: self.stale_until.max(self.fresh_until), ..left },
        }
    }

    /// Those of a value of which this is the verdict; nothing if it is gone.
    pub(crate) fn after(self, verdict: Verdict, afterlife: Afterlife, now_micros: u64) -> Option<Self> {
        match verdict {
            Verdict::Current => Some(self),
            Verdict::Left(at) => Some(self.left_to(afterlife, at, now_micros)),
            Verdict::Gone => None,
        }
    }

    /// How long the value stays fresh from `now_micros`.
    pub(crate) fn fresh_left(self, now_micros: u64) -> Duration {
        let until = if self.is_left { 0 } else { self.fresh_until };
        Duration::from_micros(until.saturating_sub(now_micros))
    }

    /// How long the value is of any use from `now_micros`.
    pub(crate) fn life_left(self, now_micros: u64) -> Duration {
        let fresh_until = if self.is_left { 0 } else { self.fresh_until };
        let last = fresh_until.max(self.stale_until).max(self.fail_safe_until);
        Duration::from_micros(last.saturating_sub(now_micros))
    }
}

/// When a value was loaded, and until when it is of what use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// In microseconds of Redis time.
    pub(crate) created: u64,
    /// How long the load took.
    pub(crate) load_time: Duration,
    pub(crate) deadlines: Deadlines,
    /// Until then it is a hit in passing.
    pub(crate) expires: Tick,
    /// Until then this process may use it, for whatever it is of use, without asking anybody for its value.
    pub(crate) kept_until: Tick,
}

/// What is read before the first command of a load: by it alone a hint or a fence since then is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Hints heard on the key's stripe so far.
    pub(crate) stripe: u64,
    /// Fences so far of the key's partition.
    pub(crate) epoch: u64,
}

/// Where a key stands among the marks: the hash picks its stripe, the partition its epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) hash: u128,
    pub(crate) partition: u16,
}

/// A tag's cell and the generation that a value was loaded under.
pub(crate) type Held = (Arc<TagCell>, u64);

/// What a value depends on besides its own key.
#[derive(Debug)]
enum Depends {
    /// The generations of tags, scopes and the namespace that it was loaded under.
    On(Box<[Held]>),
    /// The same, loaded while no server could be asked: on nothing having been said about them since. Kept for a short time,
    /// and in no other tier.
    Provisional(Box<[Seen]>),
}

/// Everything about an entry but its value.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct EntryMeta {
    /// The value type that this entry answers for.
    pub(crate) slot: TypeId,
    stripe: AtomicU64,
    epoch: AtomicU64,
    /// The count of moves before the last look that found the entry to stand.
    stood_at: AtomicU64,
    /// Until then it is a hit in passing: the nearest of what the value still has, what L1 may keep, and an early refresh.
    pub(crate) expires: Tick,
    /// Until then this process may use it, for whatever it is of use.
    pub(crate) kept_until: Tick,
    /// The key in words: compared at every hit, so that nothing hangs on the hash.
    pub(crate) words: SmallVec<[u64; 5]>,
    /// The partition of the key's records.
    pub(crate) partition: u16,
    /// It says *nothing*, or holds an error: anybody who makes up keys can have many of these.
    pub(crate) is_negative: bool,
    /// The version of the control record that the value belongs to.
    pub(crate) version: u64,
    /// When the value was loaded, in microseconds of Redis time.
    pub(crate) created: u64,
    /// How long the load took.
    pub(crate) load_time: Duration,
    pub(crate) deadlines: Deadlines,
    /// What the value depends on. Unset while the generations of tags that only the result could name are being asked for; such
    /// an entry is in no tier yet.
    depends: OnceLock<Depends>,
    /// When it was softly evicted where there is no server that knows, in microseconds; 0 where it was not.
    left_at: AtomicU64,
    /// The row that was put, where rows have versions.
    row: OnceLock<Box<PutRow>>,
}

/// Puts of rows that the last one of them remembers.
pub(crate) const PUTS_LISTED: usize = 8;

/// A row that a writer put, where rows have versions, and the marks of its key's stripe that nothing but such puts came after. Where
/// there is a server, that keeps the same with its record.
#[derive(Debug)]
pub(crate) struct PutRow {
    pub(crate) version: u64,
    since: SmallVec<[u64; PUTS_LISTED]>,
}

impl PutRow {
    /// One that was put when the stripe was `before`, in the place of another.
    pub(crate) fn after(version: u64, before: u64, other: Option<&Self>) -> Self {
        let others = other.map(|other| other.since.as_slice()).unwrap_or_default();
        Self { version, since: [before].into_iter().chain(others.iter().copied()).take(PUTS_LISTED).collect() }
    }

    /// Whether nothing but puts of rows came since the stripe was so.
    pub(crate) fn follows(&self, stripe: u64) -> bool {
        self.since.contains(&stripe)
    }
}

impl EntryMeta {
    pub(crate) fn new(key: &Key, slot: TypeId, partition: u16, version: u64, times: Times, stamp: Stamp) -> Self {
        let Times { created, load_time, deadlines, expires, kept_until } = times;
        Self {
            words: SmallVec::from_slice(key.words()),
            slot,
            partition,
            is_negative: false,
            version,
            created,
            load_time,
            deadlines,
            expires,
            kept_until,
            depends: OnceLock::new(),
            stripe: AtomicU64::new(stamp.stripe),
            epoch: AtomicU64::new(stamp.epoch),
            stood_at: AtomicU64::new(Moves::NEVER),
            left_at: AtomicU64::new(0),
            row: OnceLock::new(),
        }
    }

    /// That of *nothing*, or of an error, if `is_negative`.
    pub(crate) fn negative(mut self, is_negative: bool) -> Self {
        self.is_negative = is_negative;
        self
    }

    /// What an entry that stands for several has of its own: the key, and a slot that no value has.
    fn of_several(first: &Self) -> Self {
        Self {
            words: first.words.clone(),
            slot: TypeId::of::<Several>(),
            is_negative: false,
            depends: OnceLock::new(),
            stripe: AtomicU64::new(0),
            epoch: AtomicU64::new(0),
            stood_at: AtomicU64::new(Moves::NEVER),
            left_at: AtomicU64::new(0),
            row: OnceLock::new(),
            ..*first
        }
    }

    /// The stamp that the entry was loaded or last revalidated under.
    #[inline]
    pub(crate) fn stamp(&self) -> Stamp {
        Stamp { stripe: self.stripe.load(Ordering::Acquire), epoch: self.epoch.load(Ordering::Acquire) }
    }

    /// The server confirmed the version to a question asked under `stamp`.
    ///
    /// Two writers may leave a mixture. Both numbers only grow, so a mixture that equals the present pair was confirmed by a
    /// question asked after the later of the two moved: a mixture can only cost a revalidation, never spare one.
    pub(crate) fn restamp(&self, stamp: Stamp) {
        self.stripe.store(stamp.stripe, Ordering::Release);
        self.epoch.store(stamp.epoch, Ordering::Release);
    }

    /// It was softly evicted, and no server knows. The first time counts.
    pub(crate) fn leave(&self, at: u64) {
        let _first = self.left_at.compare_exchange(0, at.max(1), Ordering::AcqRel, Ordering::Acquire);
    }

    /// What this process alone knows of it.
    pub(crate) fn verdict_alone(&self) -> Verdict {
        match self.left_at.load(Ordering::Acquire) {
            0 => Verdict::Current,
            at => Verdict::Left(at),
        }
    }

    /// The row that was put, where rows have versions.
    pub(crate) fn row(&self) -> Option<&PutRow> {
        self.row.get().map(Box::as_ref)
    }

    /// Says which row it is. Once, before anybody else sees the entry.
    pub(crate) fn put_row(&self, row: PutRow) {
        let _first = self.row.set(Box::new(row));
    }

    /// Says what the value depends on. Only the first word counts.
    pub(crate) fn hold(&self, held: Vec<Held>) {
        // Two words would come from two loads, and an entry has one.
        let _first = self.depends.set(Depends::On(held.into_boxed_slice()));
    }

    /// Says that the value was loaded while no server could be asked, and what was seen of its tags before.
    pub(crate) fn hold_provisionally(&self, seen: Vec<Seen>) {
        let _first = self.depends.set(Depends::Provisional(seen.into_boxed_slice()));
    }

    /// The generations that the value depends on; none before [`hold`](Self::hold), and none of a provisional one.
    pub(crate) fn held(&self) -> Option<&[Held]> {
        match self.depends.get() {
            Some(Depends::On(held)) => Some(held),
            _ => None,
        }
    }

    /// A hash of the tags that the value depends on, and of their generations.
    pub(crate) fn hash_of_tags(&self) -> u64 {
        let held = self.held().unwrap_or_default();
        let mut all: Vec<_> =
            held.iter().map(|(cell, generation)| format!("{}={generation}", cell.tag().wire())).collect();
        all.sort_unstable();
        xxh3_64(all.join("\n").as_bytes())
    }

    /// Whether the value was loaded while no server could be asked.
    pub(crate) fn is_provisional(&self) -> bool {
        matches!(self.depends.get(), Some(Depends::Provisional(_)))
    }

    /// Whether each tag is known to be where it was, or, of a provisional value, whether nothing was said about it.
    pub(crate) fn tags_stand(&self) -> bool {
        match self.depends.get() {
            Some(Depends::On(held)) => held.iter().all(|(cell, generation)| cell.stands(*generation)),
            Some(Depends::Provisional(seen)) => seen.iter().all(Seen::unhinted),
            None => false,
        }
    }

    /// Whether nothing was said about any tag, whatever was missed.
    pub(crate) fn tags_unhinted(&self) -> bool {
        match self.depends.get() {
            Some(Depends::On(held)) => held.iter().all(|(cell, generation)| cell.unhinted_since(*generation)),
            Some(Depends::Provisional(seen)) => seen.iter().all(Seen::unhinted),
            None => false,
        }
    }

    /// The partitions of all records that the entry depends on.
    pub(crate) fn partitions(&self) -> impl Iterator<Item = u16> {
        let held = self.held().unwrap_or_default();
        [self.partition].into_iter().chain(held.iter().map(|(cell, _)| cell.partition()))
    }

    /// Whether no mark has moved since the entry was last found to stand; `moved` is how often they have now.
    #[inline]
    pub(crate) fn unmoved(&self, moved: u64) -> bool {
        self.stood_at.load(Ordering::Acquire) == moved
    }

    /// All marks were looked at after `moved` was read, and the entry stands.
    pub(crate) fn stood(&self, moved: u64) {
        self.stood_at.store(moved, Ordering::Release);
    }
}

/// One decoded value of one key: what a hit needs stands first.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Entry {
    pub(crate) value: Box<dyn Any + Send + Sync>,
    pub(crate) meta: EntryMeta,
}

/// The value of an entry that stands for several, one for each type that its key was decoded as.
#[derive(Debug)]
struct Several(Box<[Arc<Entry>]>);

/// More types than this under one key are not kept.
const TYPES_PER_KEY: usize = 8;

impl Entry {
    /// Of what L1 holds under one hash, the entry of `key` that answers for `slot`: nearly always itself.
    #[inline]
    pub(crate) fn of<'a>(self: &'a Arc<Self>, key: &Key, slot: TypeId) -> Option<&'a Arc<Self>> {
        let entry = if self.meta.slot == slot { self } else { self.one_of_several(slot)? };
        same(&entry.meta.words, key.words()).then_some(entry)
    }

    #[cold]
    fn one_of_several(self: &Arc<Self>, slot: TypeId) -> Option<&Arc<Self>> {
        self.each().iter().find(|entry| entry.meta.slot == slot)
    }

    /// Of what L1 holds under one hash, every entry.
    pub(crate) fn each(self: &Arc<Self>) -> &[Arc<Self>] {
        self.value.downcast_ref::<Several>().map_or(std::slice::from_ref(self), |several| &several.0)
    }

    /// What L1 is to hold under the key of this entry, where it held `present`: this one instead of what was there for the same
    /// type or for another key, beside the others.
    pub(crate) fn beside(self: Arc<Self>, present: Option<&Arc<Self>>) -> Arc<Self> {
        let others = present.map(Self::each).unwrap_or_default();
        let kept =
            others.iter().filter(|other| other.meta.slot != self.meta.slot && other.meta.words == self.meta.words);
        let all: Vec<_> = [Arc::clone(&self)].into_iter().chain(kept.cloned()).take(TYPES_PER_KEY).collect();
        if all.len() == 1 {
            return self;
        }
        let meta = EntryMeta::of_several(&self.meta);
        Arc::new(Self { meta, value: Box::new(Several(all.into())) })
    }
}

/// Whether two keys are the same in words. Word by word: for so few a call of `memcmp` costs more than comparing them.
#[inline]
fn same(some: &[u64], others: &[u64]) -> bool {
    some.len() == others.len() && some.iter().zip(others).all(|(one, other)| one == other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_count_down() {
        let deadlines = Deadlines::fresh_for(1_000, Duration::from_micros(500));
        assert!(deadlines.fresh_at(1_499));
        assert!(!deadlines.fresh_at(1_500));
        assert_eq!(deadlines.fresh_left(1_200), Duration::from_micros(300));
        assert_eq!(deadlines.life_left(9_000), Duration::ZERO);
    }

    #[test]
    fn what_comes_after_freshness_is_counted_from_its_end() {
        let micros = Duration::from_micros;
        let deadlines = Deadlines::fresh_and_then(1_000, micros(500), micros(50), micros(70));
        let Deadlines { fresh_until, stale_until, fail_safe_until, .. } = deadlines;
        assert_eq!((fresh_until, stale_until, fail_safe_until), (1_500, 1_550, 1_570));
        assert_eq!(deadlines.life_left(1_500), micros(70));
    }

    #[test]
    fn softly_evicted_is_as_if_it_had_ended_to_be_fresh_then() {
        let micros = Duration::from_micros;
        let deadlines = Deadlines::fresh_and_then(1_000, micros(500), micros(50), micros(70));
        let left = deadlines.left(1_100, 1_120);
        assert_eq!((left.fresh_until, left.stale_until, left.fail_safe_until), (1_100, 1_150, 1_170));
        assert_eq!(left.life_left(1_120), micros(50));
        let later = deadlines.left(1_520, 1_530);
        assert_eq!((later.fresh_until, later.stale_until), (1_500, 1_550), "no longer than it had");
    }

    #[test]
    fn softly_evicted_is_never_fresh_whatever_the_clock_says() {
        let micros = Duration::from_micros;
        let left = Deadlines::fresh_and_then(1_000, micros(500), micros(50), micros(70)).left(1_400, 1_200);
        assert_eq!(left.fresh_until, 1_200, "a version may be ahead of the time");
        assert!(!left.fresh_at(1_100) && left.fresh_left(1_100).is_zero(), "the server's clock stepped back");
    }

    #[test]
    fn softly_evicted_to_its_end_is_old_until_it_would_have_been_however_often() {
        let micros = Duration::from_micros;
        let deadlines = Deadlines::fresh_for(1_000, micros(500));
        let left = deadlines.left_to(Afterlife::ToItsEnd, 1_200, 1_210);
        for left in [left, left.left_to(Afterlife::ToItsEnd, 1_300, 1_310), left.left_to(Afterlife::ToItsEnd, 900, 910)]
        {
            assert!(left.fresh_until <= 1_200 && !left.fresh_at(1_000));
            assert_eq!(left.life_left(1_310), micros(190));
        }
    }

    #[test]
    fn softly_evicted_without_anything_after_freshness_is_of_no_use() {
        let left = Deadlines::fresh_for(1_000, Duration::from_micros(500)).left(1_200, 1_100);
        assert!(left.life_left(1_100).is_zero());
    }
}
