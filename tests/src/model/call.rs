//! The steps of a call that L1 does not answer at once: the confirmation, L2, the capture, the load, the fill.

use super::{
    event::Event,
    guards::Guard,
    rules::Source,
    state::{Held, NONE, Stamp, Tagging, Value},
    step::Turn,
    worker::{Seen, Stage},
};

impl Turn {
    pub(super) fn call(&mut self, worker: usize) -> Option<()> {
        match self.state.workers[worker].stage {
            Stage::Idle => self.begin_call(worker)?,
            Stage::Watched => self.look(worker),
            Stage::ConfirmAnswered => self.hear_confirmation(worker),
            Stage::Reading => self.read(worker),
            Stage::ReadAnswered | Stage::TagAnswered => self.hear_payload(worker),
            Stage::AskingTag => self.ask_tag_of_payload(worker),
            Stage::Capturing => self.capture(worker),
            Stage::CaptureAnswered => self.hear_capture(worker),
            Stage::Body => self.load(worker),
            Stage::Holding => self.hold(worker),
            Stage::HoldAnswered => self.hear_hold(worker),
            Stage::Waiting => self.wait(worker)?,
            Stage::Installing => self.install_loaded(worker),
            Stage::Filling => self.store(worker),
            Stage::Bumping | Stage::Bumped => unreachable!("a call changes nothing"),
        }
        Some(())
    }

    pub(super) fn node_of(&self, worker: usize) -> usize {
        usize::from(self.state.workers[worker].node)
    }

    /// Reads every mark that a later change would move, before the first command. What L1 answers at once is no step: in every
    /// state it is held against what is owed.
    fn begin_call(&mut self, worker: usize) -> Option<()> {
        let node = self.node_of(worker);
        if self.state.hit(self.protocol, node).is_some() && !self.doubts {
            return None;
        }
        let owed = self.owed(node);
        let call = self.worker(worker);
        call.runs -= 1;
        call.watch = Seen::NOW;
        call.owed = owed;
        self.goes_on(worker, Event::Begins, Stage::Watched);
        Some(())
    }

    /// L1 again, with a question to Redis where there is a doubt; else L2.
    fn look(&mut self, worker: usize) {
        let node = self.node_of(worker);
        if let Some(value) = self.state.hit(self.protocol, node).filter(|_| !self.doubts) {
            self.note(Event::HitLocal);
            return self.answer(worker, value, Source::Local);
        }
        if !self.trusts(node) {
            return self.go_alone(worker);
        }
        let Some(held) = self.state.nodes[node].held else { return self.read(worker) };
        self.worker(worker).value = held.value;
        self.worker(worker).yes = self.equals(self.state.redis.control, held.value.version);
        if self.has(Guard::ConfirmationReadsCells) {
            self.ask_if_unknown(worker);
        }
        self.goes_on(worker, Event::AsksWhetherItStands, Stage::ConfirmAnswered);
    }

    fn ask_if_unknown(&mut self, worker: usize) {
        if self.doubts || self.state.known(self.protocol, self.node_of(worker)).is_none() {
            self.worker(worker).said = self.state.redis.tag;
            self.worker(worker).asked = Some(Seen::NOW);
        }
    }

    /// Whether the tag is where a value has it: as Redis said, if it was asked; else as the node believes.
    fn hear_tag(&mut self, worker: usize, generation: u8) -> bool {
        let (node, said) = (self.node_of(worker), self.state.workers[worker].said);
        let known = |turn: &Self| turn.state.known(turn.protocol, node) == Some(generation);
        match self.worker(worker).asked.take() {
            Some(asked) => {
                self.worker(worker).said = NONE;
                self.learn(node, asked, said);
                let said_nothing = said == NONE && self.has(Guard::MissingIsAMiss);
                if said_nothing { known(self) } else { self.equals(said, generation) }
            }
            None => known(self),
        }
    }

    fn hear_confirmation(&mut self, worker: usize) {
        let (node, value) = (self.node_of(worker), self.state.workers[worker].value);
        let same_version = std::mem::take(&mut self.worker(worker).yes);
        let passes_unread = !self.has(Guard::ConfirmationReadsCells) && self.state.known(self.protocol, node).is_none();
        let same_generation = self.hear_tag(worker, value.generation) || passes_unread;
        if !(same_version && same_generation) {
            self.worker(worker).value = Value::default();
            return self.goes_on(worker, Event::StandsNot, Stage::Reading);
        }
        let watched = self.state.workers[worker].watch.stamp;
        let stamp = if self.has(Guard::MarksBeforeTheConfirmation) { watched } else { Stamp::CURRENT };
        // An entry that was replaced meanwhile is left alone.
        if let Some(held) = self.state.nodes[node].held.as_mut().filter(|held| held.value == value) {
            held.stamp = stamp;
        }
        self.note(Event::Stands);
        self.answer(worker, value, Source::Confirmed);
    }

    fn read(&mut self, worker: usize) {
        let payload = self.payload();
        self.worker(worker).value = payload.unwrap_or_default();
        self.worker(worker).yes = payload.is_some();
        if self.protocol.tagging == Tagging::Known {
            self.ask_if_unknown(worker);
        }
        self.goes_on(worker, Event::Reads, Stage::ReadAnswered);
    }

    fn hear_payload(&mut self, worker: usize) {
        let (node, value, counts) = {
            let call = &self.state.workers[worker];
            (self.node_of(worker), call.value, call.yes)
        };
        let is_unasked = self.state.workers[worker].asked.is_none();
        if counts && is_unasked && self.state.known(self.protocol, node).is_none() {
            return self.goes_on(worker, Event::LacksTheTag, Stage::AskingTag);
        }
        let stands = self.hear_tag(worker, value.generation);
        self.worker(worker).yes = false;
        if !(counts && stands) {
            self.worker(worker).value = Value::default();
            return self.goes_on(worker, Event::MissRemote, Stage::Capturing);
        }
        self.note(Event::HitRemote);
        self.install(worker, None);
        self.answer(worker, value, Source::Remote);
    }

    fn ask_tag_of_payload(&mut self, worker: usize) {
        self.ask_if_unknown(worker);
        self.goes_on(worker, Event::AsksForTheTag, Stage::TagAnswered);
    }

    /// Captures what the load, or the put, will belong to. What has no record gets one.
    pub(super) fn capture(&mut self, worker: usize) {
        self.worker(worker).value.version = self.acquire_control();
        let is_unknown = self.state.known(self.protocol, self.node_of(worker)).is_none();
        if self.protocol.tagging == Tagging::Known && is_unknown {
            self.worker(worker).said = self.acquire_tag();
        }
        self.goes_on(worker, Event::Captures, Stage::CaptureAnswered);
    }

    pub(super) fn hear_capture(&mut self, worker: usize) {
        let node = self.node_of(worker);
        let mut event = Event::HearsTheCapture;
        if self.protocol.tagging == Tagging::Known {
            let said = std::mem::take(&mut self.worker(worker).said);
            // By what was seen before the first command: earlier than the question, so never too late.
            self.learn(node, self.state.workers[worker].watch, said);
            let known = self.state.known(self.protocol, node);
            match Some(said).filter(|said| *said != NONE).or(known) {
                Some(generation) => self.worker(worker).value.generation = generation,
                None => {
                    self.worker(worker).value.version = NONE;
                    event = Event::CapturesNothing;
                }
            }
        }
        self.goes_on(worker, event, Stage::Body);
    }

    fn load(&mut self, worker: usize) {
        let row = self.state.row;
        let call = self.worker(worker);
        call.value.row = row;
        if call.value.version == NONE {
            self.note(Event::Loads);
            self.install_provisionally(worker);
            let value = self.state.workers[worker].value;
            return self.answer(worker, value, Source::Load);
        }
        let next = if self.protocol.tagging == Tagging::Known { Stage::Installing } else { Stage::Holding };
        self.goes_on(worker, Event::Loads, next);
    }

    /// A tag that only the result names is captured after the body.
    pub(super) fn hold(&mut self, worker: usize) {
        self.worker(worker).said = self.acquire_tag();
        self.worker(worker).asked = Some(Seen::NOW);
        self.goes_on(worker, Event::AsksForTheTagOfTheResult, Stage::HoldAnswered);
    }

    /// Its generation may be that of an eviction during the body, so everything told before the answer is let in first.
    pub(super) fn hear_hold(&mut self, worker: usize) {
        let said = std::mem::take(&mut self.worker(worker).said);
        if let Some(asked) = self.worker(worker).asked.take() {
            self.learn(self.node_of(worker), asked, said);
        }
        self.worker(worker).value.generation = said;
        if self.has(Guard::BarrierForTagsOfTheResult) {
            self.send_beat(worker);
            self.goes_on(worker, Event::SendsABeat, Stage::Waiting);
        } else {
            self.goes_on(worker, Event::GoesWithoutABeat, Stage::Waiting);
        }
    }

    /// Whether a value with a tag of its result may be stored, when that can be said.
    pub(super) fn may_hold(&mut self, worker: usize) -> Option<bool> {
        if !self.beat_heard(worker)? {
            self.note(Event::BeatLost);
            return Some(false);
        }
        let watch = self.state.workers[worker].watch;
        let is_quiet = watch.unhinted || !self.has(Guard::QuietSinceTheLoadBegan);
        let is_unfenced = watch.stamp.epoch || !self.has(Guard::NoFenceSinceTheLoadBegan);
        self.note(if is_quiet && is_unfenced { Event::MayStore } else { Event::TagOfTheResultMoved });
        Some(is_quiet && is_unfenced)
    }

    fn wait(&mut self, worker: usize) -> Option<()> {
        if self.may_hold(worker)? {
            self.worker(worker).stage = Stage::Installing;
        } else {
            self.worker(worker).end();
        }
        Some(())
    }

    fn install_loaded(&mut self, worker: usize) {
        let is_known = self.protocol.tagging == Tagging::Known;
        if is_known && !self.has(Guard::GenerationCapturedBeforeTheLoad) {
            let known = self.state.known(self.protocol, self.node_of(worker));
            let generation = &mut self.worker(worker).value.generation;
            *generation = known.unwrap_or(*generation);
        }
        self.install(worker, None);
        self.worker(worker).stage = Stage::Filling;
    }

    /// Puts a value into L1, unless its key was hinted at, evicted or fenced since the marks were read.
    fn install(&mut self, worker: usize, provisional: Option<bool>) {
        let (node, value, stamp) = {
            let call = &self.state.workers[worker];
            (self.node_of(worker), call.value, call.watch.stamp)
        };
        if stamp.stands() || !self.has(Guard::MarksBeforeTheFirstCommand) {
            self.state.nodes[node].held = Some(Held { value, stamp: Stamp::CURRENT, provisional });
            self.note(Event::Installs);
        } else {
            self.note(Event::InstallsNot);
        }
    }

    /// A value that belongs to no version, because Redis could not be asked: it depends on nothing having been said since.
    fn install_provisionally(&mut self, worker: usize) {
        let unhinted = self.state.workers[worker].watch.unhinted;
        if unhinted || self.protocol.tagging == Tagging::Known {
            self.note(Event::InstallsProvisionally);
            self.install(worker, Some(unhinted));
        }
    }

    fn store(&mut self, worker: usize) {
        let value = self.state.workers[worker].value;
        let stored = self.fill(value);
        self.note(if stored { Event::Fills } else { Event::FillRefused });
        self.worker(worker).end();
    }
}
