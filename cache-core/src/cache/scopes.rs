//! The policy of each scope of one cache, in one load.

use std::sync::{Arc, PoisonError};

use arc_swap::ArcSwap;

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
        let state = Arc::new(ScopeState {
            policy: tree.resolve(scope.name()),
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
