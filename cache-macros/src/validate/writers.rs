//! Writers inside of a transaction, and writers whose row is written by a journal.

use proc_macro2::Span;
use syn::{Expr, Ident};

use super::Check;
use crate::args::{Args, Keyed};
use crate::item;
use crate::spec::{Behind, KeySpec};
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
            (name(args.phase.as_ref()), when),
            (name(args.on_error.as_ref()), when),
            (name(args.softly.as_ref()), "a unit evicts for good"),
            (
                name(args.autocommit.as_ref()),
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
        let refused: [(Option<&Ident>, &str); 12] = [
            (
                name(args.unit.as_ref()),
                "a journal is no part of a transaction, and a rollback would not take the write back",
            ),
            (name(args.version.as_ref()), "a journal gives each write a version of its own"),
            (name(args.tags.as_ref()), stored),
            (name(args.ttl.as_ref()), stored),
            (name(args.l1.as_ref()), stored),
            (name(args.negative.as_ref()), stored),
            (name(args.rev.as_ref()), stored),
            (name(args.when.as_ref()), decides),
            (name(args.unless.as_ref()), decides),
            (name(args.phase.as_ref()), evicts),
            (name(args.on_error.as_ref()), evicts),
            (name(args.cache.as_ref()), "the journal has its cache"),
        ];
        self.refuse(&refused, "behind");
    }

    /// A row is compared with another where both are stored.
    pub(super) fn version_of_what_is_stored(&mut self, args: &Args, keys: &[KeySpec]) {
        if let Some(version) = &args.version
            && keys.iter().all(KeySpec::needs_result)
        {
            let message = "nothing is stored under a key that only the result can name, so there are no rows to compare: leave \
                           `version` away, or name the entry by the arguments";
            self.diagnostics.at(&version.name, message);
        }
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
        let mut keys = args.key.take().map(|key| key.value).unwrap_or_default().into_iter();
        let key = keys.next();
        if let Some(more) = keys.next() {
            self.diagnostics
                .at(more, "a journal writes one row for one key; the others are to be evicted when it is written");
        }
        let key = key.and_then(|key| self.template(&key, Of::Key, true));
        Some(Behind { key: key?, handle: behind.value, name: behind.name })
    }
}

fn name<T>(option: Option<&Keyed<T>>) -> Option<&Ident> {
    option.map(|option| &option.name)
}
