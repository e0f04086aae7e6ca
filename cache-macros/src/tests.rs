//! What expansions look like, and what becomes of a mistake.

use proc_macro2::TokenStream;

use super::*;

fn tokens(text: &str) -> TokenStream {
    text.parse().unwrap()
}

/// The expansion as text, with its spaces taken out.
fn expand(kind: Kind, options: &str, function: &str) -> String {
    expanded(kind, tokens(options), &tokens(function)).to_string().replace(' ', "")
}

fn count(text: &str, part: &str) -> usize {
    text.matches(&part.replace(' ', "")).count()
}

#[test]
fn the_body_stands_in_an_expansion_once() {
    for running in ["", ", inline"] {
        let options = format!("key = \"a:{{id}}\"{running}");
        let text = expand(Kind::Cacheable, &options, "async fn f(&self, id: u64) -> u64 { the_body(id).await }");
        assert_eq!(count(&text, "the_body"), 1, "{text}");
    }
    let function = "async fn f(mut ids: Vec<u64>) -> HashMap<u64, u64> { the_body(ids).await }";
    let text = expand(Kind::Cacheable, "batch(id in ids), key = \"a:{id}\"", function);
    assert!(count(&text, "the_body") == 1 && count(&text, "mut ids") == 1, "{text}");
    for kind in [Kind::Put, Kind::Evict] {
        let text = expand(kind, "key = \"a:{it}\"", "async fn f(id: u64) -> u64 { the_body(id).await }");
        assert_eq!(count(&text, "the_body"), 1, "{text}");
    }
}

#[test]
fn what_stands_on_a_function_stays_on_it() {
    let function = "#[doc = \"Says.\"] #[must_use] #[inline(never)] #[cfg(all())] pub(in crate::a) async unsafe fn f<'a, T: 'static>
        (&self, mut a: &str, mut n: u64, #[allow(unused)] t: T) -> u64 where T: Send { 1 }";
    let text = expand(Kind::Cacheable, "key = \"a:{a}:{n}:{t}\"", function);
    let head = "#[doc=\"Says.\"]#[must_use]#[inline(never)]#[cfg(all())]pub(incrate::a)asyncunsafefnf<'a,T:'static>\
                (&self,a:&str,mutn:u64,#[allow(unused)]t:T)->u64whereT:Send{";
    assert!(text.starts_with(head), "{text}");
    assert_eq!(count(&text, "let mut a: &str ="), 1, "what is bound again is `mut` there: {text}");
}

#[test]
fn a_mistake_leaves_the_function_as_it_was() {
    let function = "#[must_use] async fn f(id: u64, mut other: u64) -> u64 { half typed. }";
    for (kind, options) in [(Kind::Cacheable, "key = \"a:{id}\""), (Kind::Put, ""), (Kind::Evict, "nonsense = 1")] {
        let text = expand(kind, options, function);
        assert!(count(&text, "compile_error!") >= 1, "{text}");
        assert!(text.ends_with(&function.replace(' ', "")), "{text}");
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let text = expand(
        Kind::Cacheable,
        "key = \"a:{idd}\", ttl = \"x\", version = 3, tags = [\"b\", \"b\"]",
        "fn f(id: u64) -> &str { \"\" }",
    );
    assert_eq!(count(&text, "compile_error!"), 5, "{text}");
}

#[test]
fn only_what_the_spelling_allows_is_asked_about() {
    let asked = |function: &str| {
        let text = expand(Kind::Cacheable, "", function);
        count(&text, "__cache_how()")
    };
    for function in [
        "async fn f(a: u64) -> u64 {}",
        "async fn f(&self, a: &str, b: Option<&[u8]>) -> u64 {}",
        "async fn f<T: 'static>(self: Arc<Self>, a: T) -> u64 {}",
        "async fn f<T>(a: Vec<T>) -> u64 where T: Clone + 'static {}",
    ] {
        assert_eq!(asked(function), 1, "{function}");
    }
    for function in [
        "async fn f(&mut self) -> u64 {}",
        "async fn f<T>(a: T) -> u64 {}",
        "async fn f<T>(&self) -> u64 {}",
        "async fn f(a: &mut u8) -> u64 {}",
        "async fn f(a: impl Copy) -> u64 {}",
        "async fn f(a: Cow<'_, str>) -> u64 {}",
        "async fn f(Page { a, .. }: &Page) -> u64 {}",
    ] {
        assert_eq!(asked(function), 0, "{function}");
    }
}

#[test]
fn a_literal_head_is_prepared_and_arguments_follow_in_order() {
    let text = expand(
        Kind::Evict,
        "key = \"a:b:{id}:c:{it.x}\", tags = [\"t:{it.0}:{self.u.v()}\"], scope = \"s:t\"",
        "async fn f(&self, id: u64) -> u64 {}",
    );
    assert_eq!(count(&text, "\"a:b:{}:c:{}\",\"t:{}:{}\""), 1, "{text}");
    assert_eq!(count(&text, ".literal(\"c\").arg(&it.x).finish()"), 1, "{text}");
    assert_eq!(count(&text, ".arg(&it.0).arg(&__cache_part1_0).finish()"), 1, "{text}");
    assert_eq!(count(&text, "KeptPart::of(&self.u.v())"), 1, "{text}");
    assert_eq!(count(&text, ".evict_scope(\"s:t\")"), 1, "{text}");
}

#[test]
fn entries_of_a_put_come_first_and_then_their_tags() {
    let options =
        "key = [\"a:{id}\", \"b:{it.x}\", \"c:{id}\"], tags = [\"t:{id}\", \"u:{it.y}\"], version = it.v, unit = u";
    let text = expand(Kind::Put, options, "async fn f(id: u64, u: &mut Unit) -> Row {}");
    assert_eq!(count(&text, "&[\"a:{}\",\"b:{}\",\"c:{}\",\"t:{}\",\"u:{}\"],3usize"), 1, "{text}");
    for (start, times) in
        [(".start(0usize).arg(&id)", 1), (".start(1usize).arg(&it.x)", 1), (".start(2usize).arg(&id)", 1)]
    {
        assert_eq!(count(&text, start), times, "{text}");
    }
    assert_eq!(count(&text, ".start(3usize).arg(&id)"), 1, "{text}");
    assert_eq!(count(&text, ".start(4usize).arg(&it.y)"), 1, "{text}");
    assert!(count(&text, ".version(|it|it.v)") == 1 && count(&text, ".unit(&(u))") == 1, "{text}");
}

#[test]
fn a_journal_needs_no_cache() {
    let text = expand(Kind::Put, "key = \"a:{it.x}\", behind = self.j", "async fn f(&self) -> Row { the_body() }");
    assert!(count(&text, "::reach") == 0 && count(&text, "the_body") == 1, "{text}");
    assert!(count(&text, "&(self.j)") == 1 && count(&text, ".key_later(") == 1, "{text}");
}
