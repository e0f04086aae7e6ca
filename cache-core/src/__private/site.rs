//! What a call site keeps between calls: its templates, prepared once.
//!
//! A static in a generic function is shared by all its instantiations. So there is no type in it, and what tells
//! instantiations apart goes into the key as an argument.

use std::sync::OnceLock;

use xxhash_rust::xxh3::xxh3_64;

use crate::{
    cache::Place,
    key::{KeyBuilder, KeyHead},
};

/// The template of a `key!`.
pub struct Head {
    template: &'static str,
    head: OnceLock<KeyHead>,
}

/// The templates of an attribute, and where it stands.
pub struct Site {
    place: Place,
    column: u32,
    templates: &'static [&'static str],
    /// The templates from here on are the tags of the entry.
    first_tag: usize,
    ready: OnceLock<Ready>,
}

struct Ready {
    /// In the static itself: a hit touches nothing else of the site.
    first: KeyHead,
    others: Box<[KeyHead]>,
    shape_tags: Vec<u64>,
    /// The function's path does not say all; see [`Site::private`].
    is_salted: bool,
}

// === impl Head ===

impl Head {
    /// A template, with `{}` for each argument.
    #[must_use]
    pub const fn new(template: &'static str) -> Self {
        Self { template, head: OnceLock::new() }
    }

    /// Starts a key.
    #[inline]
    pub fn start(&'static self) -> KeyBuilder<'static> {
        self.head.get_or_init(|| KeyHead::new(self.template)).start()
    }
}

// === impl Site ===

impl Site {
    /// A call site in `function`, with its templates: the key, the tags of the entry, what else is named.
    #[must_use]
    pub const fn new(
        function: &'static str,
        file: &'static str,
        line: u32,
        column: u32,
        templates: &'static [&'static str],
        first_tag: usize,
    ) -> Self {
        Self { place: Place::new(function, file, line), column, templates, first_tag, ready: OnceLock::new() }
    }

    /// Starts a key of the template at `index`.
    #[inline]
    pub fn start(&'static self, index: usize) -> KeyBuilder<'static> {
        let ready = self.ready.get_or_init(|| self.prepare(None, false));
        match index {
            0 => ready.first.start(),
            _ => ready.others[index - 1].start(),
        }
    }

    /// Starts the key of a function without a template.
    ///
    /// `here` is an item of the function, so that the name of its type is the function's path, the same for all
    /// instantiations; `this` is the path of the one that runs, with the types that it has. The scope is `fn:` and the path.
    /// Where that is not all, because `this` has types in it, or because the path can't be said in a scope, or because
    /// another function may have the same one, a hash that covers the rest is the first argument. Such keys are private to
    /// one build, as type names and lines are.
    #[inline]
    pub fn private<F: Copy>(&'static self, here: F, this: &'static str) -> KeyBuilder<'static> {
        let ready = self.ready.get_or_init(|| {
            let path = path_of(std::any::type_name_of_val(&here));
            let (scope, is_whole) = scope_of(path, self.place.function);
            self.prepare(Some(&scope), !is_whole || path != path_of(this))
        });
        let key = ready.first.start();
        if ready.is_salted { key.salt(self.salt(this)) } else { key }
    }

    /// Where it stands.
    #[must_use]
    pub(crate) fn place(&self) -> Place {
        self.place
    }

    /// The shapes of the tags that entries of this site have, sorted.
    #[must_use]
    pub fn shape_tags(&self) -> Vec<u64> {
        self.ready.get().map(|ready| ready.shape_tags.clone()).unwrap_or_default()
    }

    #[cold]
    fn prepare(&self, scope: Option<&str>, is_salted: bool) -> Ready {
        let first = self.templates.first().copied().unwrap_or_default();
        let first = match scope {
            Some(scope) => {
                let parts = [scope, if is_salted { "{}" } else { "" }, first];
                let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
                KeyHead::new(&format!("fn:{}", parts.join(":")))
            }
            None => KeyHead::new(first),
        };
        let others: Box<[_]> = self.templates.iter().skip(1).copied().map(KeyHead::new).collect();
        // The first is a tag of the entry only where there is no entry.
        let mut shape_tags: Vec<_> = others.iter().skip(self.first_tag.saturating_sub(1)).map(KeyHead::shape).collect();
        shape_tags.sort_unstable();
        Ready { first, others, shape_tags, is_salted }
    }

    /// A number for what the scope does not say.
    fn salt(&self, this: &str) -> u64 {
        let Place { file, line, .. } = self.place;
        let place = xxh3_64(file.as_bytes()) ^ (u64::from(line) << 32) ^ u64::from(self.column);
        // Half of the range is left unused: the number stays short of a second word in the key.
        xxhash_rust::xxh3::xxh3_64_with_seed(this.as_bytes(), place) >> 1
    }
}

/// The path of a function, from that of something in it: `shop::Users::get` of `shop::Users::get::{{closure}}::here`.
fn path_of(inner: &str) -> &str {
    let mut path = inner.rsplit_once("::").map_or(inner, |(path, _)| path);
    while let Some(outer) = path.strip_suffix("::{{closure}}") {
        path = outer;
    }
    path
}

/// A path as a scope, `shop.-users.get`, and whether no other function can have it. `function` is the module's path and the
/// function's name.
fn scope_of(path: &str, function: &str) -> (String, bool) {
    let (module, name) = function.rsplit_once("::").unwrap_or(("", function));
    // Between the two stands the type that the function belongs to, or a function that this one is inside of.
    let between = path.strip_prefix(module).and_then(|rest| rest.strip_suffix(name)).map(|rest| rest.trim_matches(':'));
    let is_type = |name: &str| name.starts_with(|c: char| c.is_ascii_uppercase()) && !name.contains("::");
    let mut is_whole = between.is_some_and(|between| between.is_empty() || is_type(between));
    let mut scope = String::with_capacity(path.len() + 4);
    for c in path.replace("::", ".").chars() {
        match c {
            'a'..='z' | '0'..='9' | '.' | '_' => scope.push(c),
            // A minus is in no path, so this can be undone.
            'A'..='Z' => scope.extend(['-', c.to_ascii_lowercase()]),
            _ => {
                is_whole = false;
                scope.push('-');
            }
        }
    }
    let start = scope.len().saturating_sub(MAX);
    if start > 0 {
        scope.drain(..start);
        is_whole = false;
    }
    // A leading dot would read as a variant.
    let scope = scope.trim_start_matches('.').to_owned();
    (scope, is_whole)
}

/// The longest segment of a scope.
const MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_of_takes_what_is_inside_off() {
        assert_eq!(path_of("shop::users::get::{{closure}}::__cache_here"), "shop::users::get");
        assert_eq!(path_of("shop::Users::get::{{closure}}::{{closure}}"), "shop::Users::get");
        assert_eq!(path_of("<a::U as a::T>::get::{{closure}}::{{closure}}::{{closure}}::x"), "<a::U as a::T>::get");
    }

    #[test]
    fn scope_of_says_whether_it_is_all() {
        let whole = |path, function| scope_of(path, function);
        assert_eq!(whole("shop::users::get", "shop::users::get"), ("shop.users.get".into(), true));
        assert_eq!(
            whole("shop::users::HttpUsers::get", "shop::users::get"),
            ("shop.users.-http-users.get".into(), true)
        );
        for (path, function) in [
            ("shop::outer::get", "shop::get"),
            ("shop::outer::{{closure}}::get", "shop::get"),
            ("<shop::U as shop::T>::get", "shop::get"),
            ("shop::Repo<_>::get", "shop::get"),
            ("shop::Outer::Inner::get", "shop::get"),
            ("elsewhere", "shop::get"),
        ] {
            assert!(!whole(path, function).1, "{path}");
        }
        let long = format!("shop::{}::get", "m".repeat(80));
        let (scope, is_whole) = whole(&long, &long);
        assert!(scope.len() == MAX && !is_whole);
    }
}
