//! What the rules need to know of a source file, read from its tokens: so comments, strings and macro bodies are what they are.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

use crate::tree::File;

/// Something that was seen in a file.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) line: usize,
    /// Under `#[cfg(test)]`, or in a file that is all test.
    pub(crate) tested: bool,
    pub(crate) what: What,
}

/// The sights that some rule cares about.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// A path that begins at the crate's root, written with `crate`, `self` or `super`, in a `use` or anywhere else.
    Path(Vec<String>),
    /// `name!(..)`
    Macro(String),
    /// `name(..)`
    Call(String),
    /// `#[name ..]`
    Attribute(String),
    /// A name as it stands.
    Name(String),
}

/// Reads a file. The error is a sentence.
pub(crate) fn read(file: &File) -> Result<Vec<Seen>, String> {
    let stream: TokenStream = file.text.parse().map_err(|error| format!("is not made of Rust's tokens: {error}"))?;
    let mut reader = Reader { module: module_of(&file.path), seen: Vec::new() };
    let all: Vec<TokenTree> = stream.into_iter().collect();
    reader.walk(&all, file.is_test());
    Ok(reader.seen)
}

/// The path of a file's module in its crate: `cache-core/src/key/scope.rs` is `key::scope`, the crate's root nothing.
pub(crate) fn module_of(path: &str) -> Vec<String> {
    let inside = path.split_once("/src/").map_or(path, |(_, rest)| rest);
    let inside = inside.strip_suffix(".rs").unwrap_or(inside);
    let mut module: Vec<String> = inside.split('/').map(str::to_owned).collect();
    if matches!(module.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        module.pop();
    }
    module
}

struct Reader {
    /// Where the tokens stand, inline modules included: `super` is told from it.
    module: Vec<String>,
    seen: Vec<Seen>,
}

// === impl Reader ===

impl Reader {
    fn walk(&mut self, trees: &[TokenTree], tested: bool) {
        let mut at = 0;
        while at < trees.len() {
            at = match &trees[at] {
                TokenTree::Punct(hash) if hash.as_char() == '#' => self.attribute(trees, at, tested),
                TokenTree::Ident(name) => self.name(&name.to_string(), trees, at, tested),
                TokenTree::Group(group) => {
                    self.inside(group, tested);
                    at + 1
                }
                _ => at + 1,
            };
        }
    }

    fn inside(&mut self, group: &Group, tested: bool) {
        let inner: Vec<TokenTree> = group.stream().into_iter().collect();
        self.walk(&inner, tested);
    }

    /// An attribute at `#`. Behind `cfg(test)` the whole item is read as a test, up to its braces or semicolon.
    fn attribute(&mut self, trees: &[TokenTree], at: usize, tested: bool) -> usize {
        let Some(group) = group_at(trees, at + 1, Delimiter::Bracket) else { return at + 1 };
        let inner: Vec<TokenTree> = group.stream().into_iter().collect();
        if let Some(TokenTree::Ident(name)) = inner.first() {
            self.push(&trees[at], tested, What::Attribute(name.to_string()));
        }
        self.walk(&inner, tested);
        if tested || !is_cfg_test(&inner) {
            return at + 2;
        }
        let end = trees[at + 2..].iter().position(ends_item).map_or(trees.len(), |offset| at + 2 + offset + 1);
        self.walk(&trees[at + 2..end], true);
        end
    }

    fn name(&mut self, name: &str, trees: &[TokenTree], at: usize, tested: bool) -> usize {
        self.push(&trees[at], tested, What::Name(name.to_owned()));
        if let ("mod", Some(TokenTree::Ident(inner)), Some(body)) =
            (name, trees.get(at + 1), group_at(trees, at + 2, Delimiter::Brace))
        {
            self.module.push(inner.to_string());
            self.inside(body, tested);
            self.module.pop();
            return at + 3;
        }
        if matches!(name, "crate" | "self" | "super") && is_colons(trees, at + 1) && !follows_colons(trees, at) {
            return self.rooted_path(trees, at, tested);
        }
        if is_punct(trees, at + 1, '!') && matches!(trees.get(at + 2), Some(TokenTree::Group(_))) {
            self.push(&trees[at], tested, What::Macro(name.to_owned()));
        }
        if group_at(trees, at + 1, Delimiter::Parenthesis).is_some() {
            self.push(&trees[at], tested, What::Call(name.to_owned()));
        }
        at + 1
    }

    /// A path from `crate`, `self` or `super` at `at`; returns what follows it.
    fn rooted_path(&mut self, trees: &[TokenTree], mut at: usize, tested: bool) -> usize {
        let mut base = match &trees[at] {
            TokenTree::Ident(word) if word == "crate" => Vec::new(),
            _ => self.module.clone(),
        };
        while let Some(TokenTree::Ident(word)) = trees.get(at) {
            match word.to_string().as_str() {
                "super" => drop(base.pop()),
                "crate" | "self" => {}
                _ => break,
            }
            if !is_colons(trees, at + 1) {
                // `use super` alone, or `pub(in super)`: nothing is named.
                return at + 1;
            }
            at += 3;
        }
        self.use_tree(trees, at, base, tested)
    }

    /// What stands after `::`: a name and more, a group of such, or a star.
    fn use_tree(&mut self, trees: &[TokenTree], at: usize, mut path: Vec<String>, tested: bool) -> usize {
        match trees.get(at) {
            Some(TokenTree::Ident(name)) => {
                self.push(&trees[at], tested, What::Name(name.to_string()));
                path.push(name.to_string());
                if is_colons(trees, at + 1) && !is_punct(trees, at + 3, '<') {
                    return self.use_tree(trees, at + 3, path, tested);
                }
                if group_at(trees, at + 1, Delimiter::Parenthesis).is_some() {
                    self.push(&trees[at], tested, What::Call(name.to_string()));
                }
                if is_punct(trees, at + 1, '!') {
                    self.push(&trees[at], tested, What::Macro(name.to_string()));
                }
                self.push(&trees[at], tested, What::Path(path));
                at + 1
            }
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                for one in inner.split(|tree| matches!(tree, TokenTree::Punct(it) if it.as_char() == ',')) {
                    if !one.is_empty() {
                        self.use_tree(one, 0, path.clone(), tested);
                    }
                }
                at + 1
            }
            Some(star @ TokenTree::Punct(it)) if it.as_char() == '*' => {
                path.push("*".to_owned());
                self.push(star, tested, What::Path(path));
                at + 1
            }
            _ => at,
        }
    }

    fn push(&mut self, at: &TokenTree, tested: bool, what: What) {
        self.seen.push(Seen { line: at.span().start().line, tested, what });
    }
}

// === reading ahead ===

fn group_at(trees: &[TokenTree], at: usize, delimiter: Delimiter) -> Option<&Group> {
    match trees.get(at) {
        Some(TokenTree::Group(group)) if group.delimiter() == delimiter => Some(group),
        _ => None,
    }
}

fn is_punct(trees: &[TokenTree], at: usize, wanted: char) -> bool {
    matches!(trees.get(at), Some(TokenTree::Punct(it)) if it.as_char() == wanted)
}

fn is_colons(trees: &[TokenTree], at: usize) -> bool {
    is_punct(trees, at, ':') && is_punct(trees, at + 1, ':')
}

fn follows_colons(trees: &[TokenTree], at: usize) -> bool {
    at >= 2 && is_colons(trees, at - 2)
}

fn ends_item(tree: &TokenTree) -> bool {
    match tree {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        TokenTree::Punct(it) => it.as_char() == ';',
        _ => false,
    }
}

/// `cfg(test)` and `cfg(all(test, ..))`, but not `cfg(not(test))` nor `cfg(any(test, ..))`, which is there without tests too.
fn is_cfg_test(attribute: &[TokenTree]) -> bool {
    matches!(attribute.first(), Some(TokenTree::Ident(name)) if name == "cfg")
        && group_at(attribute, 1, Delimiter::Parenthesis).is_some_and(|group| requires_test(group.stream()))
}

fn requires_test(condition: TokenStream) -> bool {
    let trees: Vec<TokenTree> = condition.into_iter().collect();
    trees.iter().enumerate().any(|(at, tree)| match tree {
        TokenTree::Ident(name) if name == "test" => true,
        TokenTree::Ident(name) if name == "all" => {
            group_at(&trees, at + 1, Delimiter::Parenthesis).is_some_and(|group| requires_test(group.stream()))
        }
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Vec<(String, bool)> {
        let seen = read(&File::snippet("cache-core/src/key/scope.rs", text)).unwrap();
        let path = |it: Seen| match it.what {
            What::Path(path) => Some((path.join("::"), it.tested)),
            _ => None,
        };
        seen.into_iter().filter_map(path).collect()
    }

    #[test]
    fn paths_of_every_form_are_seen() {
        for (text, wanted) in [
            ("use crate::clock::Clock;", "clock::Clock"),
            ("pub(crate) use crate::clock as time;", "clock"),
            ("use crate::{clock::{Clock}};", "clock::Clock"),
            ("fn f() { crate::clock::now::<u8>() }", "clock::now"),
            ("fn f(x: &crate::clock::Clock) {}", "clock::Clock"),
            ("fn f() { log!(\"{}\", crate::clock::NOW) }", "clock::NOW"),
            ("macro_rules! m { () => { $crate::clock::now() } }", "clock::now"),
            ("use super::wire;", "key::wire"),
            ("use super::super::clock::Clock;", "clock::Clock"),
            ("use self::inner::Inner;", "key::scope::inner::Inner"),
            ("mod a { mod b { use super::super::super::part; } }", "key::part"),
            ("use crate::clock::*;", "clock::*"),
        ] {
            assert_eq!(paths(text), [(wanted.to_owned(), false)], "{text}");
        }
        assert_eq!(paths("use crate::{a::A, b::{B, C}, d};").len(), 4);
    }

    #[test]
    fn words_in_comments_and_strings_are_no_paths() {
        assert_eq!(paths("//! [`crate::cache`]\n/// crate::cache\nconst A: &str = \"crate::cache\";"), []);
    }

    #[test]
    fn items_under_cfg_test_are_tests_and_the_next_is_not() {
        let text =
            "#[cfg(test)]\nmod tests { use crate::a::A; }\nuse crate::b::B;\n#[cfg(all(test, unix))] use crate::c::C;";
        let wanted = [("a::A", true), ("b::B", false), ("c::C", true)];
        assert_eq!(paths(text), wanted.map(|(path, tested)| (path.to_owned(), tested)));
        assert_eq!(paths("#[cfg(not(test))] use crate::a::A;"), [("a::A".to_owned(), false)]);
        assert_eq!(paths("#[cfg(any(test, feature = \"x\"))] use crate::a::A;"), [("a::A".to_owned(), false)]);
    }

    #[test]
    fn modules_are_told_from_paths() {
        for (path, module) in
            [("c/src/lib.rs", ""), ("c/src/key/mod.rs", "key"), ("c/src/key/a.rs", "key::a"), ("c/src/b.rs", "b")]
        {
            assert_eq!(module_of(path).join("::"), module);
        }
    }
}
