//! What the cache lends to its journals.

use std::{future::Future, sync::Arc};

use tokio_util::sync::CancellationToken;

use super::Inner;
use crate::{
    clock::Clock,
    key::{Key, ScopeId},
    tier::{Change, Record, RemoteTier},
    wire::Packing,
};

impl Inner {
    pub(crate) fn has_redis(&self) -> bool {
        self.remote.settles_doubts()
    }

    pub(crate) fn remote_tier(&self) -> Arc<dyn RemoteTier> {
        Arc::clone(&self.remote)
    }

    pub(crate) fn packing(&self) -> &Packing {
        &self.packing
    }

    pub(crate) fn clock_of_redis(&self) -> Clock {
        self.clock.clone()
    }

    pub(crate) fn remote_micros(&self) -> u64 {
        self.clock.remote_micros()
    }

    /// The largest value of a scope.
    pub(crate) fn max_bytes(&self, scope: ScopeId) -> usize {
        self.scopes.state(scope, &self.tags).policy.max_bytes
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.tasks.is_closed()
    }

    /// Starts work that ends by itself, or when the cache is closed.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> bool {
        !self.tasks.is_closed() && self.tasks.spawn(work)
    }

    /// Cancelled when the cache is closed.
    pub(crate) fn serve_until_closed(&self) -> CancellationToken {
        self.tasks.closing()
    }

    /// A change of the key was journaled, or nobody can say: no reader of this process sees the old value from here on.
    pub(crate) fn journaled(&self, key: &Key, is_confirmed: bool) {
        let record = Record::Control(key.clone());
        if self.remote.settles_doubts() {
            if is_confirmed {
                self.recovery.confirmed(vec![record], self.clock.now());
            } else {
                self.recovery.queue(vec![record]);
            }
        }
        let hash = key.local_hash();
        self.local.compute(hash, &mut |_| {
            self.coherence.move_stripe(hash);
            Change::Remove
        });
    }
}
