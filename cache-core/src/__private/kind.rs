//! `Result`, `Option`, an `Entry` or a plain value, told by type: aliases of them pass, and nothing hangs on how they are
//! spelled.
//!
//! A kind is what a function returns taken apart: whether it can fail (`Fallible`, `Sure`), and how it holds the value
//! (`Holds`). Those that hold an `Entry` are told what the cache knows of an answer; the others never ask for it.

use std::{convert::Infallible, marker::PhantomData, sync::Arc};

use crate::{
    cache::{Entry, Judge},
    outcome::Outcome,
    value::{CacheValue, ValueOps},
};

/// What a function returns, to be asked of which kind it is.
pub struct Returned<R>(PhantomData<fn() -> R>);

/// A result taken apart: the value that is cached, the error that is not, and whether it can say *nothing*.
pub trait Kind: Copy {
    /// What the function returns.
    type Returned;
    /// The value inside.
    type Value;
    /// The error inside; `Infallible` where there is none.
    type Error;
    /// Whether it can say that there is no value.
    const NONE: bool;

    /// Takes a result apart.
    fn split(returned: Self::Returned) -> Result<Option<Self::Value>, Self::Error>;
    /// Puts one together; `told` is what the cache knows of the value.
    fn join(answer: Result<Option<Self::Value>, Self::Error>, told: impl FnOnce() -> Entry<()>) -> Self::Returned;
    /// Looks into one; `None` for an error.
    fn view(returned: &Self::Returned) -> Option<Option<&Self::Value>>;
    /// One whose body ran outside of a load, with what the cache did.
    fn tell(returned: Self::Returned, outcome: Outcome) -> Self::Returned;
}

/// How a function that did not fail holds the value that it returns.
pub trait Holds {
    /// What holds it.
    type Held;
    /// The value inside.
    type Value;
    /// Whether it can say that there is no value.
    const NONE: bool;

    /// Takes the value out.
    fn open(held: Self::Held) -> Option<Self::Value>;
    /// Puts it in.
    fn close(value: Option<Self::Value>, told: impl FnOnce() -> Entry<()>) -> Self::Held;
    /// Looks at it.
    fn view(held: &Self::Held) -> Option<&Self::Value>;
    /// Notes what the cache did, where there is a place for it.
    fn tell(held: Self::Held, outcome: Outcome) -> Self::Held;
}

/// A result that can fail.
pub struct Fallible<H, E>(PhantomData<fn() -> (H, E)>);

/// A result that can't.
pub struct Sure<H>(PhantomData<fn() -> H>);

/// A `T` that is the value.
pub struct One<T>(PhantomData<fn() -> T>);

/// `Option<T>`.
pub struct Maybe<T>(PhantomData<fn() -> T>);

/// `Entry<T>`.
pub struct OneEntry<T>(PhantomData<fn() -> T>);

/// `Option<Entry<T>>`.
pub struct MaybeEntry<T>(PhantomData<fn() -> T>);

/// `Entry<Option<T>>`.
pub struct EntryMaybe<T>(PhantomData<fn() -> T>);

/// The rungs of the ladder, by which a kind is told, and what `unless` sees of each. Nothing in it has a name.
pub mod rungs {
    use super::{
        Arc, Entry, EntryMaybe, Fallible, Judge, Maybe, MaybeEntry, One, OneEntry, PhantomData, Returned, Sure,
    };

    macro_rules! rungs {
        ($([$($amp:tt)*] $via:ident<$($param:ident),+> $returned:ty => $name:ident<$($part:ty),+>, $seen:ident;)+) => {$(
            #[allow(unreachable_pub, reason = "exported without its name")]
            mod $via {
                use super::*;

                pub trait Via<$($param),+> {
                    fn __cache_kind(&self) -> $name<$($part),+>;
                }

                impl<$($param),+> Via<$($param),+> for $($amp)* Returned<$returned> {
                    #[inline]
                    fn __cache_kind(&self) -> $name<$($part),+> {
                        $name(PhantomData)
                    }
                }

                impl<$($param),+> $name<$($part),+> {
                    rungs!(@ $seen);
                }
            }

            pub use $via::Via as _;
        )+};
        (@ option) => {
            /// `it` is an `Option`.
            pub fn unless(self, judge: impl Fn(Option<&T>) -> bool + Send + Sync + 'static) -> Judge<T> {
                Arc::new(judge)
            }
        };
        (@ value) => {
            /// `it` is the value.
            pub fn unless(self, judge: impl Fn(&T) -> bool + Send + Sync + 'static) -> Judge<T> {
                Arc::new(move |value| value.is_some_and(&judge))
            }
        };
    }

    // Of two that fit, the one with more references is taken. Those with as many never fit the same type.
    rungs! {
        [&&&] result_maybe_entry<T, E> Result<Option<Entry<T>>, E> => Fallible<MaybeEntry<T>, E>, option;
        [&&&] result_entry_maybe<T, E> Result<Entry<Option<T>>, E> => Fallible<EntryMaybe<T>, E>, option;
        [&&] result_entry<T, E> Result<Entry<T>, E> => Fallible<OneEntry<T>, E>, value;
        [&&] result_maybe<T, E> Result<Option<T>, E> => Fallible<Maybe<T>, E>, option;
        [&&] maybe_entry<T> Option<Entry<T>> => Sure<MaybeEntry<T>>, option;
        [&&] entry_maybe<T> Entry<Option<T>> => Sure<EntryMaybe<T>>, option;
        [&] result<T, E> Result<T, E> => Fallible<One<T>, E>, value;
        [&] maybe<T> Option<T> => Sure<Maybe<T>>, option;
        [&] entry<T> Entry<T> => Sure<OneEntry<T>>, value;
        [] one<T> T => Sure<One<T>>, value;
    }
}

/// What can be done with the value. The only place that asks anything of its type, so that one that can't be cached is one
/// error.
#[inline]
pub fn value_ops<K: Kind>(_: K) -> &'static ValueOps<K::Value>
where
    K::Value: CacheValue,
{
    ValueOps::of()
}

/// What can be done with the error: asked for `cache_err` only.
pub fn error_ops<K: Kind>(_: K) -> &'static ValueOps<K::Error>
where
    K::Error: CacheValue,
{
    ValueOps::of()
}

/// What a kind without *nothing* gives the engine it also gets back.
const SOME: &str = "a call that cannot say *nothing* is never answered with it";

// === impl Returned ===

impl<R> Returned<R> {
    /// To be asked.
    pub const NEW: Self = Self(PhantomData);
}

// === impl Kind ===

impl<H, E> Clone for Fallible<H, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H, E> Copy for Fallible<H, E> {}

impl<H: Holds, E> Kind for Fallible<H, E> {
    type Error = E;
    type Returned = Result<H::Held, E>;
    type Value = H::Value;

    const NONE: bool = H::NONE;

    fn split(returned: Self::Returned) -> Result<Option<H::Value>, E> {
        returned.map(H::open)
    }

    #[inline]
    fn join(answer: Result<Option<H::Value>, E>, told: impl FnOnce() -> Entry<()>) -> Self::Returned {
        answer.map(|value| H::close(value, told))
    }

    fn view(returned: &Self::Returned) -> Option<Option<&H::Value>> {
        returned.as_ref().ok().map(H::view)
    }

    fn tell(returned: Self::Returned, outcome: Outcome) -> Self::Returned {
        returned.map(|held| H::tell(held, outcome))
    }
}

impl<H> Clone for Sure<H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H> Copy for Sure<H> {}

impl<H: Holds> Kind for Sure<H> {
    type Error = Infallible;
    type Returned = H::Held;
    type Value = H::Value;

    const NONE: bool = H::NONE;

    fn split(returned: H::Held) -> Result<Option<H::Value>, Infallible> {
        Ok(H::open(returned))
    }

    #[inline]
    fn join(answer: Result<Option<H::Value>, Infallible>, told: impl FnOnce() -> Entry<()>) -> H::Held {
        let Ok(value) = answer;
        H::close(value, told)
    }

    fn view(returned: &H::Held) -> Option<Option<&H::Value>> {
        Some(H::view(returned))
    }

    fn tell(returned: H::Held, outcome: Outcome) -> H::Held {
        H::tell(returned, outcome)
    }
}

// === impl Holds ===

impl<T> Holds for One<T> {
    type Held = T;
    type Value = T;

    const NONE: bool = false;

    fn open(held: T) -> Option<T> {
        Some(held)
    }

    #[inline]
    fn close(value: Option<T>, _: impl FnOnce() -> Entry<()>) -> T {
        value.expect(SOME)
    }

    fn view(held: &T) -> Option<&T> {
        Some(held)
    }

    fn tell(held: T, _: Outcome) -> T {
        held
    }
}

impl<T> Holds for Maybe<T> {
    type Held = Option<T>;
    type Value = T;

    const NONE: bool = true;

    fn open(held: Option<T>) -> Option<T> {
        held
    }

    #[inline]
    fn close(value: Option<T>, _: impl FnOnce() -> Entry<()>) -> Option<T> {
        value
    }

    fn view(held: &Option<T>) -> Option<&T> {
        held.as_ref()
    }

    fn tell(held: Option<T>, _: Outcome) -> Option<T> {
        held
    }
}

impl<T> Holds for OneEntry<T> {
    type Held = Entry<T>;
    type Value = T;

    const NONE: bool = false;

    fn open(held: Entry<T>) -> Option<T> {
        Some(held.into_value())
    }

    #[inline]
    fn close(value: Option<T>, told: impl FnOnce() -> Entry<()>) -> Entry<T> {
        let value = value.expect(SOME);
        told().map(|()| value)
    }

    fn view(held: &Entry<T>) -> Option<&T> {
        Some(held.value())
    }

    fn tell(held: Entry<T>, outcome: Outcome) -> Entry<T> {
        held.with_outcome(outcome)
    }
}

impl<T> Holds for MaybeEntry<T> {
    type Held = Option<Entry<T>>;
    type Value = T;

    const NONE: bool = true;

    fn open(held: Option<Entry<T>>) -> Option<T> {
        held.map(Entry::into_value)
    }

    #[inline]
    fn close(value: Option<T>, told: impl FnOnce() -> Entry<()>) -> Option<Entry<T>> {
        value.map(|value| told().map(|()| value))
    }

    fn view(held: &Option<Entry<T>>) -> Option<&T> {
        held.as_ref().map(Entry::value)
    }

    fn tell(held: Option<Entry<T>>, outcome: Outcome) -> Option<Entry<T>> {
        held.map(|held| held.with_outcome(outcome))
    }
}

impl<T> Holds for EntryMaybe<T> {
    type Held = Entry<Option<T>>;
    type Value = T;

    const NONE: bool = true;

    fn open(held: Entry<Option<T>>) -> Option<T> {
        held.into_value()
    }

    #[inline]
    fn close(value: Option<T>, told: impl FnOnce() -> Entry<()>) -> Entry<Option<T>> {
        told().map(|()| value)
    }

    fn view(held: &Entry<Option<T>>) -> Option<&T> {
        held.value().as_ref()
    }

    fn tell(held: Entry<Option<T>>, outcome: Outcome) -> Entry<Option<T>> {
        held.with_outcome(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::{rungs::*, *};
    use crate::outcome::Bypass;

    type Alias<T> = Result<T, std::fmt::Error>;
    type Found = Alias<Option<u8>>;

    macro_rules! kind_of {
        ($returned:ty) => {
            (&&&&Returned::<$returned>::NEW).__cache_kind()
        };
    }

    /// `Fallible<Maybe<u8>, ..>` as `Fallible Maybe`.
    macro_rules! kind {
        ($returned:ty) => {{
            let name = std::any::type_name_of_val(&kind_of!($returned));
            let mut words = name.split('<').map(|part| part.rsplit("::").next().unwrap_or_default());
            [words.next().unwrap(), words.next().unwrap()].join(" ")
        }};
    }

    #[test]
    fn kinds_are_told_by_type() {
        assert_eq!(kind!(Result<Option<u8>, ()>), "Fallible Maybe");
        assert_eq!(kind!(Found), "Fallible Maybe");
        assert_eq!(kind!(Alias<u8>), "Fallible One");
        assert_eq!(kind!(Alias<Result<Option<u8>, ()>>), "Fallible One");
        assert_eq!(kind!(Option<u8>), "Sure Maybe");
        assert_eq!(kind!(Option<Alias<u8>>), "Sure Maybe");
        assert_eq!(kind!(Vec<Option<u8>>), "Sure One");
        assert_eq!(kind!(()), "Sure One");
        assert_eq!(kind!(Result<Option<Entry<u8>>, ()>), "Fallible MaybeEntry");
        assert_eq!(kind!(Alias<Entry<Option<u8>>>), "Fallible EntryMaybe");
        assert_eq!(kind!(Alias<Entry<Vec<Option<u8>>>>), "Fallible OneEntry");
        assert_eq!(kind!(Option<Entry<u8>>), "Sure MaybeEntry");
        assert_eq!(kind!(Entry<Option<u8>>), "Sure EntryMaybe");
        assert_eq!(kind!(Entry<u8>), "Sure OneEntry");
        assert_eq!(kind!(Vec<Entry<u8>>), "Sure One");
    }

    #[test]
    fn a_parameter_that_happens_to_be_an_option_is_a_value() {
        fn of<T>() -> String {
            kind!(T)
        }
        assert_eq!(of::<Option<u8>>(), "Sure One");
        assert_eq!(of::<Entry<u8>>(), "Sure One");
    }

    #[test]
    fn a_result_taken_apart_and_put_together_is_itself() {
        fn check<K: Kind<Returned: Clone + PartialEq + std::fmt::Debug>>(_: K, returned: &[K::Returned]) {
            for one in returned {
                assert_eq!(&K::join(K::split(one.clone()), || panic!("nobody asked")), one);
                assert_eq!(&K::tell(one.clone(), Outcome::Joined), one);
            }
        }
        check(kind_of!(Result<Option<u8>, u8>), &[Ok(Some(1)), Ok(None), Err(2)]);
        check(kind_of!(Result<u8, u8>), &[Ok(1), Err(2)]);
        check(kind_of!(Option<u8>), &[Some(1), None]);
        check(kind_of!(u8), &[1]);
    }

    #[test]
    fn an_entry_put_together_is_what_was_told() {
        fn joined<K: Kind<Value = u8, Error: std::fmt::Debug>>(_: K, value: Option<u8>) -> K::Returned {
            let joined = K::join(Ok(value), || Entry::from(()).with_outcome(Outcome::Joined));
            assert_eq!(K::view(&joined), Some(value.as_ref()));
            let told = K::tell(joined, Outcome::Bypass(Bypass::When));
            let Ok(split) = K::split(told) else { panic!("no error") };
            assert_eq!(split, value);
            K::join(Ok(split), || Entry::from(()).with_outcome(Outcome::Joined))
        }
        let told = |entry: Entry<u8>| (entry.outcome(), entry.into_value());
        let expected = (Outcome::Joined, 7);
        assert_eq!(told(joined(kind_of!(Entry<u8>), Some(7))), expected);
        assert_eq!(joined(kind_of!(Option<Entry<u8>>), Some(7)).map(told), Some(expected));
        assert!(joined(kind_of!(Option<Entry<u8>>), None).is_none());
        assert_eq!(joined(kind_of!(Entry<Option<u8>>), None).outcome(), Outcome::Joined);
        assert_eq!(joined(kind_of!(Alias<Entry<u8>>), Some(7)).map(told), Ok(expected));
        assert_eq!(
            joined(kind_of!(Alias<Option<Entry<u8>>>), Some(7)).map(|found| found.map(told)),
            Ok(Some(expected))
        );
        assert_eq!(joined(kind_of!(Alias<Entry<Option<u8>>>), Some(7)).map(Entry::into_value), Ok(Some(7)));
    }
}
