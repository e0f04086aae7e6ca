//! One core for the server, one for its clients: what a thread starts runs where the thread may run.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Which core something runs on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Core {
    OfServers,
    OfClients,
}

/// Puts this thread back to where it was.
pub(crate) struct Pinned(CpuSet);

// === impl Core ===

impl Core {
    /// Keeps this thread, and what it starts, on the core until that is dropped. On a machine with one core, both are it.
    pub(crate) fn pin(self) -> Pinned {
        let before = sched_getaffinity(None).unwrap();
        let mut cores = (0..CpuSet::MAX_CPU).filter(|core| before.is_set(*core));
        let first = cores.next().expect("this thread runs on some core");
        let core = match self {
            Self::OfServers => first,
            Self::OfClients => cores.next().unwrap_or(first),
        };
        let mut only = CpuSet::new();
        only.set(core);
        sched_setaffinity(None, &only).unwrap();
        Pinned(before)
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let _ = sched_setaffinity(None, &self.0);
    }
}
