//! Asking L2: what is read before the first command, the read, the revalidation, and the capture before a load.

use std::{borrow::Cow, sync::Arc, time::Duration};

use super::{Call, Inner, scopes::ScopeState};
use crate::{
    budget::Budget,
    cell::{Seen, TagCell},
    clock::Tick,
    entry::{Deadlines, Entry, EntryMeta, Held, Spot, Stamp, Times},
    error::{Error, ErrorKind},
    flight::Departure,
    journal::Mark,
    key::{Key, ScopeId},
    policy::Resolved,
    stats::Count,
    tag::TagId,
    tier::{Op, Record, Reply},
    value::ValueOps,
    version::{Verdict, Versions},
    wire::{self, Expect, Header, PayloadKind},
};

/// What a call depends on, as it was before its first command.
#[derive(Clone)]
pub(super) struct Watch {
    pub(super) at: Tick,
    pub(super) spot: Spot,
    pub(super) stamp: Stamp,
    /// Hints on any tag so far.
    pub(super) sequence: u64,
    /// Fences so far, of any primary.
    pub(super) fences: u64,
    /// The cells of the namespace, the scopes and the tags known before the load.
    pub(super) cells: Vec<Seen>,
}

/// What the server said of tags during one call. Of the others this node believes what their cells know, as long as nothing
/// can have been missed.
#[derive(Default)]
pub(super) struct Believed {
    said: Vec<(Arc<TagCell>, Versions)>,
    /// What cannot be read was counted by the first look.
    is_second_look: bool,
}

impl Believed {
    fn said(&self, cell: &Arc<TagCell>) -> Option<&Versions> {
        self.said.iter().find(|(other, _)| Arc::ptr_eq(cell, other)).map(|(_, versions)| versions)
    }

    /// What a capture was told, for a payload that its call has looked at before.
    pub(super) fn of(captured: &Captured) -> Self {
        // Of what was left softly it knows nothing: whoever looks again looks for what is fresh.
        let said = captured.held.iter().map(|(cell, generation)| (Arc::clone(cell), Versions::at(*generation)));
        Self { said: said.collect(), is_second_look: true }
    }

    fn hear(&mut self, asked: Seen, versions: Versions) {
        asked.learn(&versions);
        self.said.push((asked.cell, versions));
    }
}

impl Watch {
    /// What those who want to board the flight compare.
    pub(super) fn departure(&self) -> Departure {
        let Self { at, spot, stamp, sequence, .. } = *self;
        Departure { at, spot, stamp, sequence, watched: self.cells.clone() }
    }
}

/// What was captured before the load: what is loaded belongs to it, and is stored only while it stands.
pub(super) struct Captured {
    pub(super) version: u64,
    pub(super) held: Vec<Held>,
    /// Where a change is found that the origin does not have yet.
    pub(super) pending: Option<Mark>,
}

impl Inner {
    /// Reads every mark that a later change would move. To be called before the first command.
    pub(super) fn watch(&self, key: &Key, scope: &ScopeState, tags: &[Key]) -> Watch {
        let at = self.clock.now();
        let spot = self.coherence.spot(key);
        let fences = self.coherence.fences();
        let stamp = self.coherence.stamp(spot);
        let sequence = self.tags.sequence();
        let mut cells = scope.cells.to_vec();
        for cell in self.cells_of(tags) {
            if !cells.iter().any(|known| Arc::ptr_eq(known, &cell)) {
                cells.push(cell);
            }
        }
        let cells = cells.iter().map(TagCell::seen).collect();
        Watch { at, spot, stamp, sequence, fences, cells }
    }

    /// The cells of tags, and of the head of each tag's template, which is what an eviction moves when it knows the template
    /// but not yet the value.
    pub(super) fn cells_of(&self, tags: &[Key]) -> Vec<Arc<TagCell>> {
        with_heads(tags).map(|tag| self.tags.cell(&tag)).collect()
    }

    /// One trip, within the call's budget. What an untrusted server says is an error.
    pub(super) async fn ask(&self, budget: &mut Budget, ops: Vec<Op>) -> Result<Vec<Reply>, Error> {
        let untrusted = || Error::new(ErrorKind::Untrusted, "redis", "an eviction is not in force there yet");
        if !self.trusts(&ops) {
            return Err(untrusted());
        }
        let before = self.recovery.queued_so_far();
        let replies = budget.spend(&self.clock, self.remote.run(ops)).await.inspect_err(|error| {
            self.counters.add(Count::RemoteErrors);
            tracing::debug!(%error, "Redis did not answer");
        })?;
        // An eviction that went unconfirmed meanwhile may be missing in what was read.
        if self.recovery.queued_so_far() == before { Ok(replies) } else { Err(untrusted()) }
    }

    /// Whether what Redis says to these can be used.
    fn trusts(&self, ops: &[Op]) -> bool {
        self.remote.trusts(ops) && (self.recovery.waiting() == 0 || self.recovery.trusts(ops.iter().map(Op::record)))
    }

    /// What the tags of a value say of it; and what it would hold of them, if not what it holds.
    ///
    /// Both from one look at each tag: one that is evicted in between must not be where a value says that it is.
    pub(super) fn verdict_of_tags(&self, believed: &Believed, held: &[Held]) -> (Verdict, Option<Vec<Held>>) {
        let look = |(cell, generation): &Held| self.verdict_of_tag(believed, cell, *generation);
        if held.iter().all(|held| look(held).0 == Verdict::Current) {
            return (Verdict::Current, None);
        }
        let mut all = Verdict::Current;
        let held = held.iter().map(|held| {
            let (verdict, current) = look(held);
            all = all.and(verdict);
            (Arc::clone(&held.0), current)
        });
        let held = held.collect();
        (all, Some(held))
    }

    /// What a tag says of a value that belongs to this generation of it, and where the tag is now. One that nobody knows anything
    /// of is equal to nothing.
    fn verdict_of_tag(&self, believed: &Believed, cell: &Arc<TagCell>, generation: u64) -> (Verdict, u64) {
        if let Some(said) = believed.said(cell) {
            return (said.verdict(generation), said.current());
        }
        let known = self.coherence.coherent_in([cell.partition()]).then(|| cell.verdict(generation)).flatten();
        known.unwrap_or((Verdict::Gone, generation))
    }

    /// Whether this node may believe that it knows where a tag is.
    fn believes(&self, believed: &Believed, cell: &Arc<TagCell>) -> bool {
        believed.said(cell).is_some() || (self.coherence.coherent_in([cell.partition()]) && cell.known().is_some())
    }

    /// The cells that have to be asked about, as they are before the question.
    pub(super) fn unknown<'a>(&self, cells: impl Iterator<Item = &'a Arc<TagCell>>, believed: &Believed) -> Vec<Seen> {
        cells.filter(|cell| !self.believes(believed, cell)).map(TagCell::seen).collect()
    }

    /// Reads L2: an entry that is of some use still, whose version is the current one and whose tags all stand, or nothing.
    pub(super) async fn read<T: 'static, E: 'static>(
        &self,
        call: &Call<T, E>,
        scope: &ScopeState,
        watch: &Watch,
        budget: &mut Budget,
    ) -> Result<Option<Arc<Entry>>, Error> {
        let Some(op) = self.read_op(call) else { return Ok(None) };
        let mut believed = Believed::default();
        let unknown = self.unknown(watch.cells.iter().map(|seen| &seen.cell), &believed);
        let mut ops = vec![op];
        ops.extend(unknown.iter().map(|seen| generation_of(&seen.cell)));
        let mut replies = self.ask(budget, ops).await?.into_iter();
        let read = replies.next();
        hear_all(&mut believed, unknown, replies)?;
        self.judge(call, scope, watch, &mut believed, read, budget).await
    }

    /// The operation that reads the payload of a call's type; nothing where no payloads are kept.
    pub(super) fn read_op<T: 'static, E: 'static>(&self, call: &Call<T, E>) -> Option<Op> {
        if !self.remote.stores() {
            return None;
        }
        match (call.ops.fingerprint)(self.codec, call.rev) {
            Ok(fingerprint) => Some(Op::Read { key: call.key.clone(), fingerprint }),
            Err(error) => {
                // Said again, as a warning, when a value is to be stored.
                tracing::debug!(%error, "no fingerprint");
                None
            }
        }
    }

    /// What the answer to a read is worth.
    pub(super) async fn judge<T: 'static, E: 'static>(
        &self,
        call: &Call<T, E>,
        scope: &ScopeState,
        watch: &Watch,
        believed: &mut Believed,
        read: Option<Reply>,
        budget: &mut Budget,
    ) -> Result<Option<Arc<Entry>>, Error> {
        let (versions, payload) = match read {
            Some(Reply::Read { versions: Some(versions), payload: Some(payload) }) => (versions, payload),
            // Nobody answered, which is not "nothing": of several primaries, one may be away.
            Some(Reply::Failed(error)) => return Err(error),
            _ => return Ok(None),
        };
        let is_counted = !believed.is_second_look;
        let undecodable = |reason: &str| {
            if is_counted {
                self.counters.add(Count::Undecodable);
            }
            tracing::debug!(reason, scope = call.key.scope().name(), "a payload that cannot be used");
        };
        let (header, payload) = match self.open(call, &payload) {
            Ok(opened) => opened,
            Err(reason) => {
                undecodable(reason);
                return Ok(None);
            }
        };
        let of_key = versions.verdict(header.version);
        if of_key == Verdict::Gone || header.deadlines().life_left(self.clock.remote_micros()).is_zero() {
            return Ok(None);
        }
        let Some((of_tags, held)) = self.tags_of(&header, watch, believed, budget).await? else { return Ok(None) };
        let now = self.clock.remote_micros();
        let deadlines = header.deadlines().after(of_key.and(of_tags), call.rules.afterlife, now);
        let Some(deadlines) = deadlines.filter(|deadlines| !deadlines.life_left(now).is_zero()) else {
            return Ok(None);
        };
        let meta = self.meta_of_read(call, &header, (versions.current(), deadlines), scope, watch);
        let Some(entry) = self.decode(call, &header, &payload, meta) else {
            undecodable("codec");
            return Ok(None);
        };
        entry.meta.hold(held);
        Ok(Some(entry))
    }

    fn open<'a, T: 'static, E: 'static>(
        &self,
        call: &Call<T, E>,
        payload: &'a [u8],
    ) -> Result<(Header<'a>, Cow<'a, [u8]>), &'static str> {
        let fingerprint = (call.ops.fingerprint)(self.codec, call.rev).map_err(|_| "fingerprint")?;
        let expect = Expect::of(self.codec, fingerprint, &call.key, &self.packing);
        wire::decode(payload, expect).map_err(wire::WireError::as_str)
    }

    fn decode<T: 'static, E: 'static>(
        &self,
        call: &Call<T, E>,
        header: &Header<'_>,
        payload: &[u8],
        meta: EntryMeta,
    ) -> Option<Arc<Entry>> {
        let max_bytes = payload.len();
        match header.kind {
            PayloadKind::Value => {
                let value = (call.ops.decode)(payload, self.codec, max_bytes).ok()?;
                Some(call.ops.entry(Some(value), meta))
            }
            PayloadKind::Nothing => Some(call.ops.entry(None, meta)),
            PayloadKind::Failure => {
                let (_, ops) = call.rules.cache_err?;
                let (fingerprint, payload) = payload.split_first_chunk::<8>()?;
                let same_type =
                    (ops.fingerprint)(self.codec, 0).is_ok_and(|own| own.get().to_le_bytes() == *fingerprint);
                let error = same_type.then(|| (ops.decode)(payload, self.codec, max_bytes).ok())??;
                Some(ops.failure_entry(error, meta))
            }
        }
    }

    fn meta_of_read<T: 'static, E: 'static>(
        &self,
        call: &Call<T, E>,
        header: &Header<'_>,
        (version, deadlines): (u64, Deadlines),
        scope: &ScopeState,
        watch: &Watch,
    ) -> EntryMeta {
        // Never restarts the clock: L1 keeps a value at most for what it still has.
        let load_time = Duration::from_micros(header.load_micros.into());
        let policy = scope.policy.with(call.overrides);
        let times = self.times(header.created, load_time, deadlines, &policy);
        EntryMeta::new(&call.key, ValueOps::<T>::slot(), watch.spot.partition, version, times, watch.stamp)
    }

    /// What the deadlines of a value come to in this process, from now on.
    pub(super) fn times(&self, created: u64, load_time: Duration, deadlines: Deadlines, policy: &Resolved) -> Times {
        let now = self.clock.now();
        let micros = self.clock.remote_micros_at(now);
        let (fresh, life) = (deadlines.fresh_left(micros), deadlines.life_left(micros));
        let ttl = deadlines.fresh_left(created);
        // Not 0, of which there is no logarithm.
        let early = policy.early(ttl, load_time, 1.0 - fastrand::f64());
        let kept = policy.l1.filter(|_| self.remote.stores()).map_or(life, |l1| l1.min(life));
        let (expires, kept_until) = (now.plus(fresh.saturating_sub(early).min(kept)), now.plus(kept));
        Times { created, load_time, deadlines, expires, kept_until }
    }

    /// What the tags in an envelope say of it and where they are now, if the call's own are among them.
    async fn tags_of(
        &self,
        header: &Header<'_>,
        watch: &Watch,
        believed: &mut Believed,
        budget: &mut Budget,
    ) -> Result<Option<(Verdict, Vec<Held>)>, Error> {
        let mut held: Vec<Held> = Vec::with_capacity(header.tags.len());
        for (wire, generation) in &header.tags {
            let Some(tag) = TagId::read(wire) else { return Ok(None) };
            held.push((self.tags.cell(&tag), *generation));
        }
        // An entry of a site that declared less must not escape an eviction of what it left out.
        let complete = watch.cells.iter().all(|seen| held.iter().any(|(cell, _)| Arc::ptr_eq(cell, &seen.cell)));
        if !complete {
            return Ok(None);
        }
        let unknown = self.unknown(held.iter().map(|(cell, _)| cell), believed);
        if !unknown.is_empty() {
            let ops = unknown.iter().map(|seen| generation_of(&seen.cell)).collect();
            let replies = self.ask(budget, ops).await?.into_iter();
            hear_all(believed, unknown, replies)?;
        }
        let (verdict, moved) = self.verdict_of_tags(believed, &held);
        Ok(Some((verdict, moved.unwrap_or(held))))
    }

    /// What a capture asks: the version of the key and the generations that the load or the put to come will belong to; what has no
    /// record gets one. And in the same trip something `more`: its operations, and what their answers will be about.
    pub(super) fn capture_question<'w>(
        &self,
        key: &Key,
        watch: &'w Watch,
        life: Duration,
        more: Vec<Op>,
        ops: &mut Vec<Op>,
    ) -> CaptureQuestion<'w> {
        let needs_until = self.clock.remote_micros_at(self.clock.now().plus(life));
        ops.push(Op::Acquire { record: Record::Control(key.clone()), needs: Some(life) });
        let mut asked = Vec::new();
        for seen in &watch.cells {
            let cell = &seen.cell;
            let needs = matches!(cell.tag(), TagId::Tag(_)).then_some(life);
            let lives = needs.is_none() || !self.remote.settles_doubts() || cell.lives_until(needs_until);
            if cell.known().is_none() || !lives {
                ops.push(Op::Acquire { record: Record::Tag(cell.tag().clone()), needs });
                asked.push((seen, needs));
            }
        }
        let count = more.len();
        ops.extend(more);
        CaptureQuestion { watch, asked, needs_until, more: count }
    }
}

/// A capture that was asked for.
pub(super) struct CaptureQuestion<'w> {
    watch: &'w Watch,
    asked: Vec<(&'w Seen, Option<Duration>)>,
    needs_until: u64,
    more: usize,
}

impl CaptureQuestion<'_> {
    /// What was answered, and to what was asked more; takes as many replies as it has operations.
    pub(super) fn captured(self, replies: &mut impl Iterator<Item = Reply>) -> Result<(Captured, Vec<Reply>), Error> {
        let Self { watch, asked, needs_until, more } = self;
        // All of them, whatever becomes of this one: the next question's follow.
        let first = replies.next();
        let pending = if let Some(Reply::Pending { mark, .. }) = &first { Some(mark.clone()) } else { None };
        let version = versions_of(first);
        let generations: Vec<_> = asked.iter().map(|_| versions_of(replies.next())).collect();
        let more = replies.take(more).collect();
        let version = version?.current();
        let mut held: Vec<Held> = Vec::with_capacity(watch.cells.len());
        for ((seen, needs), generation) in asked.into_iter().zip(generations) {
            let generation = generation?;
            seen.learn(&generation);
            if needs.is_some() {
                seen.cell.renewed(needs_until);
            }
            held.push((Arc::clone(&seen.cell), generation.current()));
        }
        for Seen { cell, .. } in &watch.cells {
            if held.iter().any(|(other, _)| Arc::ptr_eq(cell, other)) {
                continue;
            }
            match cell.known() {
                Some(generation) => held.push((Arc::clone(cell), generation)),
                // Hinted since it was found known: what is loaded now belongs to no generation that we could name.
                None => return Err(Error::new(ErrorKind::Untrusted, "capture", "a tag changed meanwhile")),
            }
        }
        Ok((Captured { version, held, pending }, more))
    }
}

/// Tags, and the head of each one's template.
pub(super) fn with_heads(tags: &[Key]) -> impl Iterator<Item = TagId> {
    let heads = tags.iter().map(Key::scope).filter(|head| *head != ScopeId::ROOT).map(TagId::Scope);
    tags.iter().cloned().map(TagId::Tag).chain(heads)
}

pub(super) fn generation_of(cell: &TagCell) -> Op {
    Op::Version { record: Record::Tag(cell.tag().clone()) }
}

/// Takes in what was said of tags.
///
/// # Errors
///
/// If somebody did not answer. What others said was heard all the same.
pub(super) fn hear_all(
    believed: &mut Believed,
    asked: Vec<Seen>,
    replies: impl Iterator<Item = Reply>,
) -> Result<(), Error> {
    let mut all = Ok(());
    for (seen, reply) in asked.into_iter().zip(replies) {
        match reply {
            Reply::Version(Some(versions)) => believed.hear(seen, versions),
            Reply::Failed(error) => all = Err(error),
            _ => {}
        }
    }
    all
}

/// What the record says in an answer to `Acquire`.
pub(super) fn versions_of(reply: Option<Reply>) -> Result<Versions, Error> {
    match reply {
        Some(Reply::Version(Some(versions)) | Reply::Pending { versions, .. }) => Ok(versions),
        Some(Reply::Failed(error)) => Err(error),
        _ => Err(Error::new(ErrorKind::Remote, "acquire", "the server gave no version")),
    }
}

impl Header<'_> {
    /// The deadlines in the envelope.
    pub(super) fn deadlines(&self) -> Deadlines {
        Deadlines {
            fresh_until: self.fresh_until,
            stale_until: self.stale_until,
            fail_safe_until: self.fail_safe_until,
            is_left: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::{Cache, many::call_of};

    #[tokio::test]
    async fn server_that_did_not_answer_has_not_said_that_there_is_nothing() {
        let (cache, key) = (Cache::in_memory(), Key::new("product").arg(7_u64));
        let (inner, call) = (&cache.0, call_of::<u64>(&key));
        let scope = inner.scopes.state(key.scope(), &inner.tags);
        let watch = inner.watch(&key, &scope, &[]);
        let away = || Reply::Failed(Error::new(ErrorKind::Unreachable, "cluster", "the primary is away"));
        let judged = async |read: Option<Reply>| {
            let (mut believed, mut budget) = (Believed::default(), Budget::new(inner.budget));
            inner.judge(&call, &scope, &watch, &mut believed, read, &mut budget).await
        };
        assert!(judged(Some(away())).await.is_err());
        let nothing = Reply::Read { versions: None, payload: None };
        assert!(judged(Some(nothing)).await.is_ok_and(|found| found.is_none()));
        let asked = watch.cells.clone();
        assert!(asked.len() > 1 && hear_all(&mut Believed::default(), asked, [away()].into_iter()).is_err());
    }
}
