//! The attributes, the derive and the key macro of `cache-core`, which re-exports them: use them from there.
//!
//! How an attribute becomes code: `args` reads the options and `item` the function, `template` reads templates and `names`
//! what their names stand for; `validate` holds the rules and their messages, with `running` for where the body runs, and answers all questions in a `spec`;
//! `expand` writes it down and cannot fail. `CACHE_MACROS_DEBUG=1 cargo build` prints what they expand to.

mod args;
mod boxed;
mod diagnostics;
mod duration;
mod expand;
mod item;
mod key;
mod key_part;
mod krate;
mod names;
mod rename;
mod running;
mod spec;
mod template;
#[cfg(test)]
mod tests;
mod validate;

use args::{Args, Kind};
use diagnostics::{Diagnostics, beside};
use proc_macro::TokenStream;

/// Caches what an `async fn` returns: a call whose key was loaded before is answered without running the body.
///
/// ```
/// use cache_core::{Cache, cacheable};
/// # use serde::{Serialize, Deserialize};
/// # type DbError = std::io::Error;
///
/// # #[derive(Debug, PartialEq)]
/// #[derive(Clone, Serialize, Deserialize)]
/// struct Product { id: u64, category: String }
///
/// #[derive(Clone)]
/// struct Products { cache: Cache }
///
/// impl Products {
///     #[cacheable(key = "product:{id}", tags = ["category:{it.category}"])]
///     async fn find(&self, id: u64) -> Result<Option<Product>, DbError> {
///         // Runs once, however many ask at the same time.
///         Ok(Some(Product { id, category: "books".to_owned() }))
///     }
/// }
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// # let products = Products { cache: Cache::in_memory() };
/// # products.find(7).await.unwrap();
/// # let (again, seen) = cache_core::observe(products.find(7)).await;
/// # assert_eq!((again.unwrap().unwrap().id, seen[0].outcome.is_hit()), (7, true));
/// # }
/// ```
///
/// A function of its own uses the installed cache, or the one that `cache` names; and each call may say more:
///
/// ```
/// # use cache_core::{Cache, cacheable};
/// # use std::time::Duration;
/// #[cacheable(
///     key = "search:{term}:{page}",
///     skip(trace),
///     ttl = "10m",
///     negative = "30s",
///     when = page <= 100,
///     unless = it.is_empty(),
///     ttl_with = |hits| if hits.len() < 3 { Duration::from_secs(60) } else { Duration::MAX },
/// )]
/// async fn search(term: &str, page: u32, trace: &str) -> Result<Vec<u64>, std::io::Error> {
///     # let _ = trace;
///     Ok(vec![u64::from(page), term.len() as u64])
/// }
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// # let cache = Cache::in_memory();
/// # let twice = async { search("a", 1, "x").await.unwrap(); search("a", 1, "y").await };
/// # let (_, seen) = cache_core::observe(cache_core::with_cache(cache, twice)).await;
/// # assert!(seen[1].outcome.is_hit());
/// # }
/// ```
///
/// # The key
///
/// A template is made of segments between colons: literals of `[a-z0-9._-]`, and arguments in braces. It begins with a
/// literal: that head is the *scope*, by which policies and `evict_scope` go. Every argument is in the key or in
/// `skip(..)`; forgetting one is an error when the function is compiled:
///
/// ```compile_fail
/// # use cache_core::cacheable;
/// #[cacheable(key = "product:{id}")]                      // `lang` is not in the key
/// async fn name(id: u64, lang: &str) -> String {
///     format!("{id} in {lang}")
/// }
/// ```
///
/// - `{id}` is an argument, whole. Its type is a `KeyPart`.
/// - `{filter.page}`, `{pair.0}`, `{url.host()}` are a part of one, and cover only themselves: `filter` still needs
///   `skip(filter)`.
/// - A name inside a pattern (`Path(id): Path<u64>`) is an argument; the pattern's own fields that it leaves out are not.
/// - `{T}` is the name of a type parameter, needed where no argument in the key has that type; `{N}` is the value of a
///   constant.
/// - `{self.tenant}` is state of `self`. **Other state of `self` is not in the key**: two values of one type that answer
///   differently must differ in the key, or in their cache's namespace. `{Self}` is the name of the type.
/// - Without `key`, the key is the function's path, the types it runs with, and all arguments. Such keys are private to one
///   build; they are evicted by tag, or by their scope, `fn:` and the path (`shop::Users::get` is `fn:shop.-users.get`).
///
/// # Options
///
/// Durations are text (`"15m"`, `"1h30m"`, `"250ms"`; units `d`, `h`, `m`, `s`, `ms`) or expressions of type `Duration`. What
/// an option leaves out, the policy of the scope says.
///
/// | option | what it says |
/// |---|---|
/// | `key = ".."` | the template of the key |
/// | `skip(a, b)` | arguments and type parameters that the result does not depend on |
/// | `batch(id in ids)` | each element of `ids` has an entry of its own; see [Many keys](#many-keys) |
/// | `ttl = ..` | how long a value is fresh |
/// | `l1 = ..` | how long this process keeps it, at most |
/// | `negative = ..` | how long *nothing* is fresh: `None`, and errors that `cache_err` chooses |
/// | `stale = ..` | for how long after it was fresh a value is still served, while it is loaded again in the background |
/// | `fail_safe = ..` | for how long after it was fresh a value is served when a load fails |
/// | `soft = ..` | how long a load is waited for where there is an old value to serve instead; the load goes on |
/// | `hard = ..` | how long a load is waited for at all; then the function returns its error, made from a `TimedOut` |
/// | `warm_up`, `warm_up = ..` | how long before a value ends to be fresh it is loaded again, for as long as the function is called with that key; alone, the policy says how long |
/// | `tags = ["..", ..]` | templates of tags, at most 16, each with a literal head; `it` is the value in the result, and such tags are not attached to a `None` |
/// | `when = ..` | an expression over the arguments; `false` leaves the cache out of the call |
/// | `unless = ..` | an expression over `it`; `true` keeps the value out of the cache. Of a function that can return `None`, `it` is an `Option<&T>`, else a `&T` |
/// | `ttl_with = \|value\| ..` | how long this value is fresh; may only shorten |
/// | `cache_err = \|error\| ..` | which errors are cached; others never are. The error must be a value that can be cached |
/// | `share_err = \|error\| ..` | how an error is copied for the callers that waited for the load; needed only where it is not `Clone` |
/// | `rev = 2` | the revision of the value's layout: raise it when its meaning changed and its fields did not |
/// | `inline` | the body runs in the caller, whatever its arguments are |
/// | `cache = ..` | the cache: anything `AsCache`, over the arguments; `None` leaves it out. Else `self.cache` in a method, else the installed one |
/// | `crate = ..` | where `cache-core` is, if it is re-exported |
///
/// All sites that store under one template declare the same tags and the same `rev`.
///
/// # What is cached
///
/// The value inside a `Result` and inside an `Option`; which of them a function returns is told by type, so aliases of them
/// do. It is `Clone + Serialize + DeserializeOwned + Send + Sync + 'static`; wrap a large one in an `Arc`. A generic `T` that
/// happens to be an `Option` is a value.
///
/// A function may return the value in an [`Entry`](../cache_core/struct.Entry.html), to know what the cache knows of it: the
/// outcome with its tier, the age, the version. It is `Entry<T>`, `Option<Entry<T>>` or `Entry<Option<T>>`, in a `Result` or not.
/// The body makes one by `value.into()`. What is cached is the `T`, so what another function puts as a `T` this one finds. The
/// outcome of a put is `put`, with what Redis said; under several attributes it is what the last one did.
///
/// ```
/// use cache_core::{Cache, Entry, cacheable};
///
/// # #[derive(Clone)]
/// struct Stock { cache: Cache }
///
/// impl Stock {
///     #[cacheable(key = "stock:{id}")]
///     async fn of(&self, id: u64) -> Result<Entry<u32>, std::io::Error> {
///         Ok(3.into())
///     }
/// }
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// # let stock = Stock { cache: Cache::in_memory() };
/// # stock.of(7).await.unwrap();
/// let found = stock.of(7).await.unwrap();
/// assert_eq!(*found.value(), 3);
/// assert_eq!(found.outcome().to_string(), "hit; tier=local");
/// # }
/// ```
///
/// # Many keys
///
/// With `batch(id in ids)` each element of the argument `ids` has an entry of its own, the one that a function with the same
/// `key` finds by a single `id`. What is cached is read in one trip; the body runs for the rest:
///
/// ```
/// use cache_core::{Cache, cacheable};
/// use std::collections::HashMap;
/// # #[derive(Clone, serde::Serialize, serde::Deserialize)] struct Product { id: u64, category: String }
/// # type DbError = std::io::Error;
///
/// # struct Products { cache: Cache }
/// impl Products {
///     #[cacheable(batch(id in ids), key = "product:{id}", tags = ["category:{it.category}"])]
///     async fn find_many(&self, ids: &[u64]) -> Result<HashMap<u64, Product>, DbError> {
///         // Here `ids` are those that are not cached and that nobody else loads: .. WHERE id = ANY(ids)
///         Ok(ids.iter().map(|id| (*id, Product { id: *id, category: "books".to_owned() })).collect())
///     }
/// }
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// # let products = Products { cache: Cache::in_memory() };
/// # products.find_many(&[7, 8]).await.unwrap();
/// # let (found, seen) = cache_core::observe(products.find_many(&[8, 7])).await;
/// # assert!(found.unwrap().len() == 2 && seen.iter().all(|one| one.outcome.is_hit()));
/// # }
/// ```
///
/// - `ids` is a `&[Id]`, a `Vec<Id>` or a `&Vec<Id>`, and the function returns a `HashMap<Id, T>` or a `BTreeMap<Id, T>`, plain
///   or in a `Result`. An id that the map leaves out is remembered as *nothing*, for as long as `negative` says, and is not in
///   the answer. So no `T` is an `Option`: a map of them is refused. An id that comes twice counts once.
/// - The key names the element, `{id}`, and every other argument or `skip`s it. Tags may name `{id}`, arguments and `it`.
/// - `it`, and what `ttl_with` is given, is one value of the map; `when` decides once, over the arguments. With `when = false`,
///   or without a cache, the body runs with all of `ids`.
/// - The body stays in its caller: if that goes away, whoever waits loads. So there is no `stale`, `soft` or `hard`. It may run
///   more than once, for ids whose load by somebody else came to nothing, so it only borrows its arguments: clone what it gives
///   away, and take a pool or a handle by `&` instead of a `&mut`.
/// - An error of the body is the error of the call, if an id is left without an answer. Whoever waits for one of its ids gets it
///   too, whichever id failed, if it is `Clone` or there is `share_err`; else those who waited load for themselves, side by side.
///   It is cached for none of them: there is no `cache_err`.
///
/// # Where the body runs
///
/// In a task of its own, where everything that it uses can be owned: a caller that goes away loses nothing, and all who wait
/// get the one result. That is told by type: arguments by value, and `&self`, `&str`, `&[T]`, `&T`, `Option<&T>` of what is
/// `ToOwned` (or `Clone`), `Send` and `Sync`. They are cloned only when there is a load. Otherwise, with `&mut`, with a
/// lifetime in an argument, or with a type parameter that is not `'static`, it runs in the caller; if that goes away, the
/// next waiter loads.
///
/// Task-locals of yours are not carried into the task; the tracing span is. These do not compile until `inline` is added: a
/// body that is not `Send`, or that calls its own function; a `self` that is `Clone` but holds a lifetime (`impl Repo<'_>`:
/// types are told apart, lifetimes can't be) or a type parameter without `'static`.
///
/// With `stale`, `soft`, `hard` or `warm_up` a load goes on without its caller, so the body has to be able to run in a task, and
/// it is an error if it is not: make `Self` `Clone`, or take `self: Arc<Self>` or `self: &Arc<Self>`, and arguments as above.
/// With `warm_up` the body runs again by itself, so what it takes by value is `Clone` and `Sync`, too. With `hard` the
/// function's error is `From<TimedOut>`:
///
/// ```
/// use cache_core::{TimedOut, cacheable};
///
/// # #[derive(Debug)]
/// enum SearchError {
///     Slow,
/// }
///
/// impl From<TimedOut> for SearchError {
///     fn from(_: TimedOut) -> Self {
///         SearchError::Slow
///     }
/// }
///
/// #[cacheable(key = "search:{term}", ttl = "1m", stale = "10m", fail_safe = "1d", soft = "200ms", hard = "5s")]
/// async fn search(term: &str) -> Result<Vec<u64>, SearchError> {
///     Ok(vec![term.len() as u64])
/// }
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// # let cache = cache_core::Cache::in_memory();
/// # assert_eq!(cache_core::with_cache(cache, search("a")).await.unwrap(), [1]);
/// # }
/// ```
///
/// # Boxed futures
///
/// The attributes go on methods under `#[async_trait]`, and on functions that return `Pin<Box<dyn Future<Output = R> + ..>>` or
/// `BoxFuture<'_, R>`, by the names and types that you wrote. As with an `async fn`, the cache is asked when the future is first
/// polled, not when it is made; so it has to borrow what the function borrows (`+ '_`).
///
/// ```
/// use cache_core::{Cache, cacheable};
/// use std::{future::Future, pin::Pin};
///
/// # #[derive(Clone)]
/// struct Products { cache: Cache }
///
/// impl Products {
///     #[cacheable(key = "stock:{id}")]
///     fn stock(&self, id: u64) -> Pin<Box<dyn Future<Output = Option<u32>> + Send + '_>> {
///         Box::pin(async move { (id < 10).then_some(3) })
///     }
/// }
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// # assert_eq!(Products { cache: Cache::in_memory() }.stock(7).await, Some(3));
/// # }
/// ```
///
/// # What can go wrong
///
/// - *`no field `cache` on type ..`*: the method's type has none; name one with `cache = ..`.
/// - *``cannot move out of .., a captured variable in an `Fn` closure``* (E0507), of a function with `batch`: the body gives an
///   argument away that it needs again if it runs once more. Clone it there (`name.clone()`), or lend it (`&name`).
/// - *No call is a hit*: no cache is installed (`bypass; reason=not_installed`), or `unless` says yes to everything. Where the
///   value can't be encoded (`reason=encode` in the statistics, and the log) there are hits in this process and none in Redis.
///   `observe` says which. A `ttl` of zero is refused.
/// - *Nothing is stored, and the log names two places*: they store under one template with different tags.
#[proc_macro_attribute]
pub fn cacheable(options: TokenStream, item: TokenStream) -> TokenStream {
    attribute(Kind::Cacheable, options, item)
}

/// Puts what an `async fn` returns into the cache: the body writes a row, and the row it returns is what readers get from
/// then on.
///
/// ```
/// # use cache_core::{Cache, cache_put, cacheable};
/// # use serde::{Serialize, Deserialize};
/// # type DbError = std::io::Error;
/// # #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)] struct Product { id: u64, category: String }
/// # #[derive(Clone)] struct Products { cache: Cache }
/// impl Products {
///     #[cache_put(key = "product:{p.id}", tags = ["category:{it.category}"])]
///     async fn save(&self, p: Product) -> Result<Product, DbError> {
///         // .. UPDATE product SET .. RETURNING *
///         Ok(p)
///     }
/// #   #[cacheable(key = "product:{id}", tags = ["category:{it.category}"])]
/// #   async fn find(&self, id: u64) -> Result<Option<Product>, DbError> { Ok(None) }
/// }
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// # let products = Products { cache: Cache::in_memory() };
/// # let product = Product { id: 7, category: "books".to_owned() };
/// # products.save(product.clone()).await.unwrap();
/// # assert_eq!(products.find(7).await.unwrap(), Some(product));
/// # }
/// ```
///
/// The value is stored only if nobody evicted or put the key since the body began; else the key is evicted, and the next
/// reader loads. So of two writers neither can leave the older row behind; with `version` the newer row stays. A body that fails evicts: the row may have
/// changed. A caller that goes away loses neither (see *Where the body runs* at [`cacheable`]; where the body runs in the
/// caller, what is known is evicted when it is dropped).
///
/// # Options
///
/// | option | what it says |
/// |---|---|
/// | `key = ".."` | the template of the entry, as its reader has it. Over `it` (an insert whose id the database gives), the entry is evicted, not stored: nothing could be noted about it before the body |
/// | `key = ["..", ".."]` | those of several entries with one value, by id and by slug; all have the same tags |
/// | `tags = ["..", ..]` | the tags of the entry, as its reader has them |
/// | `ttl`, `l1`, `negative`, `rev` | as at [`cacheable`] |
/// | `when = ..` | an expression over the arguments; `false` leaves the cache out of the call |
/// | `unless = ..` | an expression over `it`; `true` evicts instead of storing |
/// | `phase = after` | or `both`: evict before the body, too, so that nobody reads the old value meanwhile |
/// | `on_error = evict` | or `keep`: a body that fails changes nothing |
/// | `version = ..` | an expression over `it`, a `u64`: the version of the row, raised by the database with every write of it, also when it was deleted and made anew. Of two writers that overlap, on any nodes, the newer row is stored then, unless somebody evicted meanwhile |
/// | `unit = ..` | the unit of work that it is a part of: see *Inside of a transaction* |
/// | `behind = ..` | the journal that has the value written: see *Behind* |
/// | `autocommit` | an argument `&mut ..` is no open transaction. Without it, or `unit`, such an argument is an error: what is put or evicted before the commit can be loaded again from the old row |
/// | `inline`, `cache`, `crate` | as at [`cacheable`] |
///
/// More attributes on one function are taken from the first to the last, the last around all others.
///
/// # Inside of a transaction
///
/// What a transaction has written is true when it is committed, and not before. So its functions are given the unit of work that ends
/// with it (`Cache::unit`), by `unit = ..`: an expression of type `Unit`, `&mut Unit`, or an `Option` of it, over the arguments.
/// A put stores nothing then. Its key is evicted on entry, what only the result names after the body, and all of it once more
/// when the unit is committed or dropped, as the old row may have been loaded meanwhile.
///
/// ```
/// # use cache_core::{Cache, Unit, cache_evict, cache_put};
/// # type DbError = std::io::Error;
/// # #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)] struct Product { id: u64, category: String }
/// # struct Sql; impl Sql { async fn commit(self) -> Result<(), DbError> { Ok(()) } }
/// # #[derive(Clone)] struct Products { cache: Cache }
/// struct Transaction {
///     sql: Sql,                                               // sqlx::Transaction<'static, Postgres>, say
///     unit: Unit,
/// }
///
/// impl Products {
///     #[cache_put(key = "product:{p.id}", unit = transaction.unit)]
///     async fn save(&self, p: Product, transaction: &mut Transaction) -> Result<Product, DbError> {
///         // .. UPDATE product SET .. RETURNING *, with transaction.sql
///         Ok(p)
///     }
///
///     #[cache_evict(key = "listing:{it.category}", unit = transaction.unit)]
///     async fn insert(&self, p: Product, transaction: &mut Transaction) -> Result<Product, DbError> {
///         // .. INSERT INTO product .., with transaction.sql
///         Ok(p)
///     }
/// }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), DbError> {
/// # let products = Products { cache: Cache::in_memory() };
/// # let (old, new) = (Product { id: 7, category: "books".to_owned() }, Product { id: 8, category: "books".to_owned() });
/// let mut transaction = Transaction { sql: Sql, unit: products.cache.unit() };
/// products.save(old, &mut transaction).await?;
/// products.insert(new, &mut transaction).await?;
/// let Transaction { sql, unit } = transaction;
/// sql.commit().await?;
/// assert!(unit.committed().await.is_applied());
/// # Ok(()) }
/// ```
///
/// With an `Option<&mut Unit>` one function serves both: of `None` it puts, as without the option. A call that fails or is dropped half-way
/// leaves to the unit whatever it may have changed. When it evicts is settled, so `phase` and `on_error` are refused beside it, and
/// so is `soft`.
///
/// # Behind
///
/// With `behind = ..` the body writes no row: it builds the value, and the journal that the expression names has a sink write it, later
/// and in batches (`Cache::write_behind`). The call is answered when the journal has the value, as safe as its level says;
/// readers on every node see it from then on.
///
/// ```
/// use cache_core::{Error, behind::WriteBehind, cache_put};
/// # use cache_core::{Cache, behind::{Batch, Sink, SinkError, Written}};
/// # struct Nowhere;
/// # impl Sink<Cart> for Nowhere {
/// #     async fn write(&self, batch: &Batch<Cart>) -> Result<Vec<Written>, SinkError> {
/// #         Ok(vec![Written::Applied; batch.writes.len()])
/// #     }
/// # }
/// # #[derive(Clone, serde::Serialize, serde::Deserialize)] struct Cart { user: u64, items: Vec<u64> }
///
/// #[derive(Debug)]
/// enum CartError {
///     Full,
///     NotJournaled(Error),
/// }
///
/// impl From<Error> for CartError {
///     fn from(error: Error) -> Self {
///         CartError::NotJournaled(error)
///     }
/// }
///
/// # #[derive(Clone)]
/// struct Carts { journal: WriteBehind<Cart> }
///
/// impl Carts {
///     #[cache_put(key = "cart:{it.user}", behind = self.journal)]
///     async fn add(&self, mut cart: Cart, item: u64) -> Result<Cart, CartError> {
///         if cart.items.len() >= 100 {
///             return Err(CartError::Full);                    // nothing is written
///         }
///         cart.items.push(item);
///         Ok(cart)
///     }
/// }
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// # let journal = Cache::in_memory().write_behind("cart", Nowhere).start_volatile().await.unwrap();
/// # assert_eq!(Carts { journal }.add(Cart { user: 7, items: vec![] }, 3).await.unwrap().items, [3]);
/// # }
/// ```
///
/// The function returns a `Result<T, E>` (or of an `Entry<T>`) whose error is `From<Error>`: no room, no answer, a value that cannot be
/// journaled. After such an error nobody may know whether the value was journaled; to call again is harmless. The key may be over `it`.
/// Everything about an entry is said by the function that reads the key, and is refused here: `tags`, `ttl`, `l1`, `negative`, `rev`.
/// So are `when`, `unless`, `phase`, `on_error`, `cache` and `unit`, which have no meaning beside a journal.
#[proc_macro_attribute]
pub fn cache_put(options: TokenStream, item: TokenStream) -> TokenStream {
    attribute(Kind::Put, options, item)
}

/// Evicts entries, tags and scopes when an `async fn` has run: they are no longer true.
///
/// ```
/// # use cache_core::{Cache, cache_evict};
/// # type DbError = std::io::Error;
/// # #[derive(Clone)] struct Products { cache: Cache }
/// impl Products {
///     #[cache_evict(key = "product:{id}", tags = ["catalogue", "listing:{it}"])]
///     async fn delete(&self, id: u64) -> Result<Option<String>, DbError> {
///         // .. DELETE FROM product WHERE .. RETURNING category
///         Ok(Some("books".to_owned()))
///     }
///
///     #[cache_evict(scope = "product")]                   // `product:stock` and all else below it, too
///     async fn import(&self, rows: Vec<u64>) -> Result<(), DbError> {
///         // ..
///         Ok(())
///     }
/// }
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// # let products = Products { cache: Cache::in_memory() };
/// # products.delete(7).await.unwrap();
/// # products.import(vec![]).await.unwrap();
/// # }
/// ```
///
/// No reader on this node gets the old value once the call has returned, and none on another within the bound. A body that
/// fails evicts, too: the row may have changed; what only a result could name is then evicted by its template's head. A
/// caller that goes away loses nothing, as at [`cache_put`].
///
/// # Options
///
/// | option | what it says |
/// |---|---|
/// | `key = ".."` | the template of the entry, over the arguments and `it`; of several, `key = ["..", ".."]` |
/// | `tags = ["..", ..]` | templates of the tags, over the arguments and `it`; of a `None`, those over `it` are left out |
/// | `scope = ".."` | the scope, with all below it; `scope` alone is that of `key`, instead of the one entry |
/// | `soft` | what is evicted is old, and not gone: served while a new one loads, or when that fails, as its policy says; by `Cache::soft_evict` |
/// | `when = ..` | an expression over the arguments; `false` leaves the cache out of the call |
/// | `phase = after` | or `before`, or `both` |
/// | `on_error = evict` | or `keep`: a body that fails evicts nothing |
/// | `unit = ..` | the unit of work that it is a part of, as at [`cache_put`] |
/// | `autocommit` | as at [`cache_put`] |
/// | `inline`, `cache`, `crate` | as at [`cacheable`] |
#[proc_macro_attribute]
pub fn cache_evict(options: TokenStream, item: TokenStream) -> TokenStream {
    attribute(Kind::Evict, options, item)
}

/// A key by hand, from a template as the attributes have it, over the names around it.
///
/// ```
/// use cache_core::key;
///
/// let (id, page) = (7_u64, (2, 50));
/// assert_eq!(key!("product:{id}").wire(), "product:7");
/// assert_eq!(key!("products:{page.0}:size:{page.1}").wire(), "products:2:size:50");
/// ```
///
/// `key!("..", crate = path)` says where `cache-core` is, if it is re-exported.
#[proc_macro]
pub fn key(input: TokenStream) -> TokenStream {
    syn::parse(input).and_then(|input| key::expand(&input)).unwrap_or_else(|error| error.to_compile_error()).into()
}

/// Makes a struct or an enum an argument of keys.
///
/// ```
/// use cache_core::{Key, KeyPart};
///
/// #[derive(KeyPart)]
/// struct Id(u64);                                         // a newtype reads as what it wraps
///
/// #[derive(KeyPart)]
/// struct Page { number: u32, size: u32 }
///
/// #[derive(KeyPart)]
/// enum Order { Name, Price { descending: bool } }
///
/// let key = Key::new("products").arg(Id(7)).arg(Page { number: 2, size: 50 }).arg(Order::Price { descending: true });
/// assert_eq!(key.wire(), "products:7:(2,50):.Price(true)");
/// # let _ = Order::Name;
/// ```
///
/// Every field is a `KeyPart` and stands in the key; none can be left out, as two keys would be alike. A type without fields
/// reads as nothing. `#[key_part(crate = path)]` says where `cache-core` is, if it is re-exported.
#[proc_macro_derive(KeyPart, attributes(key_part))]
pub fn key_part(item: TokenStream) -> TokenStream {
    syn::parse(item).and_then(|item| key_part::expand(&item)).unwrap_or_else(|error| error.to_compile_error()).into()
}

fn attribute(kind: Kind, options: TokenStream, item: TokenStream) -> TokenStream {
    expanded(kind, options.into(), &item.into()).into()
}

fn expanded(
    kind: Kind,
    options: proc_macro2::TokenStream,
    item: &proc_macro2::TokenStream,
) -> proc_macro2::TokenStream {
    let mut diagnostics = Diagnostics::default();
    let args = Args::parse(kind, options, &mut diagnostics);
    let spec = match syn::parse2(item.clone()) {
        Ok(function) => validate::spec(kind, args, function, diagnostics),
        Err(error) => {
            diagnostics.add(not_a_function(kind, item, &error));
            diagnostics.finish(None)
        }
    };
    match spec {
        Ok(spec) => {
            let expansion = expand::function(&spec);
            debug(&expansion);
            expansion
        }
        Err(error) => beside(&error, item),
    }
}

/// Prints an expansion, for whoever works on the macros.
#[expect(clippy::disallowed_methods, clippy::print_stderr, reason = "a macro has no other way to be asked, or to say")]
fn debug(expansion: &proc_macro2::TokenStream) {
    if std::env::var("CACHE_MACROS_DEBUG").is_ok_and(|value| value == "1") {
        eprintln!("{expansion}\n");
    }
}

fn not_a_function(kind: Kind, item: &proc_macro2::TokenStream, error: &syn::Error) -> syn::Error {
    let word = |token: &proc_macro2::TokenTree| token.to_string();
    let holds_functions =
        item.clone().into_iter().any(|token| matches!(word(&token).as_str(), "impl" | "trait" | "mod"));
    let message = if holds_functions { "put it on each function that it is for".to_owned() } else { error.to_string() };
    syn::Error::new(error.span(), format!("{} goes on an `async fn`: {message}", kind.written()))
}
