//! The policy of each scope of one cache, in one load.

use std::{
    sync::{
        Arc, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::sync::Semaphore;

use crate::{
    cell::TagCell,
    error::Error,
    key::ScopeId,
    policy::{Explanation, Policy, PolicyTree, Resolved},
    sync::{Mutex, MutexGuard},
    tag::TagId,
    tags::Tags,
};

/// What a cache knows of a scope.
pub(super) struct ScopeState {
    pub(super) policy: Resolved,
    /// The namespace and each level of the scope.
    pub(super) cells: Box<[Arc<TagCell>]>,
    /// The turns of loads, where there is a limit to them.
    pub(super) loads: Option<Semaphore>,
    /// How long a load usually takes, in microseconds; 0 before the first.
    usual_load: AtomicU64,
}

impl ScopeState {
    /// How long a load usually takes, if one was ever seen.
    pub(super) fn usual_load(&self) -> Option<Duration> {
        let micros = self.usual_load.load(Ordering::Relaxed);
        (micros > 0).then(|| Duration::from_micros(micros))
    }

    /// A load took so long. Of two at once one may go unnoticed: it is an average.
    pub(super) fn took(&self, load_time: Duration) {
        let micros = u64::try_from(load_time.as_micros()).unwrap_or(u64::MAX).clamp(1, u64::MAX / 8);
        let before = self.usual_load.load(Ordering::Relaxed);
        let usual = if before == 0 { micros } else { (7 * before.min(u64::MAX / 8) + micros) / 8 };
        self.usual_load.store(usual, Ordering::Relaxed);
    }
}

type Table = Vec<Option<Arc<ScopeState>>>;

/// The scopes of one cache, by their interned number.
pub(super) struct Scopes {
    tree: Mutex<PolicyTree>,
    table: ArcSwap<Table>,
}

impl Scopes {
    pub(super) fn new(tree: PolicyTree) -> Self {
        Self { tree: Mutex::new(tree), table: ArcSwap::from_pointee(Vec::new()) }
    }

    pub(super) fn state(&self, scope: ScopeId, tags: &Tags) -> Arc<ScopeState> {
        if let Some(Some(state)) = self.table.load().get(scope.index()) {
            return Arc::clone(state);
        }
        let tree = self.lock();
        let named = scope.lineage().filter(|level| *level != ScopeId::ROOT);
        let levels = [TagId::Namespace].into_iter().chain(named.map(TagId::Scope));
        let policy = tree.resolve(scope.name());
        let state = Arc::new(ScopeState {
            policy,
            loads: policy.max_loads.map(|loads| Semaphore::new(loads.min(Semaphore::MAX_PERMITS))),
            usual_load: AtomicU64::new(0),
            cells: levels.map(|level| tags.cell(&level)).collect(),
        });
        let mut table = Table::clone(&self.table.load());
        if table.len() <= scope.index() {
            table.resize(scope.index() + 1, None);
        }
        table[scope.index()] = Some(Arc::clone(&state));
        self.table.store(Arc::new(table));
        drop(tree);
        state
    }

    pub(super) fn retune(&self, scope: Option<&str>, policy: Policy) -> Result<(), Error> {
        let mut tree = self.lock();
        match scope {
            Some(scope) => tree.set(scope, policy)?,
            None => tree.set_root(policy)?,
        }
        self.table.store(Arc::default());
        Ok(())
    }

    pub(super) fn explain(&self, scope: &str) -> Explanation {
        self.lock().explain(scope)
    }

    fn lock(&self) -> MutexGuard<'_, PolicyTree> {
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
