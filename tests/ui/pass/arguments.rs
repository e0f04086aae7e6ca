//! Borrowed, generic, destructured and anonymous arguments.

#![deny(warnings)]

use std::{borrow::Cow, rc::Rc};

use cache_core::{Cache, KeyPart, cacheable, key, observe};

struct Path<T>(T);

#[derive(Clone, Copy)]
struct Page {
    number: u32,
    size: u32,
}

#[derive(KeyPart, Clone)]
struct Filter {
    category: String,
    page: (u32, u32),
}

#[cacheable(key = "text:{lang}:{id}", cache = cache, skip(cache))]
async fn text(cache: &Cache, lang: &str, id: u64) -> String {
    format!("{lang}{id}")
}

#[cacheable(key = "slice:{ids}", cache = cache, skip(cache))]
async fn slice(cache: &Cache, mut ids: &[u64]) -> u64 {
    let mut sum = 0;
    while let [first, rest @ ..] = ids {
        sum += first;
        ids = rest;
    }
    sum
}

#[cacheable(key = "maybe:{lang}", cache = cache, skip(cache))]
async fn maybe(cache: &Cache, lang: Option<&str>) -> String {
    lang.unwrap_or("none").to_owned()
}

#[cacheable(key = "static:{lang}", cache = cache, skip(cache))]
async fn of_static(cache: &Cache, lang: &'static str) -> String {
    lang.to_owned()
}

#[cacheable(key = "named:{a}:{b}", cache = cache, skip(cache))]
async fn named<'a>(cache: &Cache, a: &'a str, b: Cow<'_, str>) -> String {
    let longest: &'a str = if a.len() > 3 { a } else { "short" };
    format!("{longest}{b}")
}

#[cacheable(key = "nested:{names}", cache = cache, skip(cache))]
async fn nested(cache: &Cache, names: &[&str]) -> String {
    names.concat()
}

#[cacheable(key = "changed:{n}", cache = cache, skip(cache))]
async fn changed(cache: &Cache, mut n: u64) -> u64 {
    n += 1;
    n
}

#[cacheable(key = "pattern:{id}:{number}:{size}:{a}", cache = cache, skip(cache, b, _unused))]
async fn patterns(
    cache: &Cache,
    Path(id): Path<u64>,
    Page { number, size }: Page,
    (a, b): (u8, u8),
    _: &str,
    _unused: [u8; 0],
) -> u64
where
    Self_: Sized,
{
    id + u64::from(number) + u64::from(size) + u64::from(a) + u64::from(b) * 0
}

#[cacheable(key = "reference:{number}", cache = cache, skip(cache, size))]
async fn reference_pattern(cache: &Cache, &Page { number, mut size }: &Page) -> u32 {
    size += 1;
    number + size * 0
}

#[cacheable(key = "generic:{value}", cache = cache, skip(cache))]
async fn generic<T: KeyPart + Clone + Into<u64>>(cache: &Cache, value: T) -> u64 {
    value.into()
}

#[cacheable(key = "generic-ref:{value}", cache = cache, skip(cache))]
async fn generic_ref<T>(cache: &Cache, value: &T) -> u64
where
    T: KeyPart + Clone + Send + Sync + Into<u64> + 'static,
{
    value.clone().into()
}

#[cacheable(key = "type:{T}:{N}", cache = cache, skip(cache))]
async fn by_type<T: Default + Into<u64> + 'static, const N: u64>(cache: &Cache) -> u64 {
    T::default().into() + N
}

#[cacheable(key = "impl:{name}", cache = cache, skip(cache))]
async fn anonymous(cache: &Cache, name: impl AsRef<str> + KeyPart) -> String {
    name.as_ref().to_owned()
}

#[cacheable(key = "field:{filter.category}:{filter.page.0}:{filter.category.len()}", skip(filter, cache), cache = cache)]
async fn fields(cache: &Cache, filter: &Filter) -> String {
    filter.category.clone()
}

#[cacheable(key = "whole:{filter}", skip(cache), cache = cache)]
async fn whole(cache: &Cache, filter: Filter) -> u32 {
    filter.page.0 + filter.page.1
}

#[cacheable(key = "function:{id}", skip(cache, with), cache = cache)]
async fn function(cache: &Cache, with: Box<dyn Fn(&str) -> u64 + Send + Sync>, id: u64) -> u64 {
    with("abc") + id
}

#[cacheable(key = "local:{id}", skip(cache, rc), cache = cache)]
async fn not_send(cache: &Cache, rc: Rc<u64>, id: u64) -> u64 {
    *rc + id
}

#[cacheable(key = "dynamic:{id}", skip(cache, with), cache = cache)]
async fn dynamic(cache: &Cache, with: &(dyn Fn(u64) -> u64 + Sync), id: u64) -> u64 {
    with(id)
}

#[cacheable(key = "exclusive:{id}", skip(cache, log), cache = cache)]
async fn exclusive(cache: &Cache, log: &mut Vec<u64>, id: u64) -> u64 {
    log.push(id);
    id
}

#[cacheable(key = "raw:{r#type}", skip(cache), cache = cache)]
async fn raw(cache: &Cache, r#type: u64) -> u64 {
    r#type
}

#[cacheable(key = "not-send-body:{id}", skip(cache), cache = cache, inline)]
async fn not_send_body(cache: &Cache, id: u64) -> u64 {
    let id = Rc::new(id);
    tokio::task::yield_now().await;
    *id
}

type Self_ = u8;

macro_rules! hits {
    ($($call:expr => $value:expr),+ $(,)?) => {$(
        assert_eq!($call.await, $value);
        let (second, seen) = observe($call).await;
        assert_eq!(second, $value);
        assert_eq!(seen[0].outcome.to_string(), "hit; tier=local", stringify!($call));
    )+};
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let c = &Cache::in_memory();
    let filter = Filter { category: "books".to_owned(), page: (2, 50) };
    let page = Page { number: 1, size: 2 };
    hits!(
        text(c, "de", 7) => "de7",
        slice(c, &[1, 2, 3]) => 6,
        maybe(c, Some("x")) => "x",
        maybe(c, None) => "none",
        of_static(c, "de") => "de",
        named(c, "long", Cow::Borrowed("b")) => "longb",
        nested(c, &["a", "b"]) => "ab",
        changed(c, 1) => 2,
        patterns(c, Path(1), page, (1, 2), "", []) => 5,
        reference_pattern(c, &page) => 1,
        generic(c, 5_u32) => 5,
        generic_ref(c, &5_u32) => 5,
        by_type::<u32, 3>(c) => 3,
        anonymous(c, "n") => "n",
        fields(c, &filter) => "books",
        whole(c, filter.clone()) => 52,
        function(c, Box::new(|text| text.len() as u64), 1) => 4,
        not_send(c, Rc::new(1), 1) => 2,
        dynamic(c, &|id| id + 1, 1) => 2,
        exclusive(c, &mut Vec::new(), 1) => 1,
        raw(c, 9) => 9,
        not_send_body(c, 9) => 9,
    );
    assert_eq!(by_type::<u64, 4>(c).await, 4);
    let (id, pair) = (7_u64, ("a", 2_u8));
    assert_eq!(key!("product:{id}:{pair.1}:stock:{3}").wire(), "product:7:2:stock:3");
    assert_eq!(key!("product", crate = cache_core).wire(), "product");
}
