//! The body with another name for `self`.
//!
//! A body that runs in its own task has a `self` of its own, and a block can't bind that word. So it is renamed in the
//! tokens: in macros too, and inside the text that a formatting macro is given.

use proc_macro2::{Group, Ident, Literal, Span, TokenStream, TokenTree};

/// `body` with `to` for `self`. Each place keeps its position, and takes the hygiene of `to`.
pub(crate) fn rename_self(body: &Group, to: &Ident) -> Group {
    group(body, &|tokens| rename(tokens, to, false))
}

fn group(old: &Group, change: &dyn Fn(TokenStream) -> TokenStream) -> Group {
    let mut new = Group::new(old.delimiter(), change(old.stream()));
    new.set_span(old.span());
    new
}

fn rename(tokens: TokenStream, to: &Ident, formats: bool) -> TokenStream {
    let mut tokens = tokens.into_iter().peekable();
    let mut out = Vec::<TokenTree>::new();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Ident(word) if word == "self" => {
                let is_module = is_double_colon(&mut tokens);
                out.push(TokenTree::Ident(if is_module { word } else { renamed(&word, to) }));
            }
            // A module path or an import says `self` for a module.
            TokenTree::Ident(word) if word == "use" => {
                out.push(TokenTree::Ident(word));
                copy_until(
                    &mut tokens,
                    &mut out,
                    |token| matches!(token, TokenTree::Punct(end) if end.as_char() == ';'),
                );
            }
            TokenTree::Ident(word) if word == "pub" => {
                out.push(TokenTree::Ident(word));
                if matches!(tokens.peek(), Some(TokenTree::Group(_))) {
                    out.extend(tokens.next());
                }
            }
            // A method inside has a `self` of its own.
            TokenTree::Ident(word) if word == "fn" => {
                out.push(TokenTree::Ident(word));
                function(&mut tokens, &mut out, to);
            }
            TokenTree::Group(old) => {
                let formats = formats || is_formatting(&out);
                out.push(TokenTree::Group(group(&old, &|tokens| rename(tokens, to, formats))));
            }
            TokenTree::Literal(text) if formats => out.push(TokenTree::Literal(in_text(&text, to))),
            other => out.push(other),
        }
    }
    out.into_iter().collect()
}

type Tokens = std::iter::Peekable<proc_macro2::token_stream::IntoIter>;

fn renamed(word: &Ident, to: &Ident) -> Ident {
    Ident::new(&to.to_string(), to.span().located_at(word.span()))
}

fn copy_until(tokens: &mut Tokens, out: &mut Vec<TokenTree>, end: impl Fn(&TokenTree) -> bool) {
    for token in tokens.by_ref() {
        let last = end(&token);
        out.push(token);
        if last {
            return;
        }
    }
}

/// Copies the rest of a function that has a receiver; one without is left to the common way, as a closure type
/// (`fn(u8)`) is.
fn function(tokens: &mut Tokens, out: &mut Vec<TokenTree>, to: &Ident) {
    let mut seen = Vec::new();
    while let Some(token) = tokens.peek() {
        match token {
            TokenTree::Group(list) if list.delimiter() == proc_macro2::Delimiter::Parenthesis => {
                if has_receiver(list) {
                    out.append(&mut seen);
                    copy_until(tokens, out, |token| match token {
                        TokenTree::Group(body) => body.delimiter() == proc_macro2::Delimiter::Brace,
                        TokenTree::Punct(end) => end.as_char() == ';',
                        _ => false,
                    });
                }
                break;
            }
            TokenTree::Group(_) => break,
            _ => seen.extend(tokens.next()),
        }
    }
    out.extend(rename(seen.into_iter().collect(), to, false));
}

/// `(self, ..)`, `(&'a mut self, ..)`, `(self: Arc<Self>)`.
fn has_receiver(list: &Group) -> bool {
    let mut words = list
        .stream()
        .into_iter()
        .filter(|token| !matches!(token, TokenTree::Punct(p) if matches!(p.as_char(), '&' | '\'')));
    let mut first = words.next();
    for _ in 0..2 {
        // `'a` and `mut` may stand before it.
        match &first {
            Some(TokenTree::Ident(word)) if word != "self" => first = words.next(),
            _ => {}
        }
    }
    matches!(first, Some(TokenTree::Ident(word)) if word == "self")
}

/// Whether what comes is `::`, so that `self` is a module; a single colon is `if x { self: .. }` in some macro's syntax.
fn is_double_colon(tokens: &mut Tokens) -> bool {
    matches!(tokens.peek(), Some(TokenTree::Punct(colon)) if colon.as_char() == ':' && colon.spacing() == proc_macro2::Spacing::Joint)
}

/// Macros whose text may hold `{self}`.
const FORMATTING: &[&str] = &[
    "format",
    "format_args",
    "print",
    "println",
    "eprint",
    "eprintln",
    "write",
    "writeln",
    "panic",
    "todo",
    "unimplemented",
    "unreachable",
    "assert",
    "assert_eq",
    "assert_ne",
    "debug_assert",
    "debug_assert_eq",
    "debug_assert_ne",
    "trace",
    "debug",
    "info",
    "warn",
    "error",
    "log",
    "event",
    "span",
    "anyhow",
    "bail",
    "ensure",
];

/// Whether a group that comes now belongs to such a macro.
fn is_formatting(out: &[TokenTree]) -> bool {
    match out {
        [.., TokenTree::Ident(name), TokenTree::Punct(bang)] => {
            bang.as_char() == '!' && FORMATTING.contains(&name.to_string().as_str())
        }
        _ => false,
    }
}

/// `"{self:?}"` with the other name.
fn in_text(literal: &Literal, to: &Ident) -> Literal {
    let written = literal.to_string();
    if !written.contains("{self") || !written.starts_with(['"', 'r']) {
        return literal.clone();
    }
    let mut out = String::with_capacity(written.len() + 16);
    let mut rest = written.as_str();
    while let Some(at) = rest.find('{') {
        let (before, brace) = rest.split_at(at);
        out.push_str(before);
        if let Some(after) = brace.strip_prefix("{{") {
            out.push_str("{{");
            rest = after;
            continue;
        }
        let after = &brace[1..];
        match after.strip_prefix("self") {
            Some(tail) if tail.starts_with(['}', ':']) => {
                out.push('{');
                out.push_str(&to.to_string());
                rest = tail;
            }
            _ => {
                out.push('{');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    let mut new: Literal = match out.parse() {
        Ok(new) => new,
        Err(_) => return literal.clone(),
    };
    new.set_span(literal.span());
    new
}

/// The name that a body's `self` gets. With the hygiene of the user's own `self`, as texts of the user name it too.
pub(crate) fn self_name(receiver: Span) -> Ident {
    Ident::new("__cache_self", receiver)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renamed(text: &str) -> String {
        let TokenTree::Group(body) = format!("{{{text}}}").parse::<TokenStream>().unwrap().into_iter().next().unwrap()
        else {
            panic!("not a group")
        };
        let name = Ident::new("me", Span::call_site());
        rename_self(&body, &name).stream().to_string()
    }

    fn same(from: &str, to: &str) {
        assert_eq!(renamed(from), to.parse::<TokenStream>().unwrap().to_string(), "{from}");
    }

    #[test]
    fn self_is_renamed_where_it_is_a_value() {
        same("self.a.b(&self.c, self)", "me.a.b(&me.c, me)");
        same("x.map(|y| self.f(y)).await?", "x.map(|y| me.f(y)).await?");
        same("vec![self.a; 3]", "vec![me.a; 3]");
        same("S { a: self.a, b: self }", "S { a: me.a, b: me }");
        same("let f: fn(u8) = |_| (); f(self.n)", "let f: fn(u8) = |_| (); f(me.n)");
        same("fn inner(n: u8) -> u8 { n } inner(self.n)", "fn inner(n: u8) -> u8 { n } inner(me.n)");
    }

    #[test]
    fn self_stays_where_it_is_a_module_or_anothers() {
        for text in [
            "self::helper(1)",
            "use self::x::{self, Y}; f()",
            "use super::{self as up}; f()",
            "pub(self) struct S;",
            "impl X for Y { fn f(&self) -> u8 { self.0 } fn g<T>(&'a mut self, t: T) where T: Z { self.h(t) } }",
            "trait T { fn f(self: Arc<Self>); fn g(mut self) -> u8 { self.0 } }",
        ] {
            same(text, text);
        }
        same(
            "struct L; impl L { fn f(&self) { self.0 } } self.g()",
            "struct L; impl L { fn f(&self) { self.0 } } me.g()",
        );
    }

    #[test]
    fn self_in_the_text_of_a_formatting_macro_is_renamed() {
        same(r#"format!("{self} {self:?} {{self}} {selfish}")"#, r#"format!("{me} {me:?} {{self}} {selfish}")"#);
        same(r##"tracing::info!(r#"{self:>4}"#)"##, r##"tracing::info!(r#"{me:>4}"#)"##);
        same(r#"write!(f, "{}", format_args!("{self}"))"#, r#"write!(f, "{}", format_args!("{me}"))"#);
        same(r#"f("{self}")"#, r#"f("{self}")"#);
        same(r#"json!({"a": "{self}"})"#, r#"json!({"a": "{self}"})"#);
    }
}
