//! What one call asks of the cache.

use std::{
    any::Any,
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use super::ask::with_heads;
use crate::{
    entry::Afterlife,
    error::TimedOut,
    flight::{Lead, SharedError, Told, Voice},
    key::Key,
    policy::Overrides,
    value::ValueOps,
};

/// Where a call site stands, for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub(crate) struct Place {
    /// The function that carries the attribute, or what was called by hand.
    pub(crate) function: &'static str,
    /// The source file.
    pub(crate) file: &'static str,
    /// The line in it.
    pub(crate) line: u32,
}

impl Place {
    /// A place.
    #[must_use]
    pub(crate) const fn new(function: &'static str, file: &'static str, line: u32) -> Self {
        Self { function, file, line }
    }

    #[track_caller]
    pub(crate) fn of_caller(function: &'static str) -> Self {
        let caller = std::panic::Location::caller();
        Self { function, file: caller.file(), line: caller.line() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}:{})", self.function, self.file, self.line)
    }
}

/// How the error of a failed load reaches the callers that waited for it.
pub struct ShareOps<E> {
    /// A copy that can be handed around.
    pub share: fn(&E) -> SharedError,
    /// The error back from such a copy; `None` if it is another type's.
    pub take: fn(&(dyn Any + Send + Sync)) -> Option<E>,
}

impl<E> Clone for ShareOps<E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for ShareOps<E> {}

impl<E: Clone + Send + Sync + 'static> ShareOps<E> {
    /// Shares by `Clone`.
    #[must_use]
    pub fn by_clone() -> Self {
        Self { share: |error| Arc::new(error.clone()), take: |shared| shared.downcast_ref::<E>().cloned() }
    }
}

/// A judgement on a loaded value, or on *nothing*.
pub type Judge<T> = Arc<dyn Fn(Option<&T>) -> bool + Send + Sync>;

/// How long a value lives.
pub(crate) type LifeOf<T> = Arc<dyn Fn(&T) -> Duration + Send + Sync>;

/// The tags that a value names.
pub(crate) type TagsOf<T> = Arc<dyn Fn(&T) -> Vec<Key> + Send + Sync>;

/// What hears what a load says before it has landed.
pub type Hears = Box<dyn Fn(Arc<dyn Any + Send + Sync>) + Send + Sync>;

/// How a load speaks to those who wait for it in this process, once it runs. It need not have been asked for by whoever made this.
#[derive(Clone, Default)]
pub struct Teller(Arc<OnceLock<Voice>>);

impl Teller {
    /// Whether the load runs for others than its own caller, or may come to.
    #[must_use]
    pub fn is_heard(&self) -> bool {
        self.0.get().is_some()
    }

    /// Says something about the value to come, which has these tags besides those of its key; nothing if nobody can hear it.
    pub fn tell(&self, what: Arc<dyn Any + Send + Sync>, result_tags: &[Key]) {
        if let Some(voice) = self.0.get() {
            voice.tell(Told { what, result_tags: with_heads(result_tags).collect() });
        }
    }

    /// The load begins.
    pub(super) fn begin(&self, lead: &Lead) {
        // It is one load's, and that begins once.
        let _once = self.0.set(lead.voice());
    }
}

impl fmt::Debug for Teller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Teller").finish_non_exhaustive()
    }
}

/// Which errors are cached, and what can be done with them.
pub(crate) type Chosen<E> = (fn(&E) -> bool, &'static ValueOps<E>);

/// What a call site says about what its loads return. Each may be left out.
pub(crate) struct Rules<T: 'static, E: 'static> {
    /// Do not store what this says yes to.
    pub(crate) unless: Option<Judge<T>>,
    /// How long this value lives; may only shorten.
    pub(crate) ttl_with: Option<LifeOf<T>>,
    /// Tags that only the value can name.
    pub(crate) result_tags: Option<TagsOf<T>>,
    /// Which errors are cached, for as long as *nothing* is, and how to encode them.
    pub(crate) cache_err: Option<Chosen<E>>,
    /// How an error reaches those who waited.
    pub(crate) share_err: Option<ShareOps<E>>,
    /// Which errors are no failures: answers that are not to be stored.
    pub(crate) passes: Option<fn(&E) -> bool>,
    /// How to say that a load took longer than its hard timeout. There is one wherever the site has such a timeout.
    pub(crate) timed_out: Option<fn(TimedOut) -> E>,
    /// How long what was softly evicted is found.
    pub(crate) afterlife: Afterlife,
    /// By what the load speaks to those who wait for it.
    pub(crate) teller: Option<Teller>,
    /// What hears what another load says, while this call waits for that.
    pub(crate) hears: Option<Hears>,
}

impl<T, E> Default for Rules<T, E> {
    fn default() -> Self {
        Self {
            unless: None,
            ttl_with: None,
            result_tags: None,
            cache_err: None,
            share_err: None,
            passes: None,
            timed_out: None,
            afterlife: Afterlife::default(),
            teller: None,
            hears: None,
        }
    }
}

impl<T, E> Clone for Rules<T, E> {
    fn clone(&self) -> Self {
        let Self { unless, ttl_with, result_tags, cache_err, share_err, passes, timed_out, afterlife, .. } = self;
        Self {
            unless: unless.clone(),
            ttl_with: ttl_with.clone(),
            result_tags: result_tags.clone(),
            cache_err: *cache_err,
            share_err: *share_err,
            passes: *passes,
            timed_out: *timed_out,
            afterlife: *afterlife,
            // What is said is said while one load runs.
            teller: None,
            hears: None,
        }
    }
}

impl<T, E> Rules<T, E> {
    /// A load failed: its error for those who waited, if it can be told to more than one.
    pub(crate) fn share(&self, error: &E) -> Option<SharedError> {
        self.share_err.map(|ops| (ops.share)(error))
    }

    /// The error of the load that was waited for; nothing where each who waited is to load for itself.
    pub(crate) fn take(&self, shared: Option<SharedError>) -> Option<E> {
        let (error, ops) = shared.zip(self.share_err)?;
        (ops.take)(&*error)
    }
}

impl<T, E> fmt::Debug for Rules<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules").finish_non_exhaustive()
    }
}

/// One call: its key, its tags, the type of its value, and the rules of its site.
#[derive(Debug)]
pub(crate) struct Call<T: 'static, E: 'static> {
    /// The key.
    pub(crate) key: Key,
    /// Tags known before the load.
    pub(crate) tags: Vec<Key>,
    /// The shapes of all tag templates that the site declares, sorted.
    pub(crate) shape_tags: Vec<u64>,
    /// Where the call is made.
    pub(crate) place: Place,
    /// What can be done with the value.
    pub(crate) ops: &'static ValueOps<T>,
    /// Whether the caller can be told *nothing*.
    pub(crate) none: bool,
    /// What the site says about lives.
    pub(crate) overrides: Overrides,
    /// A value counts only if it was made later than this, in microseconds of Redis time.
    pub(crate) newer_than: u64,
    /// The site's revision of the value's layout.
    pub(crate) rev: u32,
    /// What the site says about results.
    pub(crate) rules: Rules<T, E>,
}

impl<T, E> Clone for Call<T, E> {
    fn clone(&self) -> Self {
        let Self { key, tags, shape_tags, place, ops, none, overrides, newer_than, rev, rules } = self;
        Self {
            key: key.clone(),
            tags: tags.clone(),
            shape_tags: shape_tags.clone(),
            place: *place,
            ops,
            none: *none,
            overrides: *overrides,
            newer_than: *newer_than,
            rev: *rev,
            rules: rules.clone(),
        }
    }
}
