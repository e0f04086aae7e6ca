//! Recording a type: it is read from nothing, again and again, until each variant of each enum was seen.
//!
//! One run reads one value. Wherever there is something to choose (a sample, a length, a variant), the run notes the
//! choice; a run that the type refuses is repeated with the last choice changed, then the one before it, and so on. A run
//! that succeeds is hashed, and the next one goes where variants are still unseen. Recursion ends by itself: an `Option` or
//! list inside a value of its own type is left empty, an enum inside itself takes a variant that is known to end. Steps
//! and depth are limited, so no type can make it run for ever.

use std::{
    any::type_name,
    cell::{Cell, RefCell},
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
};

use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::Xxh3;

use super::ask::{Ask, Halt};

/// Questions in all runs together: a tenth of a second at most, and few types need a thousandth of it.
const MAX_STEPS: u32 = 1 << 19;
/// Levels in one run. The type's own code runs at each, and its frames can be large.
const MAX_DEPTH: u32 = 64;
/// From this level on an enum takes a variant that is known to end, if there is one.
const DEEP: u32 = 24;
/// Inside itself so many times, an enum takes a variant that is known to end, or none.
const MAX_INSIDE_ITSELF: usize = 4;

/// What was found out about a type.
pub(super) struct Recording {
    /// Hash of everything that the type asked for.
    pub(super) digest: u64,
    /// All of the type was seen.
    pub(super) whole: bool,
    /// The type asked for what only a self-describing format can answer.
    pub(super) describing: bool,
}

/// The state of a recording. Never borrowed while the type's own code runs.
pub(super) struct Recorder {
    pub(super) self_describing: bool,
    run: RefCell<Run>,
    /// What was found in this run, and in those that were kept.
    marks: Cell<Marks>,
    kept: Cell<Marks>,
    /// Set: give up, keep what there is.
    stopped: Cell<bool>,
    /// The run failed on purpose, with its choices already put right.
    again: Cell<bool>,
    /// Nothing else has helped.
    may_leave_empty: Cell<bool>,
    steps_left: Cell<u32>,
    depth: Cell<u32>,
}

#[derive(Clone, Copy, Default)]
struct Marks {
    /// Something was left out.
    partial: bool,
    describing: bool,
}

#[derive(Default)]
struct Run {
    log: Xxh3,
    events: u32,
    choices: Vec<Choice>,
    cursor: usize,
    /// Optional and repeated types that are open, outermost first.
    path: Vec<&'static str>,
    /// Variants that are being read, outermost first.
    open: Vec<Open>,
    /// The sample that a type took last.
    taken: HashMap<&'static str, usize>,
    enums: Vec<Enum>,
    /// For each enum, the distance to unseen variants when the run began.
    away: Vec<usize>,
    /// `enums` after the last run that succeeded.
    settled: Vec<Enum>,
}

/// A point where a run could have gone another way.
#[derive(Default)]
struct Choice {
    chosen: usize,
    options: usize,
    /// The option that leaves something out.
    empty: Option<usize>,
    /// The option to begin with; the others follow in a circle.
    first: usize,
    /// Variants in the order of trying, where the choice is one of those.
    variants: Vec<usize>,
    /// Names that the type itself handed over: of fields, or of texts that it takes.
    names: Option<Vec<&'static str>>,
}

#[derive(Clone)]
struct Enum {
    /// The compiler's name tells apart what has the same name and variants; it is compared, never hashed.
    type_name: &'static str,
    names: Vec<&'static str>,
    variants: Vec<Variant>,
}

#[derive(Clone, Default)]
struct Variant {
    seen: bool,
    /// The type has the name but refuses it, as `OsString` does with the variants of other systems.
    unusable: bool,
    /// Smallest number of events it took; known once it ended.
    ended: Option<u32>,
    /// Enums directly inside.
    inside: Vec<usize>,
}

/// One level deeper, until dropped.
pub(super) struct Level<'r> {
    recorder: &'r Recorder,
    on_path: bool,
}

/// A variant that is being read.
struct Open {
    of: usize,
    variant: usize,
    /// Events of the run when it was opened.
    events: u32,
}

/// Records what `T` asks for when it is read.
pub(super) fn record<T: DeserializeOwned>(self_describing: bool) -> Recording {
    let recorder = Recorder::new(self_describing);
    let mut all = Xxh3::new();
    let mut furthest = (0, 0);
    loop {
        recorder.begin();
        // The type's own code meets values that it may never have met; a panic there is one more way to refuse.
        let read = catch_unwind(AssertUnwindSafe(|| T::deserialize(Ask::new(&recorder)).map(drop)));
        let (events, digest) = recorder.digest();
        if events > furthest.0 {
            furthest = (events, digest);
        }
        if recorder.stopped.get() {
            break;
        }
        if matches!(read, Ok(Ok(()))) {
            all.update(&digest.to_le_bytes());
            if recorder.settle() {
                continue;
            }
            let Marks { partial, describing } = recorder.kept.get();
            return Recording { digest: all.digest(), whole: !partial && recorder.all_seen(), describing };
        }
        if !recorder.step_back() {
            break;
        }
    }
    recorder.keep();
    all.update(&furthest.1.to_le_bytes());
    Recording { digest: all.digest(), whole: false, describing: recorder.kept.get().describing }
}

// === impl Recorder: runs ===

impl Recorder {
    fn new(self_describing: bool) -> Self {
        Self {
            self_describing,
            run: RefCell::default(),
            marks: Cell::default(),
            kept: Cell::default(),
            stopped: Cell::new(false),
            again: Cell::new(false),
            may_leave_empty: Cell::new(false),
            steps_left: Cell::new(MAX_STEPS),
            depth: Cell::new(0),
        }
    }

    fn begin(&self) {
        let run = &mut *self.run.borrow_mut();
        run.log = Xxh3::new();
        run.events = 0;
        run.cursor = 0;
        run.path.clear();
        run.open.clear();
        run.enums.clone_from(&run.settled);
        run.measure();
        self.depth.set(0);
        self.again.set(false);
        self.marks.take();
    }

    fn digest(&self) -> (u32, u64) {
        let run = self.run.borrow();
        (run.events, run.log.digest())
    }

    /// Keeps what a successful run saw; says whether another run is worth it.
    fn settle(&self) -> bool {
        self.keep();
        let run = &mut *self.run.borrow_mut();
        let seen = |enums: &[Enum]| -> usize { enums.iter().map(Enum::seen).sum() };
        let progress = seen(&run.enums) > seen(&run.settled);
        run.settled.clone_from(&run.enums);
        run.choices.clear();
        progress && !run.settled.iter().all(Enum::is_done)
    }

    fn all_seen(&self) -> bool {
        self.run.borrow().settled.iter().all(Enum::is_done)
    }

    /// Changes the last choice that has another option; says whether there was one. Leaving things empty comes after
    /// everything else has failed.
    fn step_back(&self) -> bool {
        if self.again.get() {
            return true;
        }
        let run = &mut *self.run.borrow_mut();
        while let Some(choice) = run.choices.last_mut() {
            choice.chosen += 1;
            if choice.empty == Some(choice.chosen) && !self.may_leave_empty.get() {
                choice.chosen += 1;
            }
            if choice.chosen < choice.options {
                return true;
            }
            run.choices.pop();
        }
        !self.may_leave_empty.replace(true)
    }

    fn keep(&self) {
        let (marks, kept) = (self.marks.get(), self.kept.get());
        let partial = marks.partial || kept.partial;
        self.kept.set(Marks { partial, describing: marks.describing || kept.describing });
    }

    /// Ends the whole recording at a question without an answer.
    pub(super) fn stop(&self) -> Halt {
        self.stopped.set(true);
        Halt::Refused
    }

    /// A question that only a self-describing format can answer.
    pub(super) fn needs_description(&self) {
        self.marks.set(Marks { describing: true, ..self.marks.get() });
    }

    pub(super) fn leave_partial(&self) {
        self.marks.set(Marks { partial: true, ..self.marks.get() });
    }
}

// === impl Recorder: what the type asks ===

impl Recorder {
    /// One question: a letter for its kind, then whatever tells it from others of the kind.
    pub(super) fn note(&self, kind: u8, names: &[&str], number: usize) -> Result<(), Halt> {
        self.step()?;
        let run = &mut *self.run.borrow_mut();
        run.events += 1;
        run.log.update(&[kind]);
        run.log.update(&(number as u64).to_le_bytes());
        run.log.update(&(names.len() as u64).to_le_bytes());
        for name in names {
            run.log.update(&(name.len() as u64).to_le_bytes());
            run.log.update(name.as_bytes());
        }
        Ok(())
    }

    /// Anything that a type could go on doing for ever.
    pub(super) fn step(&self) -> Result<(), Halt> {
        let left = self.steps_left.get().checked_sub(1).ok_or_else(|| self.stop())?;
        self.steps_left.set(left);
        Ok(())
    }

    pub(super) fn enter(&self) -> Result<Level<'_>, Halt> {
        let depth = self.depth.get() + 1;
        if depth > MAX_DEPTH {
            return Err(Halt::Refused);
        }
        self.depth.set(depth);
        Ok(Level { recorder: self, on_path: false })
    }

    /// Enters a type that can be left empty; `None` if it should be, as it is open already.
    pub(super) fn enter_optional<V>(&self) -> Result<Option<Level<'_>>, Halt> {
        let name = type_name::<V>();
        if self.run.borrow().path.contains(&name) {
            return Ok(None);
        }
        let mut level = self.enter()?;
        self.run.borrow_mut().path.push(name);
        level.on_path = true;
        Ok(Some(level))
    }

    /// Which of `options` to take here; gives the place of the choice too.
    pub(super) fn choose(&self, options: usize) -> (usize, usize) {
        self.choose_from(Choice { options, ..Choice::default() })
    }

    /// The same where the option `empty` shows nothing of what could be inside: a last resort.
    pub(super) fn choose_or_leave(&self, options: usize, empty: usize) -> (usize, usize) {
        let (place, at) = self.choose_from(Choice { options, empty: Some(empty), ..Choice::default() });
        if at == empty {
            self.leave_partial();
        }
        (place, at)
    }

    /// The same for samples, beginning with the one that the type `V` took last.
    pub(super) fn choose_sample<V>(&self, options: usize) -> (usize, usize) {
        let first = self.run.borrow().taken.get(type_name::<V>()).copied().unwrap_or(0);
        self.choose_from(Choice { options, first, ..Choice::default() })
    }

    fn choose_from(&self, choice: Choice) -> (usize, usize) {
        let run = &mut *self.run.borrow_mut();
        let place = run.cursor;
        run.cursor += 1;
        if place == run.choices.len() {
            run.choices.push(choice);
        }
        let choice = &run.choices[place];
        (place, (choice.first + choice.chosen) % choice.options.max(1))
    }

    /// The type `V` took the sample.
    pub(super) fn taken<V>(&self, sample: usize) {
        if sample > 0 {
            self.run.borrow_mut().taken.insert(type_name::<V>(), sample);
        }
    }

    /// The names that the type handed over at this place, if it did.
    pub(super) fn names(&self, place: usize) -> Option<Vec<&'static str>> {
        self.run.borrow().choices.get(place).and_then(|choice| choice.names.clone())
    }

    /// Repeats the run with these names at this place, where there are then so many options.
    pub(super) fn again_with(&self, place: usize, names: Vec<&'static str>, options: usize) {
        let run = &mut *self.run.borrow_mut();
        run.choices.truncate(place + 1);
        if let Some(choice) = run.choices.get_mut(place) {
            *choice = Choice { options, names: Some(names), ..Choice::default() };
            self.again.set(true);
        }
    }
}

// === impl Recorder: enums ===

impl Recorder {
    /// Opens the variant whose turn it is.
    pub(super) fn open<V>(&self, names: &[&'static str]) -> Result<usize, Halt> {
        let (of, order) = self.run.borrow_mut().order(type_name::<V>(), names, self.depth.get());
        let (place, at) = self.choose_from(Choice { options: order.len(), variants: order, ..Choice::default() });
        let run = &mut *self.run.borrow_mut();
        let variant = run.choices[place].variants.get(at).copied().ok_or(Halt::Refused)?;
        // A type that asks differently each time may meet a choice made for another enum.
        run.enums[of].variants.get_mut(variant).ok_or(Halt::Refused)?.seen = true;
        run.open.push(Open { of, variant, events: run.events });
        Ok(variant)
    }

    /// How many variants are open; those opened later are closed together.
    pub(super) fn open_variants(&self) -> usize {
        self.run.borrow().open.len()
    }

    /// Closes the variants above so many, having read them to their end or not.
    pub(super) fn close(&self, open_variants: usize, to_the_end: bool) {
        let run = &mut *self.run.borrow_mut();
        while run.open.len() > open_variants {
            let Some(Open { of, variant, events }) = run.open.pop() else { return };
            let (events, variant) = (run.events - events, &mut run.enums[of].variants[variant]);
            if to_the_end {
                variant.unusable = false;
                variant.ended = Some(variant.ended.map_or(events, |before| before.min(events)));
            }
        }
    }

    /// The type refused the variant opened last by its name alone.
    pub(super) fn unusable(&self) {
        let run = &mut *self.run.borrow_mut();
        if let Some(&Open { of, variant, .. }) = run.open.last() {
            let Enum { type_name, names, .. } = &run.enums[of];
            let settled = Enum::find(&mut run.settled, type_name, names);
            run.settled[settled].variants[variant].unusable = true;
        }
    }
}

// === impl Run ===

impl Run {
    /// The enum's place, and its variants in the order of trying: unseen ones, one that leads to unseen ones elsewhere,
    /// then those that end, the shortest first. Deep down an enum had better end, and far inside itself it has to.
    fn order(&mut self, type_name: &'static str, names: &[&'static str], depth: u32) -> (usize, Vec<usize>) {
        let of = Enum::find(&mut self.enums, type_name, names);
        if let Some(&Open { of: outer, variant, .. }) = self.open.last() {
            let inside = &mut self.enums[outer].variants[variant].inside;
            if !inside.contains(&of) {
                inside.push(of);
            }
        }
        let inside_itself = self.open.iter().filter(|open| open.of == of).count();
        let variants = &self.enums[of].variants;
        let mut order: Vec<usize> =
            (0..variants.len()).filter(|&at| !variants[at].seen && !variants[at].unusable).collect();
        if order.is_empty() && inside_itself == 0 {
            order.extend(self.leading(of));
        }
        let mut ending: Vec<usize> = (0..variants.len()).filter(|&at| variants[at].ended.is_some()).collect();
        ending.sort_by_key(|&at| variants[at].ended);
        if inside_itself >= MAX_INSIDE_ITSELF {
            order = ending;
        } else if depth >= DEEP {
            ending.extend(order);
            order = ending;
        } else {
            order.extend(ending);
        }
        let mut listed = vec![false; self.enums[of].variants.len()];
        order.retain(|&at| !std::mem::replace(&mut listed[at], true));
        (of, order)
    }

    /// The variant of an enum from which the way to an unseen variant elsewhere is shortest.
    fn leading(&self, of: usize) -> Option<usize> {
        let variants = &self.enums[of].variants;
        let nearest = (0..variants.len()).min_by_key(|&at| self.through(&variants[at]))?;
        (self.through(&variants[nearest]) < usize::MAX).then_some(nearest)
    }

    fn through(&self, variant: &Variant) -> usize {
        variant.inside.iter().filter_map(|&at| self.away.get(at)).copied().min().unwrap_or(usize::MAX)
    }

    /// How many enums each enum is away from one with unseen variants.
    fn measure(&mut self) {
        self.away = self.enums.iter().map(|each| if each.is_done() { usize::MAX } else { 0 }).collect();
        let mut moved = self.away.contains(&0);
        while moved {
            moved = false;
            for at in 0..self.enums.len() {
                let nearest = self.enums[at].variants.iter().map(|variant| self.through(variant)).min();
                let away = nearest.unwrap_or(usize::MAX).saturating_add(1);
                if away < self.away[at] {
                    self.away[at] = away;
                    moved = true;
                }
            }
        }
    }
}

// === impl Enum ===

impl Enum {
    fn find(known: &mut Vec<Self>, type_name: &'static str, names: &[&'static str]) -> usize {
        known.iter().position(|each| each.type_name == type_name && each.names == names).unwrap_or_else(|| {
            known.push(Self { type_name, names: names.to_vec(), variants: vec![Variant::default(); names.len()] });
            known.len() - 1
        })
    }

    fn seen(&self) -> usize {
        self.variants.iter().filter(|variant| variant.seen).count()
    }

    fn is_done(&self) -> bool {
        self.variants.iter().all(|variant| variant.seen || variant.unusable)
    }
}

impl Drop for Level<'_> {
    fn drop(&mut self) {
        self.recorder.depth.set(self.recorder.depth.get() - 1);
        if self.on_path {
            self.recorder.run.borrow_mut().path.pop();
        }
    }
}
