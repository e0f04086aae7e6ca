//! What `#[cacheable(batch(..))]` expands to: a call for each element, and one body for those that are missing.
//!
//! The body stays in its caller and may run more than once; what it borrows it never has to own.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    future::Future,
    hash::{BuildHasher, Hash},
    pin::Pin,
    sync::Arc,
};

use super::{
    call::{Plan, Reached},
    kind::{Fallible, Kind, One, Sure},
};
use crate::{
    cache::{Cache, Call, Entry, Judge},
    outcome::Outcome,
};

/// What a function with `batch` returns, with or without a `Result`: what tells elements apart, and what is cached of each.
#[diagnostic::on_unimplemented(
    message = "a function with `batch` returns a map from ids to values, and `{Self}` is none",
    label = "this must say which value is whose",
    note = "return a `HashMap<Id, T>` or a `BTreeMap<Id, T>`, plain or in a `Result`; an `Id` is `Clone + Eq + Hash`"
)]
pub trait BatchMap<Id, T>: Sized {
    /// Takes a map apart.
    fn split(self) -> HashMap<Id, T>;
    /// Puts one together.
    fn join(found: Pairs<Id, T>) -> Self;
}

impl<Id, T, S> BatchMap<Id, T> for HashMap<Id, T, S>
where
    Id: Clone + Eq + Hash,
    T: 'static,
    S: BuildHasher + Default,
{
    fn split(self) -> HashMap<Id, T> {
        self.into_iter().collect()
    }

    fn join(found: Pairs<Id, T>) -> Self {
        found.into_iter().collect()
    }
}

impl<Id: Clone + Eq + Hash + Ord, T: 'static> BatchMap<Id, T> for BTreeMap<Id, T> {
    fn split(self) -> HashMap<Id, T> {
        self.into_iter().collect()
    }

    fn join(found: Pairs<Id, T>) -> Self {
        found.into_iter().collect()
    }
}

/// A kind that holds a map, and nothing around it but a `Result`.
///
/// `Id` and `T` are parameters of it, and no associated types: of those rustc says once more that there are none.
#[diagnostic::on_unimplemented(
    message = "a function with `batch` returns a map from ids to values, plain or in a `Result`",
    label = "there is more around the map",
    note = "leave an id of which there is nothing out of the map, instead of an `Option`; there is no `Entry` of a batch"
)]
pub trait BatchKind<Id, T>: Kind {
    /// The map in a result.
    fn open(returned: Self::Returned) -> Result<HashMap<Id, T>, Self::Error>;
    /// A result with a map.
    fn close(found: Result<Pairs<Id, T>, Self::Error>) -> Self::Returned;
}

impl<M: BatchMap<Id, T>, Id, T, E> BatchKind<Id, T> for Fallible<One<M>, E> {
    fn open(returned: Result<M, E>) -> Result<HashMap<Id, T>, E> {
        returned.map(M::split)
    }

    fn close(found: Result<Pairs<Id, T>, E>) -> Result<M, E> {
        found.map(M::join)
    }
}

impl<M: BatchMap<Id, T>, Id, T> BatchKind<Id, T> for Sure<One<M>> {
    fn open(returned: M) -> Result<HashMap<Id, T>, Self::Error> {
        Ok(returned.split())
    }

    fn close(found: Result<Pairs<Id, T>, Self::Error>) -> M {
        let Ok(found) = found;
        M::join(found)
    }
}

/// A map that says *nothing* of an id in its own way.
pub trait OfOptions {
    /// What it has for each.
    type Each;
}

impl<Id, T, S> OfOptions for HashMap<Id, Option<T>, S> {
    type Each = Option<T>;
}

impl<Id, T> OfOptions for BTreeMap<Id, Option<T>> {
    type Each = Option<T>;
}

/// Nothing is: a map of options is refused.
#[diagnostic::on_unimplemented(
    message = "a function with `batch` leaves an id of which there is nothing out of its map, and this map has an `{Self}` for each",
    label = "this could say *nothing* in two ways",
    note = "return a map of values, without the `Option`, and leave out what there is none of: the caller finds no such id in it, as with `None`"
)]
pub trait OneWay {}

/// The upper rung: a map of options.
pub trait ViaOptions<Each> {
    /// There is one way to say *nothing*.
    fn __cache_one_way(&self)
    where
        Each: OneWay,
    {
    }
}

impl<M: OfOptions, E> ViaOptions<M::Each> for &Fallible<One<M>, E> {}

impl<M: OfOptions> ViaOptions<M::Each> for &Sure<One<M>> {}

/// The lower rung: anything else.
pub trait ViaValues {
    /// There is one way to say *nothing*.
    fn __cache_one_way(&self) {}
}

impl<K: Kind> ViaValues for K {}

/// The elements of an argument.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no slice of `{Id}`, by which the map tells its values apart",
    label = "not the ids of the map",
    note = "take a `&[Id]`, a `Vec<Id>` or a `&Vec<Id>`, and return a map of the same `Id`"
)]
pub trait BatchIds<Id> {
    /// All of them.
    fn ids(&self) -> &[Id];
}

impl<Id> BatchIds<Id> for [Id] {
    fn ids(&self) -> &[Id] {
        self
    }
}

impl<Id> BatchIds<Id> for Vec<Id> {
    fn ids(&self) -> &[Id] {
        self
    }
}

#[diagnostic::do_not_recommend]
impl<Id, I: BatchIds<Id> + ?Sized> BatchIds<Id> for &I {
    fn ids(&self) -> &[Id] {
        (**self).ids()
    }
}

/// How a map is taken out of a result, and put into one; and the kind of one element. Only [`batch`], which makes it, asks
/// anything of the types: a map that is none is one error.
pub struct Each<R, Id, T, E> {
    open: fn(R) -> Result<HashMap<Id, T>, E>,
    close: fn(Result<Pairs<Id, T>, E>) -> R,
}

/// The elements of one call of which each is to be answered.
pub struct Batch<Id, T: 'static, E: 'static> {
    cache: Cache,
    calls: Vec<(Id, Box<Call<T, E>>)>,
}

/// What was found, in no order.
type Pairs<Id, T> = Vec<(Id, T)>;

/// The kind of one element of a batch.
pub fn batch<K: BatchKind<Id, T>, Id, T>(_: K) -> Each<K::Returned, Id, T, K::Error> {
    Each { open: K::open, close: K::close }
}

// === impl Each ===

impl<R, Id, T, E> Clone for Each<R, Id, T, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R, Id, T, E> Copy for Each<R, Id, T, E> {}

/// Of one element: there is a value, or *nothing*.
impl<R, Id, T, E> Kind for Each<R, Id, T, E> {
    type Error = E;
    type Returned = Result<Option<T>, E>;
    type Value = T;

    const NONE: bool = true;

    fn split(returned: Self::Returned) -> Result<Option<T>, E> {
        returned
    }

    fn join(answer: Result<Option<T>, E>, _: impl FnOnce() -> Entry<()>) -> Self::Returned {
        answer
    }

    fn view(returned: &Self::Returned) -> Option<Option<&T>> {
        returned.as_ref().ok().map(Option::as_ref)
    }

    fn tell(returned: Self::Returned, _: Outcome) -> Self::Returned {
        returned
    }
}

impl<R, Id: Clone + Eq + Hash, T: 'static, E: 'static> Each<R, Id, T, E> {
    /// The elements.
    #[inline]
    pub fn ids<I: BatchIds<Id> + ?Sized>(self, ids: &I) -> &[Id] {
        ids.ids()
    }

    /// `it` is a value of the map.
    pub fn unless(self, judge: impl Fn(&T) -> bool + Send + Sync + 'static) -> Judge<T> {
        Arc::new(move |value| value.is_some_and(&judge))
    }

    /// A call for each element; for one that comes twice, one.
    pub fn plan(self, cache: &Cache, ids: &[Id], plan: impl Fn(&Id) -> Plan<Self>) -> Batch<Id, T, E> {
        let mut seen = HashSet::with_capacity(ids.len());
        let distinct = ids.iter().filter(|id| seen.insert(*id));
        Batch { cache: cache.clone(), calls: distinct.map(|id| (id.clone(), plan(id).call)).collect() }
    }

    /// Answers by the plan; without one, by the body with all ids. Boxed, as a body is.
    pub fn answer<F, L>(self, plan: Reached<Batch<Id, T, E>>, ids: &[Id], body: L) -> Pin<Box<impl Future<Output = R>>>
    where
        F: Future<Output = R>,
        // rustc shows the next line when it fails.
        L: Fn(Vec<Id>) -> F, // the body may run more than once: it borrows its arguments, and clones what it gives away
    {
        let Self { open, close } = self;
        Box::pin(async move {
            let Ok(Batch { cache, calls }) = plan else { return body(ids.to_vec()).await };
            let load = move |missing| {
                let body = body(missing);
                async move { open(body.await) }
            };
            close(cache.load_many_inline(calls, load).await)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasherDefault, DefaultHasher};

    use super::*;
    use crate::__private::{Returned, rungs::*};

    type Other = HashMap<u8, char, BuildHasherDefault<DefaultHasher>>;

    macro_rules! each {
        ($returned:ty) => {
            batch((&&&&Returned::<$returned>::NEW).__cache_kind())
        };
    }

    #[test]
    fn maps_of_every_kind_are_taken_apart_and_put_together() {
        let pairs = [(1, 'a'), (2, 'b')];
        let each = each!(Result<HashMap<u8, char>, ()>);
        assert_eq!((each.open)(Ok(pairs.into())), Ok(pairs.into()));
        assert_eq!((each.close)(Err(())), Err(()));
        let each = each!(BTreeMap<u8, char>);
        assert_eq!((each.open)(pairs.into()), Ok(pairs.into()));
        assert_eq!((each.close)(Ok(pairs.into())), BTreeMap::from(pairs));
        let each = each!(Result<Other, ()>);
        assert_eq!((each.close)(Ok(pairs.into())), Ok(pairs.into_iter().collect()));
    }

    #[test]
    fn ids_are_found_in_slices_and_vectors() {
        let each = each!(HashMap<u8, char>);
        assert_eq!(each.ids(&&[1, 2][..]), [1, 2]);
        assert_eq!(each.ids(&vec![1]), [1]);
        assert_eq!(each.ids(&&vec![1]), [1]);
    }
}
