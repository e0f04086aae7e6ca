//! `Result` and `Option` are told by type, not by spelling; and shadowed names break nothing.

#![deny(warnings)]
#![allow(dead_code, unused_macros, reason = "what shadows is not used")]

use cache_core::{Cache, observe};

#[derive(Clone, Debug, PartialEq)]
struct Failed;

mod aliases {
    use super::Failed;

    pub type Outcome<T> = core::result::Result<T, Failed>;
    pub type Found<T> = Outcome<Option<T>>;
    pub type Maybe = Option<u64>;
}

mod shadowed {
    //! Everything that an expansion might name is something else here.

    use cache_core::{Cache, cache_evict, cache_put, cacheable};

    use super::{Failed, aliases};

    mod core {}
    mod std {}
    mod cache_core_ {}
    struct Ok;
    struct Err;
    struct Some;
    struct None;
    struct Vec;
    struct Box;
    struct Duration;
    struct Default;
    trait Clone {}
    trait Fn {}
    trait Future {}
    trait Send {}
    type Option<T> = ::core::option::Option<T>;
    type Result<A, B> = (A, B);
    macro_rules! concat {
        () => {};
    }
    macro_rules! file {
        () => {};
    }

    #[cacheable(key = "shadowed:{id}", tags = ["a:{id}", "b:{it.0}:{id}"], ttl = "5m", when = id > 0, cache = cache, skip(cache))]
    pub async fn read(cache: &Cache, id: u64) -> Result<u64, u64> {
        (id, 1)
    }

    #[cache_put(key = "shadowed:{id}", tags = ["a:{id}", "b:{it.0}:{id}"], cache = cache)]
    pub async fn put(cache: &Cache, id: u64) -> Result<u64, u64> {
        (id, 2)
    }

    #[cache_evict(key = "shadowed:{id}", tags = ["b:{it}:{id}"], scope = "none", when = id > 0, cache = cache)]
    pub async fn evict(cache: &Cache, id: u64) -> u64 {
        id
    }

    #[cacheable(key = "shadowed:alias:{id}", cache = cache, skip(cache))]
    pub async fn alias(cache: &Cache, id: u64) -> aliases::Found<u64> {
        match id {
            0 => ::core::result::Result::Err(Failed),
            1 => ::core::result::Result::Ok(Option::None),
            _ => ::core::result::Result::Ok(Option::Some(id)),
        }
    }

    #[cacheable(cache = cache, skip(cache))]
    pub async fn maybe(cache: &Cache, id: u64) -> aliases::Maybe {
        Option::Some(id)
    }
}

#[rustfmt::skip]
mod one_line {
    //! What rustfmt makes of short functions trips a lint about braces elsewhere.

    use cache_core::{Cache, cacheable};

    #[cacheable(key = "one-line:{id}", cache = cache, skip(cache))]
    pub async fn read(cache: &Cache, id: u64) -> Option<u64> { Some(id) }

    #[cacheable(key = "one-line:never:{id}", cache = cache, skip(cache))]
    pub async fn never(cache: &Cache, id: u64) -> Option<u64> { unreachable!("{id}") }
}

mod facade {
    pub use cache_core as renamed;
}

#[facade::renamed::cacheable(key = "facade:{id}", cache = cache, skip(cache), crate = crate::facade::renamed)]
async fn through_a_facade(cache: &Cache, id: u64) -> Result<u64, Failed> {
    Ok(id)
}

#[derive(facade::renamed::KeyPart)]
#[key_part(crate = facade::renamed)]
enum Kind {
    Plain,
    Numbered(u32),
    Named { a: u8, r#type: Option<u8> },
}

#[derive(facade::renamed::KeyPart)]
struct Id(u64);

#[derive(facade::renamed::KeyPart)]
struct Pair<'a, T: Copy>
where
    T: Ord,
{
    name: &'a str,
    id: T,
}

#[derive(facade::renamed::KeyPart)]
enum Never {}

#[derive(facade::renamed::KeyPart)]
struct Unit;

async fn seen<F: Future>(call: F) -> String {
    let (_, seen) = observe(call).await;
    seen[0].outcome.to_string()
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let c = &Cache::in_memory();
    assert_eq!(shadowed::read(c, 1).await, (1, 1));
    assert_eq!(shadowed::put(c, 1).await, (1, 2));
    assert_eq!(shadowed::read(c, 1).await, (1, 2));
    assert_eq!(shadowed::evict(c, 1).await, 1);
    assert_eq!(shadowed::read(c, 1).await, (1, 1));
    assert_eq!(seen(shadowed::read(c, 0)).await, "bypass; reason=when");

    assert_eq!(shadowed::alias(c, 0).await, Err(Failed));
    assert_eq!(seen(shadowed::alias(c, 0)).await, "miss; load=own");
    assert_eq!(shadowed::alias(c, 1).await, Ok(None));
    assert_eq!(seen(shadowed::alias(c, 1)).await, "hit; tier=local");
    assert_eq!(shadowed::maybe(c, 2).await, Some(2));
    assert_eq!(through_a_facade(c, 2).await, Ok(2));

    assert_eq!(one_line::read(c, 2).await, Some(2));

    let key = |kind: &Kind| cache_core::Key::new("k").arg(kind).wire();
    assert_eq!(key(&Kind::Plain), "k:.Plain");
    assert_eq!(key(&Kind::Numbered(7)), "k:.Numbered(7)");
    assert_eq!(key(&Kind::Named { a: 1, r#type: None }), "k:.Named(1,-)");
    assert_eq!(cache_core::Key::new("k").arg(Id(7)).wire(), "k:7");
    assert_eq!(cache_core::Key::new("k").arg(Pair { name: "n", id: 7_u8 }).wire(), "k:(n,7)");
    assert_eq!(cache_core::Key::new("k").arg(Unit).wire(), "k:-");
}
