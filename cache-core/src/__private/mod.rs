//! What the expansions of the attributes touch. Nothing here is for people to use, and any release may change it.
//!
//! `site` is what a call site keeps, `kind` tells `Result`, `Option` and `Entry` by type, `own` tells whether a body can run in a task
//! of its own, `share` whether an error can be shared, `hard` whether it can say that a load took too long; `call` is what `#[cacheable]` hands its
//! body to, `Exchange` what `cache-tower` asks, `batch` what it does with many keys, `write` what `#[cache_put]` and `#[cache_evict]` do, `behind` what the
//! former does with a journal.
//!
//! Several of them choose by type with a ladder: a trait for each rung, implemented for one reference less than the rung
//! above it. A method call takes the first that fits, so the most special one wins, without specialization.

mod batch;
mod behind;
mod call;
mod hard;
mod kind;
mod own;
mod share;
mod site;
mod write;

// Not by their own paths, which a module or a crate of the user may shadow.
pub use ::core;
pub use std::{
    any::{type_name, type_name_of_val},
    boxed::Box,
    ops::ControlFlow,
    result::Result::{Err, Ok},
    sync::Arc,
    time::Duration,
    vec::Vec,
};

pub use self::{
    batch::{ViaOptions, ViaValues, batch},
    behind::{Behind, journals, says_not_journaled},
    call::{Plan, probe, probe_warm, reach, reach_installed, shared, stand_aside},
    hard::timed_out,
    kind::{EntryMaybe, Fallible, Kind, Maybe, MaybeEntry, One, OneEntry, Returned, Sure, error_ops, rungs, value_ops},
    own::{Ask, Inline, Lent, LentOption, Moved, Repeated, Task, ViaInline, ViaTask, in_background},
    share::{Sharing, ViaClone, ViaNothing},
    site::{Head, Site},
    write::Writing,
};
pub use crate::{
    cache::{AsUnit, Change, Exchange, Hears, Judge, Met, Says, ShareOps, Talk, Teller},
    installed::installed,
    key::{KeptPart, KeyPart, KeyWriter},
};
