//! Which partitions of a journal are this process's: asked for, kept, shared evenly with the other processes that flush, given up.

use std::{collections::BTreeMap, sync::atomic::Ordering, time::Duration};

use super::shared::Shared;
use crate::{
    clock::Tick,
    error::Error,
    journal::{Ask, Parked, Position, Said, Standing},
    key::Key,
};

/// An ownership is lengthened when such a part of it is over.
pub(super) const RENEWALS: u32 = 3;
/// For how long a partition that is due may wait while others are.
const LONG: Duration = Duration::from_secs(10);
/// The first pause after the sink could not be reached.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// A partition of this process.
pub(super) struct Ours {
    pub(super) number: u16,
    pub(super) fence: u64,
    pub(super) cursor: Position,
    pub(super) parked: BTreeMap<String, (Key, Parked)>,
    /// Nothing is known yet of what the sink has committed.
    pub(super) is_new: bool,
    /// What the sink has committed, and the journal does not know.
    pub(super) committed: Option<Position>,
    pub(super) due: Tick,
    pub(super) pause: Duration,
    /// What there is was left to gather at the last look.
    pub(super) gathers: bool,
    /// There is something to read, or nobody knows.
    pub(super) has_entries: bool,
}

enum Slot {
    /// Another's, as far as is known. To be asked for then, under a fence above the last one of this process: it may be that something
    /// is under way under that.
    Foreign {
        due: Tick,
        above: u64,
    },
    Idle(Box<Ours>),
    /// In a lane.
    Busy,
}

/// What this process knows of each partition.
pub(super) struct Slots {
    all: Vec<Slot>,
    /// How many it flushes at most, where others flush too.
    share: usize,
}

// === impl Ours ===

impl Ours {
    pub(super) fn new(number: u16, fence: u64, cursor: Position, due: Tick) -> Self {
        Self {
            number,
            fence,
            cursor,
            parked: BTreeMap::new(),
            is_new: true,
            committed: None,
            due,
            pause: FIRST_PAUSE,
            gathers: false,
            has_entries: true,
        }
    }
}

// === impl Slots ===

impl Slots {
    pub(super) fn new(partitions: u16, now: Tick) -> Self {
        Self { all: (0..partitions).map(|_| Slot::Foreign { due: now, above: 0 }).collect(), share: partitions.into() }
    }

    /// When the first of them is due; of its own only if there is a lane for it.
    pub(super) fn due(&self, has_lane: bool) -> Option<Tick> {
        let due = |slot: &Slot| match slot {
            Slot::Foreign { due, .. } => Some(*due),
            Slot::Idle(ours) if has_lane => Some(ours.due),
            _ => None,
        };
        self.all.iter().filter_map(due).min()
    }

    /// Takes one of its own that is due into a lane. The first by its number: the others gather meanwhile, which makes fewer batches than
    /// turns would. But before all others one that has waited for long.
    pub(super) fn take_due(&mut self, now: Tick) -> Option<Box<Ours>> {
        let due =
            |slot: &Slot| if let Slot::Idle(ours) = slot { Some(ours.due).filter(|due| *due <= now) } else { None };
        let all = self.all.iter().enumerate();
        let long_ago = now.minus(LONG);
        let (_, number) = all.filter_map(|(number, slot)| Some((due(slot)?.min(long_ago), number))).min()?;
        match std::mem::replace(&mut self.all[number], Slot::Busy) {
            Slot::Idle(ours) => Some(ours),
            Slot::Foreign { .. } | Slot::Busy => None,
        }
    }

    /// It comes back from its lane.
    pub(super) fn put_back(&mut self, ours: Box<Ours>) {
        let number = usize::from(ours.number);
        self.all[number] = Slot::Idle(ours);
    }

    /// What this process had under that fence is another's by now, or nobody knows: to be asked for then.
    pub(super) fn lost(&mut self, shared: &Shared, number: u16, fence: u64, then: Tick) {
        shared.disowned(number);
        self.all[usize::from(number)] = Slot::Foreign { due: then, above: fence };
    }

    /// Has those looked at that have a batch's worth, or all of them where nothing more comes. The others go on gathering: what is
    /// flushed with few changes is written once more for the next ones.
    pub(super) fn make_due(&mut self, shared: &Shared) {
        let (is_draining, batch, now) = (*shared.draining.borrow(), shared.tuning.batch as u64, shared.clock.now());
        for (slot, fresh) in self.all.iter_mut().zip(&shared.fresh) {
            if let Slot::Idle(ours) = slot {
                // One that waits for the sink goes on waiting.
                if ours.pause == FIRST_PAUSE && (is_draining || fresh.load(Ordering::Relaxed) >= batch) {
                    ours.due = ours.due.min(now);
                }
            }
        }
    }

    /// Lengthens what is owned, says that this process is there, and gives up what is above its share by now.
    pub(super) async fn renew(&mut self, shared: &Shared) {
        let owned: Vec<(u16, u64)> = shared.lock_owned().iter().map(|(number, fence)| (*number, *fence)).collect();
        let mut asks = vec![(0, shared.present_ask())];
        asks.extend(owned.iter().map(|(number, _)| (*number, shared.own_ask(0))));
        let Ok(said) = shared.ask_all(asks).await else { return };
        let mut said = said.into_iter();
        if let Some(Ok(Said::Present(flushers))) = said.next() {
            self.share = self.all.len().div_ceil(flushers.max(1));
        }
        for ((number, fence), said) in owned.into_iter().zip(said) {
            // Whoever is in a lane finds out when it advances.
            let is_kept = matches!(said, Ok(Said::Owned(Some((now, _)))) if now == fence);
            if !is_kept && !matches!(self.all[usize::from(number)], Slot::Busy) {
                self.lost(shared, number, fence, shared.clock.now());
            }
        }
        self.give_up_surplus(shared).await;
    }

    /// Gives up as many as are above its share, of those that are in no lane: what is under way is finished by whoever began it.
    async fn give_up_surplus(&mut self, shared: &Shared) {
        let surplus = shared.lock_owned().len().saturating_sub(self.share);
        if surplus == 0 {
            return;
        }
        let idle = |slot: &Slot| if let Slot::Idle(ours) = slot { Some((ours.number, ours.fence)) } else { None };
        let given: Vec<(u16, u64)> = self.all.iter().filter_map(idle).take(surplus).collect();
        let then = shared.clock.now().plus(shared.tuning.owned);
        for (number, fence) in &given {
            self.lost(shared, *number, *fence, then);
        }
        let asks = given.into_iter().map(|(number, fence)| (number, shared.disown_ask(fence))).collect();
        // What is not given up ends by itself.
        let _best_effort = shared.ask_all(asks).await;
    }

    /// Asks for partitions that are nobody's, up to its share, and for those whose owner is not heard of any more.
    pub(super) async fn ask_for_foreign(&mut self, shared: &Shared) {
        let now = shared.clock.now();
        let due = |slot: &Slot| match slot {
            Slot::Foreign { due, above } if *due <= now => Some(*above),
            _ => None,
        };
        let due = (0..).zip(&self.all).filter_map(|(number, slot)| Some((number, due(slot)?)));
        let mut due: Vec<(u16, u64)> = due.collect();
        if due.is_empty() {
            return;
        }
        // Several that look for their share do not look for the same ones first.
        fastrand::shuffle(&mut due);
        let wanted = match self.wanted_of(shared, &due).await {
            Ok(wanted) => wanted,
            Err(error) => {
                tracing::debug!(%error, "partitions of a journal cannot be asked for");
                Vec::new()
            }
        };
        for (number, above) in due {
            // Somebody else may be gone by then; not all processes at once.
            let due = shared.clock.now().plus(shared.tuning.owned.mul_f64(0.2 + 0.2 * fastrand::f64()));
            self.all[usize::from(number)] = Slot::Foreign { due, above };
        }
        let asks = wanted.iter().map(|(number, above)| (*number, shared.own_ask(*above))).collect();
        for ((number, _), said) in wanted.into_iter().zip(shared.ask_all(asks).await.unwrap_or_default()) {
            if let Ok(Said::Owned(Some((fence, cursor)))) = said {
                shared.lock_owned().insert(number, fence);
                self.put_back(Box::new(Ours::new(number, fence, cursor, now)));
            }
        }
    }

    /// Those of `due` that this process is to flush.
    async fn wanted_of(&self, shared: &Shared, due: &[(u16, u64)]) -> Result<Vec<(u16, u64)>, Error> {
        let owner = shared.owner;
        let said = shared.ask_all(due.iter().map(|(number, _)| (*number, Ask::Standing { owner })).collect()).await?;
        let mut room = self.share.saturating_sub(shared.lock_owned().len());
        let mut is_wanted = |said: &Result<Said, Error>| match said {
            Ok(Said::Standing(Standing::Own | Standing::Ended)) => true,
            Ok(Said::Standing(Standing::Free)) if room > 0 => {
                room -= 1;
                true
            }
            _ => false,
        };
        Ok(due.iter().zip(&said).filter_map(|(wanted, said)| is_wanted(said).then_some(*wanted)).collect())
    }

    /// Gives up everything, and is no longer one of those that flush.
    pub(super) async fn give_up_all(self, shared: &Shared) {
        let owned: Vec<(u16, u64)> = std::mem::take(&mut *shared.lock_owned()).into_iter().collect();
        let mut asks = vec![(0, Ask::Absent { owner: shared.owner })];
        asks.extend(owned.into_iter().map(|(number, fence)| (number, shared.disown_ask(fence))));
        // What is not given up ends by itself.
        let _best_effort = shared.ask_all(asks).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_taken_first_but_after_those_that_have_waited_for_long() {
        let at = |millis: u64| Tick::ZERO.plus(Duration::from_millis(millis));
        let mut slots = Slots::new(5, at(0));
        for (number, due) in [(0, at(19_900)), (1, at(10_500)), (2, at(8_000)), (3, at(7_000)), (4, at(20_001))] {
            slots.put_back(Box::new(Ours::new(number, 1, Position::START, due)));
        }
        let taken: Vec<u16> = std::iter::from_fn(|| Some(slots.take_due(at(20_000))?.number)).collect();
        assert_eq!(taken, [3, 2, 0, 1]);
    }
}
