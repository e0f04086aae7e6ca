//! Conditional requests, of clients and to the origin, and what a 304 changes (RFC 9110 section 13, RFC 9111 section 4.3).

mod client;
mod origin;
mod tag;
mod update;
mod validators;

pub(crate) use client::{Chosen, Outcome, Side, evaluate, not_modified};
pub(crate) use origin::{Validation, Verdict, Wants, Whose, validate};
pub(crate) use tag::{EntityTag, Listed};
pub(crate) use update::{HeadEffect, Update, content_length, head_effect, is_about, merge};
#[cfg(test)]
pub(crate) use validators::testing;
pub(crate) use validators::{Dates, Validators, only};
