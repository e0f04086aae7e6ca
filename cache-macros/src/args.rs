//! The options of the attributes, as written.
//!
//! This file knows words and where they stand; it knows nothing of functions, and of what options mean together.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Expr, Ident, Lit, LitStr, Path, Token, token};

use crate::diagnostics::{Diagnostics, did_you_mean};

/// Which attribute it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Cacheable,
    Put,
    Evict,
}

/// The options of one attribute.
#[derive(Default)]
pub(crate) struct Args {
    /// Several, of a writer.
    pub(crate) key: Option<Keyed<Vec<LitStr>>>,
    pub(crate) skip: Option<Keyed<Vec<Ident>>>,
    pub(crate) tags: Option<Keyed<Vec<LitStr>>>,
    pub(crate) scope: Option<Keyed<Option<LitStr>>>,
    pub(crate) ttl: Option<Keyed<Expr>>,
    pub(crate) l1: Option<Keyed<Expr>>,
    pub(crate) negative: Option<Keyed<Expr>>,
    pub(crate) stale: Option<Keyed<Expr>>,
    pub(crate) fail_safe: Option<Keyed<Expr>>,
    pub(crate) soft: Option<Keyed<Expr>>,
    /// `soft` of an eviction.
    pub(crate) softly: Option<Keyed<()>>,
    pub(crate) hard: Option<Keyed<Expr>>,
    /// How long ahead, unless the policy says it.
    pub(crate) warm_up: Option<Keyed<Option<Expr>>>,
    pub(crate) when: Option<Keyed<Expr>>,
    pub(crate) unless: Option<Keyed<Expr>>,
    pub(crate) ttl_with: Option<Keyed<Expr>>,
    pub(crate) cache_err: Option<Keyed<Expr>>,
    pub(crate) share_err: Option<Keyed<Expr>>,
    pub(crate) rev: Option<Keyed<Expr>>,
    pub(crate) phase: Option<Keyed<Ident>>,
    pub(crate) on_error: Option<Keyed<Ident>>,
    pub(crate) cache: Option<Keyed<Expr>>,
    pub(crate) krate: Option<Keyed<Path>>,
    pub(crate) autocommit: Option<Keyed<()>>,
    pub(crate) inline: Option<Keyed<()>>,
    pub(crate) version: Option<Keyed<Expr>>,
    pub(crate) unit: Option<Keyed<Expr>>,
    pub(crate) behind: Option<Keyed<Expr>>,
    pub(crate) batch: Option<Keyed<Each>>,
    /// A `batch` where there is none: templates may name its element.
    pub(crate) refused_batch: bool,
    /// The names of all options given, with those whose value could not be read: one mistake is not two.
    given: Vec<String>,
}

/// A value with the name of its option, which is what a mistake about both points at.
pub(crate) struct Keyed<T> {
    pub(crate) name: Ident,
    pub(crate) value: T,
}

/// `id in ids`
pub(crate) struct Each {
    pub(crate) element: Ident,
    /// The argument that holds all elements.
    pub(crate) all: Ident,
}

const READ: &[Kind] = &[Kind::Cacheable];
const STORE: &[Kind] = &[Kind::Cacheable, Kind::Put];
const WRITE: &[Kind] = &[Kind::Put, Kind::Evict];
const PUT: &[Kind] = &[Kind::Put];
const EVICT: &[Kind] = &[Kind::Evict];
const ALL: &[Kind] = &[Kind::Cacheable, Kind::Put, Kind::Evict];

/// Every option that works, and where.
const OPTIONS: &[(&str, &[Kind])] = &[
    ("key", ALL),
    ("skip", READ),
    ("batch", READ),
    ("tags", ALL),
    ("scope", EVICT),
    ("ttl", STORE),
    ("l1", STORE),
    ("negative", STORE),
    ("stale", READ),
    ("fail_safe", READ),
    ("soft", &[Kind::Cacheable, Kind::Evict]),
    ("hard", READ),
    ("warm_up", READ),
    ("when", ALL),
    ("unless", STORE),
    ("ttl_with", READ),
    ("cache_err", READ),
    ("share_err", READ),
    ("rev", STORE),
    ("phase", WRITE),
    ("on_error", WRITE),
    ("version", PUT),
    ("unit", WRITE),
    ("behind", PUT),
    ("autocommit", WRITE),
    ("inline", ALL),
    ("cache", ALL),
    ("crate", ALL),
];

// === impl Kind ===

impl Kind {
    /// `#[cacheable]`.
    pub(crate) fn written(self) -> &'static str {
        match self {
            Kind::Cacheable => "`#[cacheable]`",
            Kind::Put => "`#[cache_put]`",
            Kind::Evict => "`#[cache_evict]`",
        }
    }
}

// === impl Args ===

impl Args {
    /// Reads all options; what can't be read is left out and reported.
    pub(crate) fn parse(kind: Kind, tokens: TokenStream, diagnostics: &mut Diagnostics) -> Args {
        let mut args = Args::default();
        let read = |input: ParseStream<'_>| {
            while !input.is_empty() {
                if let Err(error) = args.option(kind, input) {
                    diagnostics.add(error);
                    skip_option(input);
                }
                if !input.is_empty() && input.parse::<Token![,]>().is_err() {
                    diagnostics.add(input.error("a comma is missing before this"));
                    skip_option(input);
                    let _ = input.parse::<Token![,]>();
                }
            }
            Ok(())
        };
        if let Err(error) = Parser::parse2(read, tokens) {
            diagnostics.add(error);
        }
        args
    }

    /// Whether an option was given, readable or not.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.given.iter().any(|given| given == name)
    }

    fn option(&mut self, kind: Kind, input: ParseStream<'_>) -> syn::Result<()> {
        if input.peek(Lit) {
            let literal: Lit = input.parse()?;
            let message = format!("an option begins with its name, like `key = {}`", literal.to_token_stream());
            return Err(syn::Error::new_spanned(literal, message));
        }
        let name = input.call(Ident::parse_any).map_err(|error| {
            syn::Error::new(error.span(), "expected the name of an option, like `key = \"product:{id}\"`")
        })?;
        self.refused_batch |= name == "batch" && kind != Kind::Cacheable;
        check_name(kind, &name)?;
        self.given.push(name.to_string());
        match name.to_string().as_str() {
            "key" => set(&mut self.key, name, input, |input| keys(kind, input)),
            "skip" => set(&mut self.skip, name, input, skipped),
            "tags" => set(&mut self.tags, name, input, templates),
            "scope" => set(&mut self.scope, name, input, scope),
            "ttl" => set(&mut self.ttl, name, input, value),
            "l1" => set(&mut self.l1, name, input, value),
            "negative" => set(&mut self.negative, name, input, value),
            "stale" => set(&mut self.stale, name, input, value),
            "fail_safe" => set(&mut self.fail_safe, name, input, value),
            "soft" if kind == Kind::Evict => set(&mut self.softly, name, input, softly),
            "soft" => set(&mut self.soft, name, input, value),
            "hard" => set(&mut self.hard, name, input, value),
            "warm_up" => set(&mut self.warm_up, name, input, warm_up),
            "when" => set(&mut self.when, name, input, value),
            "unless" => set(&mut self.unless, name, input, value),
            "ttl_with" => set(&mut self.ttl_with, name, input, value),
            "cache_err" => set(&mut self.cache_err, name, input, value),
            "share_err" => set(&mut self.share_err, name, input, value),
            "rev" => set(&mut self.rev, name, input, value),
            "phase" => set(&mut self.phase, name, input, word),
            "on_error" => set(&mut self.on_error, name, input, word),
            "cache" => set(&mut self.cache, name, input, value),
            "crate" => set(&mut self.krate, name, input, path),
            "version" => set(&mut self.version, name, input, |input| expression(input, "version = it.version")),
            "unit" => set(&mut self.unit, name, input, |input| expression(input, "unit = unit")),
            "behind" => set(&mut self.behind, name, input, |input| expression(input, "behind = self.journal")),
            "autocommit" => set(&mut self.autocommit, name, input, flag),
            "inline" => set(&mut self.inline, name, input, flag),
            "batch" => set(&mut self.batch, name, input, each),
            other => Err(syn::Error::new(name.span(), format!("`{other}` has no reader; please report this"))),
        }
    }
}

/// Says why a name is no option here.
fn check_name(kind: Kind, name: &Ident) -> syn::Result<()> {
    let (text, attribute) = (name.to_string(), kind.written());
    let places = OPTIONS.iter().find(|(known, _)| *known == text).map(|(_, places)| *places);
    let message = match places {
        Some(places) if places.contains(&kind) => return Ok(()),
        Some(_) if text == "skip" => {
            format!("{attribute} has no `skip`: its key names one entry, and need not name every argument; take it out")
        }
        Some(_) if text == "batch" => {
            format!(
                "{attribute} has no `batch`: only a `#[cacheable]` can leave elements out of its body; to store many values there is `Cache::put_many`, to evict many a tag or a `scope`"
            )
        }
        Some(places) => {
            let where_it_is = places.iter().map(|place| place.written()).collect::<Vec<_>>().join(" and ");
            let have = if places.len() == 1 { "has" } else { "have" };
            format!("{attribute} has no option `{text}`; {where_it_is} {have} it")
        }
        None => {
            let known: Vec<_> =
                OPTIONS.iter().filter(|(_, places)| places.contains(&kind)).map(|(name, _)| *name).collect();
            let meant = did_you_mean(&text, known.iter().copied());
            let rest = if meant.is_empty() { format!("; it has {}", listed(&known)) } else { meant };
            format!("{attribute} has no option `{text}`{rest}")
        }
    };
    Err(syn::Error::new(name.span(), message))
}

/// `` `a`, `b` and `c` ``
pub(crate) fn listed<S: AsRef<str>>(words: &[S]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("`{}`", word.as_ref())).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

/// Moves on to the next comma.
fn skip_option(input: ParseStream<'_>) {
    while !input.is_empty() && !input.peek(Token![,]) {
        let _ = input.parse::<proc_macro2::TokenTree>();
    }
}

/// Fills a slot, once.
fn set<T>(
    slot: &mut Option<Keyed<T>>,
    name: Ident,
    input: ParseStream<'_>,
    read: impl FnOnce(ParseStream<'_>) -> syn::Result<T>,
) -> syn::Result<()> {
    if input.is_empty() || input.peek(Token![,]) {
        // Only a flag, `scope` and `warm_up` stand alone.
        return match read(input) {
            Ok(value) => fill(slot, name, value),
            Err(error) => Err(syn::Error::new(name.span(), error)),
        };
    }
    fill(slot, name, read(input)?)
}

fn fill<T>(slot: &mut Option<Keyed<T>>, name: Ident, value: T) -> syn::Result<()> {
    if slot.is_some() {
        return Err(syn::Error::new(name.span(), format!("`{name}` is given twice; keep one")));
    }
    *slot = Some(Keyed { name, value });
    Ok(())
}

// === the forms that a value has ===

fn flag(input: ParseStream<'_>) -> syn::Result<()> {
    if input.is_empty() || input.peek(Token![,]) {
        return Ok(());
    }
    Err(input.error("this option stands alone: it takes no value"))
}

fn softly(input: ParseStream<'_>) -> syn::Result<()> {
    let message = "`soft` of an eviction stands alone: how long what is old may still be served, the policy of the scope says, and `stale` \
                   and `fail_safe` of the function that reads it";
    flag(input).map_err(|error| syn::Error::new(error.span(), message))
}

fn equals(input: ParseStream<'_>, example: &str) -> syn::Result<()> {
    if input.is_empty() || input.peek(Token![,]) {
        return Err(syn::Error::new(input.span(), format!("a value is missing: write `{example}`")));
    }
    input.parse::<Token![=]>().map(drop).map_err(|error| syn::Error::new(error.span(), format!("expected `{example}`")))
}

fn value(input: ParseStream<'_>) -> syn::Result<Expr> {
    expression(input, "name = value")
}

fn expression(input: ParseStream<'_>, example: &str) -> syn::Result<Expr> {
    equals(input, example)?;
    input.parse()
}

/// A duration; or nothing, and the policy of the scope says it.
fn warm_up(input: ParseStream<'_>) -> syn::Result<Option<Expr>> {
    if input.is_empty() || input.peek(Token![,]) {
        return Ok(None);
    }
    value(input).map(Some)
}

fn path(input: ParseStream<'_>) -> syn::Result<Path> {
    equals(input, "crate = path::to::cache_core")?;
    Path::parse_mod_style(input)
}

fn template(input: ParseStream<'_>, example: &str) -> syn::Result<LitStr> {
    equals(input, example)?;
    literal(input, example)
}

fn literal(input: ParseStream<'_>, example: &str) -> syn::Result<LitStr> {
    let expression: Expr = input.parse()?;
    match expression {
        Expr::Lit(syn::ExprLit { lit: Lit::Str(text), .. }) => Ok(text),
        other => {
            let message =
                format!("expected text in quotes, like `{example}`: the attribute must read it when it is compiled");
            Err(syn::Error::new_spanned(other, message))
        }
    }
}

/// One template, or those of all entries that a writer writes.
fn keys(kind: Kind, input: ParseStream<'_>) -> syn::Result<Vec<LitStr>> {
    const EXAMPLE: &str = "key = \"product:{id}\"";
    const SEVERAL: &str = "key = [\"product:{p.id}\", \"product_by_slug:{p.slug}\"]";
    equals(input, EXAMPLE)?;
    if !input.peek(token::Bracket) {
        return literal(input, EXAMPLE).map(|key| vec![key]);
    }
    let (span, keys) = list(input, |input| literal(input, SEVERAL))?;
    if kind == Kind::Cacheable {
        return Err(syn::Error::new(
            span,
            "a call is answered from one entry, so `#[cacheable]` has one key; a put or an eviction may have several",
        ));
    }
    if keys.is_empty() {
        return Err(syn::Error::new(span, "this names no entry; name one"));
    }
    Ok(keys)
}

fn templates(input: ParseStream<'_>) -> syn::Result<Vec<LitStr>> {
    const EXAMPLE: &str = "tags = [\"category:{it.category}\"]";
    equals(input, EXAMPLE)?;
    if !input.peek(token::Bracket) {
        return Err(input.error(format!("expected a list in brackets: `{EXAMPLE}`")));
    }
    let (span, tags) = list(input, |input| literal(input, EXAMPLE))?;
    if tags.is_empty() {
        return Err(syn::Error::new(span, "this names no tag; leave `tags` out, or name one"));
    }
    Ok(tags)
}

fn list(input: ParseStream<'_>, read: fn(ParseStream<'_>) -> syn::Result<LitStr>) -> syn::Result<(Span, Vec<LitStr>)> {
    let content;
    let bracket = syn::bracketed!(content in input);
    let all = Punctuated::<_, Token![,]>::parse_terminated_with(&content, read)?;
    Ok((bracket.span.join(), all.into_iter().collect()))
}

fn skipped(input: ParseStream<'_>) -> syn::Result<Vec<Ident>> {
    if !input.peek(token::Paren) {
        return Err(syn::Error::new(
            input.span(),
            "expected the arguments to leave out of the key, like `skip(now, trace)`",
        ));
    }
    let content;
    let paren = syn::parenthesized!(content in input);
    let names: Vec<_> = Punctuated::<_, Token![,]>::parse_terminated_with(&content, Ident::parse_any)
        .map_err(|error| syn::Error::new(error.span(), "`skip` takes the names of arguments, like `skip(now, trace)`"))?
        .into_iter()
        .collect();
    if names.is_empty() {
        return Err(syn::Error::new(paren.span.join(), "this skips nothing; leave `skip` out, or name an argument"));
    }
    Ok(names)
}

fn each(input: ParseStream<'_>) -> syn::Result<Each> {
    const EXPECTED: &str = "expected a name for one element, and the argument that holds all, like `batch(id in ids)`";
    let fail = |error: syn::Error| syn::Error::new(error.span(), EXPECTED);
    if !input.peek(token::Paren) {
        return Err(syn::Error::new(input.span(), EXPECTED));
    }
    let content;
    syn::parenthesized!(content in input);
    let each = (|| {
        let element = content.parse()?;
        content.parse::<Token![in]>()?;
        let all = content.parse()?;
        if content.is_empty() { Ok(Each { element, all }) } else { Err(content.error(EXPECTED)) }
    })();
    // What is left would be a second error.
    content.parse::<TokenStream>()?;
    each.map_err(fail)
}

fn scope(input: ParseStream<'_>) -> syn::Result<Option<LitStr>> {
    if input.is_empty() || input.peek(Token![,]) {
        return Ok(None);
    }
    template(input, "scope = \"product\"").map(Some)
}

/// `after` or `"after"`.
fn word(input: ParseStream<'_>) -> syn::Result<Ident> {
    equals(input, "name = word")?;
    if input.peek(LitStr) {
        let text: LitStr = input.parse()?;
        return text.parse().map_err(|_| syn::Error::new(text.span(), "expected one word"));
    }
    input.parse().map_err(|error| syn::Error::new(error.span(), "expected one word"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(kind: Kind, text: &str) -> Result<Args, Vec<String>> {
        let mut diagnostics = Diagnostics::default();
        let args = Args::parse(kind, text.parse().unwrap(), &mut diagnostics);
        diagnostics.finish(Some(args)).map_err(|error| error.into_iter().map(|one| one.to_string()).collect())
    }

    fn refused(kind: Kind, text: &str, why: &str) {
        let messages = parse(kind, text).err().unwrap_or_else(|| panic!("`{text}` was taken"));
        assert_eq!(messages.len(), 1, "{text}: {messages:?}");
        assert!(messages[0].contains(why), "{text}: {messages:?}");
    }

    #[test]
    fn options_of_all_forms_are_read() {
        let args = parse(
            Kind::Cacheable,
            r#"key = "a:{b}", skip(c, T), tags = ["x", "y:{it.z}",], ttl = "5m", l1 = secs(3), when = a > b, ttl_with = |v| v.d,
               rev = 3, cache = self.inner.cache, crate = ::x::y, inline,"#,
        )
        .unwrap();
        assert_eq!(args.key.unwrap().value[0].value(), "a:{b}");
        assert_eq!(args.skip.unwrap().value.len(), 2);
        assert_eq!(args.tags.unwrap().value.len(), 2);
        assert!(args.ttl.is_some() && args.l1.is_some() && args.when.is_some() && args.ttl_with.is_some());
        assert!(args.rev.is_some() && args.cache.is_some() && args.krate.is_some() && args.inline.is_some());
        let args = parse(Kind::Put, r#"key = ["a:{b}", "c"], version = it.v, unit = t.unit, behind = self.j"#).unwrap();
        assert!(args.key.unwrap().value.len() == 2 && args.version.is_some());
        assert!(args.unit.is_some() && args.behind.is_some());
        let args = parse(Kind::Evict, r#"scope, phase = "both", on_error = keep"#).unwrap();
        assert!(args.scope.is_some_and(|scope| scope.value.is_none()));
        assert_eq!(args.phase.unwrap().value, "both");
        let each = parse(Kind::Cacheable, "batch(id in ids)").unwrap().batch.unwrap().value;
        assert!(each.element == "id" && each.all == "ids");
    }

    #[test]
    fn a_mistake_is_one_error() {
        refused(Kind::Cacheable, r#""product:{id}""#, "begins with its name, like `key = \"product:{id}\"`");
        refused(Kind::Cacheable, "kye = \"a\"", "no option `kye`; did you mean `key`?");
        refused(Kind::Cacheable, "expiry = f(1, 2), ttl = \"5m\"", "it has `key`, `skip`");
        refused(
            Kind::Cacheable,
            "phase = both",
            "`#[cacheable]` has no option `phase`; `#[cache_put]` and `#[cache_evict]` have it",
        );
        refused(Kind::Put, "stale = \"1h\"", "`#[cache_put]` has no option `stale`; `#[cacheable]` has it");
        refused(Kind::Put, "skip(id)", "need not name every argument");
        refused(Kind::Evict, "version = 3", "`#[cache_put]` has it");
        refused(Kind::Put, "unit", "write `unit = unit`");
        refused(Kind::Put, "behind", "write `behind = self.journal`");
        refused(Kind::Cacheable, "key = [\"a\", \"b\"]", "has one key");
        refused(Kind::Put, "key = []", "names no entry");
        refused(Kind::Put, "batch(id in ids)", "`Cache::put_many`");
        for batch in
            ["batch", "batch = ids", "batch(ids)", "batch(id of ids)", "batch((a, b) in ids)", "batch(id in ids, 3)"]
        {
            refused(Kind::Cacheable, &format!("{batch}, rev = 1"), "like `batch(id in ids)`");
        }
        refused(Kind::Cacheable, "ttl = \"1s\", ttl = \"2s\"", "given twice");
        refused(Kind::Cacheable, "ttl = \"1s\" l1 = \"2s\"", "comma is missing");
        refused(Kind::Cacheable, "key", "a value is missing");
        refused(Kind::Cacheable, "key: 3", "expected `key = ");
        refused(Kind::Cacheable, "key = make()", "text in quotes");
        refused(Kind::Cacheable, "tags = \"a\"", "a list in brackets");
        refused(Kind::Cacheable, "tags = []", "names no tag");
        refused(Kind::Cacheable, "skip()", "skips nothing");
        refused(Kind::Cacheable, "skip = id", "like `skip(now, trace)`");
        refused(Kind::Cacheable, "inline = true", "stands alone");
        refused(Kind::Evict, "scope = product", "text in quotes");
    }
}
