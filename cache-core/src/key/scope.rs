//! Scopes: the literal heads of keys, by number.
//!
//! A call site asks for the policy of its scope on every call, so a scope is a small number that indexes a table.
//! The numbers hold for this process.

use std::collections::HashMap;
use std::fmt;
use std::iter;
use std::sync::{LazyLock, PoisonError, RwLock};

use foldhash::fast::RandomState;

/// The literal head of a template, `product:stock`: what a policy is set for and what `evict_scope` reaches.
///
/// Scopes are hierarchical: `product` is above `product:stock`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScopeId(u32);

/// Scopes there can be in a process. They come from source text, so this is far away; it bounds what a program that
/// passes data to `Key::new` can leak.
const MAX_SCOPES: usize = 65_536;
/// Bytes of one segment of a scope.
const MAX_SEGMENT: usize = 64;
/// Bytes of a scope's name.
const MAX_NAME: usize = 200;

#[derive(Clone, Copy)]
struct Scope {
    name: &'static str,
    parent: Option<ScopeId>,
}

struct Interner {
    by_name: HashMap<&'static str, ScopeId, RandomState>,
    scopes: Vec<Scope>,
}

static INTERNER: LazyLock<RwLock<Interner>> = LazyLock::new(|| {
    RwLock::new(Interner { by_name: HashMap::default(), scopes: vec![Scope { name: "", parent: None }] })
});

/// Whether a segment can be written literally: `[a-z0-9._-]{1,64}`.
pub(super) fn is_literal(segment: &str) -> bool {
    let plain = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
    (1..=MAX_SEGMENT).contains(&segment.len()) && segment.bytes().all(plain)
}

// === impl ScopeId ===

impl ScopeId {
    /// The scope of keys that have no literal head. It has no name, no parent, and nothing below it.
    pub const ROOT: ScopeId = ScopeId(0);

    /// The scope of a name, `product` or `product:stock`; the same number for one name as long as the process lives.
    ///
    /// Of a name that is no scope's ([`is_valid`](ScopeId::is_valid)), the longest head that is one; in the end
    /// [`ROOT`](ScopeId::ROOT). Names are kept for ever, 65,536 of them at most: after that a new name gets the
    /// nearest scope above it.
    #[must_use]
    pub fn intern(name: &str) -> ScopeId {
        if let Some(known) = ScopeId::get(name) {
            return known;
        }
        let name = literal_head(name);
        let mut interner = INTERNER.write().unwrap_or_else(PoisonError::into_inner);
        heads(name).fold(ScopeId::ROOT, |parent, head| interner.enter(head, parent))
    }

    /// The scope of a name, if anything has used it.
    #[must_use]
    pub fn get(name: &str) -> Option<ScopeId> {
        INTERNER.read().unwrap_or_else(PoisonError::into_inner).by_name.get(name).copied()
    }

    /// Whether `name` can be a scope: segments of `[a-z0-9._-]{1,64}` joined by `:`, 200 bytes at most.
    #[must_use]
    pub fn is_valid(name: &str) -> bool {
        !name.is_empty() && literal_head(name).len() == name.len()
    }

    /// The name; empty for [`ROOT`](ScopeId::ROOT).
    #[must_use]
    pub fn name(self) -> &'static str {
        self.read().name
    }

    /// The scope one segment above: `product` for `product:stock`, `None` for `product`.
    #[must_use]
    pub fn parent(self) -> Option<ScopeId> {
        self.read().parent
    }

    /// This scope and all above it, nearest first.
    pub fn lineage(self) -> impl Iterator<Item = ScopeId> {
        iter::successors(Some(self), |scope| scope.parent())
    }

    /// A small number to index a table with: dense, from 0 ([`ROOT`](ScopeId::ROOT)) up.
    #[must_use]
    #[inline]
    pub fn index(self) -> usize {
        self.0 as usize
    }

    /// Of the scopes in use, the one with the longest name that a wire text starts with. Interns nothing: a text
    /// does not say where its literal head ends, and what comes after is data.
    pub(super) fn of_wire(wire: &str) -> ScopeId {
        let interner = INTERNER.read().unwrap_or_else(PoisonError::into_inner);
        heads(wire).map_while(|head| interner.by_name.get(head)).last().copied().unwrap_or(ScopeId::ROOT)
    }

    fn read(self) -> Scope {
        let interner = INTERNER.read().unwrap_or_else(PoisonError::into_inner);
        interner.scopes.get(self.index()).copied().unwrap_or(Scope { name: "", parent: None })
    }
}

impl fmt::Debug for ScopeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScopeId({:?})", self.name())
    }
}

// === impl Interner ===

impl Interner {
    /// The scope of `name`, made if it is new and there is room.
    fn enter(&mut self, name: &str, parent: ScopeId) -> ScopeId {
        if let Some(known) = self.by_name.get(name) {
            return *known;
        }
        let Some(number) = u32::try_from(self.scopes.len()).ok().filter(|_| self.scopes.len() < MAX_SCOPES) else {
            return parent;
        };
        let name: &'static str = Box::leak(name.into());
        self.scopes.push(Scope { name, parent: Some(parent).filter(|parent| *parent != ScopeId::ROOT) });
        self.by_name.insert(name, ScopeId(number));
        ScopeId(number)
    }
}

/// The longest head of a text that is made of literal segments and is short enough for a scope.
fn literal_head(text: &str) -> &str {
    let mut end = 0;
    for segment in text.split(':') {
        // The colon before it stands for every segment but the first.
        let next = end + usize::from(end > 0) + segment.len();
        if !is_literal(segment) || next > MAX_NAME {
            break;
        }
        end = next;
    }
    &text[..end]
}

/// `a`, `a:b`, `a:b:c`.
fn heads(text: &str) -> impl Iterator<Item = &str> {
    let ends = text.match_indices(':').map(|(at, _)| at).chain(iter::once(text.len()));
    ends.map(|end| &text[..end]).filter(|head| !head.is_empty())
}
