//! What `validate` hands to `expand`: every question is answered.

use proc_macro2::TokenStream;
use syn::{Expr, Ident, Pat, Type};

use crate::item::Item;
use crate::template::Template;

/// One attribute on one function.
pub(crate) struct Spec {
    /// The path of `cache-core`.
    pub(crate) krate: TokenStream,
    pub(crate) item: Item,
    /// The declared result, `()` where there is none.
    pub(crate) output: TokenStream,
    pub(crate) running: Running,
    pub(crate) cache: CacheFrom,
    pub(crate) when: Option<Expr>,
    pub(crate) work: Work,
}

/// Where the body runs.
pub(crate) enum Running {
    /// In the caller: the spelling says that something is borrowed.
    Inline,
    /// In its own task, if the types say that everything can be owned. With the name of an option that is of no use
    /// elsewhere, where it is reported if they don't.
    Asked {
        questions: Vec<TokenStream>,
        lent: Vec<Lent>,
        /// What a body that is repeated takes by value; nothing for one that runs once.
        again: Option<Vec<Again>>,
        needed_by: Option<Ident>,
    },
}

/// A borrowed argument that is owned for a task.
pub(crate) struct Lent {
    /// The name it has outside; `self` is a name here.
    pub(crate) outside: Ident,
    pub(crate) inside: Pat,
    pub(crate) ty: TokenStream,
    pub(crate) is_option: bool,
}

/// A moved argument of which a body that is repeated gets one each time.
pub(crate) struct Again {
    /// The name it has outside; `self` is a name here.
    pub(crate) outside: Ident,
    pub(crate) inside: Ident,
}

/// Where the cache is found.
pub(crate) enum CacheFrom {
    Expression(Expr),
    Field,
    Installed,
}

/// What the attribute does.
pub(crate) enum Work {
    Read(Box<Read>),
    Write(Box<Write>),
    Behind(Box<Behind>),
}

/// `#[cacheable]`.
pub(crate) struct Read {
    pub(crate) batch: Option<Batch>,
    pub(crate) name: Naming,
    pub(crate) tags: Vec<KeySpec>,
    pub(crate) overrides: Overrides,
    pub(crate) unless: Option<Expr>,
    pub(crate) ttl_with: Option<Expr>,
    /// With the name of the option, where an error that can't be cached is reported.
    pub(crate) cache_err: Option<(Ident, Expr)>,
    pub(crate) share_err: Option<Expr>,
    pub(crate) rev: Option<Expr>,
}

/// Each element of an argument has an entry of its own.
pub(crate) struct Batch {
    pub(crate) element: Ident,
    /// The argument, as the function has it and as its body does.
    pub(crate) all: Ident,
    pub(crate) inside: Pat,
    /// Without lifetimes: the elements that are missing live in the load.
    pub(crate) ty: Type,
}

/// `#[cache_put]` and `#[cache_evict]`.
pub(crate) struct Write {
    /// The entries that the result becomes.
    pub(crate) put: Option<Put>,
    pub(crate) evict: Vec<KeySpec>,
    pub(crate) evict_tags: Vec<KeySpec>,
    pub(crate) scopes: Vec<String>,
    pub(crate) phase: Phase,
    /// What it evicts is old then, and not gone.
    pub(crate) softly: bool,
    pub(crate) keep_on_error: bool,
    /// The transaction that it is a part of.
    pub(crate) unit: Option<Expr>,
}

/// `#[cache_put(behind = ..)]`.
pub(crate) struct Behind {
    pub(crate) key: KeySpec,
    pub(crate) handle: Expr,
    /// The name of the option, where an error that can't say what the journal said is reported.
    pub(crate) name: Ident,
}

pub(crate) struct Put {
    /// At least one.
    pub(crate) keys: Vec<KeySpec>,
    pub(crate) tags: Vec<KeySpec>,
    pub(crate) overrides: Overrides,
    pub(crate) unless: Option<Expr>,
    pub(crate) rev: Option<Expr>,
    /// The version of the row, over the result.
    pub(crate) version: Option<Expr>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    After,
    Before,
    Both,
}

/// Durations of this call site, as expressions.
#[derive(Default)]
pub(crate) struct Overrides {
    pub(crate) ttl: Option<TokenStream>,
    pub(crate) l1: Option<TokenStream>,
    pub(crate) negative: Option<TokenStream>,
    pub(crate) stale: Option<TokenStream>,
    pub(crate) fail_safe: Option<TokenStream>,
    pub(crate) soft: Option<TokenStream>,
    /// With the name of the option, where an error that can't say so is reported.
    pub(crate) hard: Option<(Ident, TokenStream)>,
    pub(crate) warm_up: Option<TokenStream>,
}

/// What names an entry.
pub(crate) enum Naming {
    Template(KeySpec),
    /// No `key`: the function, and these arguments.
    Private(Vec<Ident>),
}

/// A template whose names are resolved.
pub(crate) struct KeySpec {
    pub(crate) template: Template,
    /// What comes after the literal head.
    pub(crate) parts: Vec<Part>,
}

pub(crate) enum Part {
    Literal(String),
    /// Known before the body.
    Argument(TokenStream),
    /// Over the result, as `it`.
    Result(TokenStream),
}

// === impl KeySpec ===

impl KeySpec {
    pub(crate) fn needs_result(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Result(_)))
    }
}
