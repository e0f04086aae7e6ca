//! Writers inside of a transaction, and writers whose row is written by a journal.

use proc_macro2::Span;
use syn::{Expr, Ident};

use super::Check;
use crate::args::{Args, Keyed};
use crate::item;
use crate::spec::Behind;
use crate::template::Of;

impl Check<'_> {
    /// A write inside a transaction must not speak before the commit.
    pub(super) fn no_open_transaction(&mut self, args: &Args) {
        if args.autocommit.is_some() || args.has("unit") {
            return;
        }
        for parameter in self.parameters {
            if item::has_mut_reference(&parameter.ty) {
                self.diagnostics.at(
                    &parameter.ty,
                    "this may be a transaction that is still open when the call returns: evicted before its commit, the old row could be \
                     loaded again and kept; name the unit of work that ends with it (`unit = ..`), put the attribute on the function that \
                     commits, or add `autocommit` if this one does",
                );
            }
        }
    }

    pub(super) fn needs_a_key(&mut self, args: &Args) {
        if !args.has("key") {
            self.diagnostics.here(
                Span::call_site(),
                "a put needs `key = ..`, the entry that it writes: the same template as that of the function that reads it",
            );
        }
    }

    /// What a unit decides by itself.
    pub(super) fn refuse_beside_unit(&mut self, args: &Args) {
        // A journal refuses the unit itself.
        if !args.has("unit") || args.has("behind") {
            return;
        }
        let when = "when a unit evicts is settled: on entry, and again at its end, whatever the body returns";
        let refused: [(Option<&Ident>, &str); 4] = [
            (name(&args.phase), when),
            (name(&args.on_error), when),
            (name(&args.softly), "a unit evicts for good"),
            (
                name(&args.autocommit),
                "a unit ends with a transaction of the caller, and `autocommit` says that there is none",
            ),
        ];
        self.refuse(&refused, "unit");
    }

    /// What has no meaning where the body writes nothing, and no entry is stored.
    pub(super) fn refuse_beside_behind(&mut self, args: &Args) {
        if !args.has("behind") {
            return;
        }
        let stored = "the entry is stored by the function that reads the key, as that one says";
        let decides = "what is not journaled is written by nobody; decide in the body, and return an error";
        let evicts =
            "nothing is written before the body has returned, or if it fails, so there is nothing to evict then";
        let refused: [(Option<&Ident>, &str); 11] = [
            (name(&args.unit), "a journal is no part of a transaction, and a rollback would not take the write back"),
            (name(&args.tags), stored),
            (name(&args.ttl), stored),
            (name(&args.l1), stored),
            (name(&args.negative), stored),
            (name(&args.rev), stored),
            (name(&args.when), decides),
            (name(&args.unless), decides),
            (name(&args.phase), evicts),
            (name(&args.on_error), evicts),
            (name(&args.cache), "the journal has its cache"),
        ];
        self.refuse(&refused, "behind");
    }

    fn refuse(&mut self, refused: &[(Option<&Ident>, &str)], beside: &str) {
        for (name, why) in refused {
            if let Some(name) = name {
                self.diagnostics.at(name, format!("{why}: leave `{name}` away beside `{beside}`"));
            }
        }
    }

    pub(super) fn behind(&mut self, args: &mut Args, behind: Keyed<Expr>) -> Option<Behind> {
        self.needs_a_key(args);
        let key = args.key.take().and_then(|key| self.template(&key.value, Of::Key, true));
        Some(Behind { key: key?, handle: behind.value, name: behind.name })
    }
}

fn name<T>(option: &Option<Keyed<T>>) -> Option<&Ident> {
    option.as_ref().map(|option| &option.name)
}
