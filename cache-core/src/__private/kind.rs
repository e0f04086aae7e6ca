//! `Result`, `Option` or a plain value, told by type: aliases of them pass, and nothing hangs on how they are spelled.

use std::{convert::Infallible, marker::PhantomData};

use crate::{
    cache::Judge,
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
    /// Puts one together.
    fn join(outcome: Result<Option<Self::Value>, Self::Error>) -> Self::Returned;
    /// Looks into one; `None` for an error.
    fn view(returned: &Self::Returned) -> Option<Option<&Self::Value>>;
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident<$($param:ident),+>, $via:ident for [$($amp:tt)*] $returned:ty;)+) => {$(
        $(#[$doc])*
        pub struct $name<$($param),+>(PhantomData<fn() -> ($($param,)+)>);

        impl<$($param),+> Clone for $name<$($param),+> {
            fn clone(&self) -> Self {
                *self
            }
        }

        impl<$($param),+> Copy for $name<$($param),+> {}

        /// A rung of the ladder.
        pub trait $via<$($param),+> {
            /// The kind.
            fn __cache_kind(&self) -> $name<$($param),+>;
        }

        impl<$($param),+> $via<$($param),+> for $($amp)* Returned<$returned> {
            #[inline]
            fn __cache_kind(&self) -> $name<$($param),+> {
                $name(PhantomData)
            }
        }
    )+};
}

kinds! {
    /// `Result<Option<T>, E>`.
    ResultOptionOf<T, E>, ViaResultOption for [&&&] Result<Option<T>, E>;
    /// `Result<T, E>`.
    ResultOf<T, E>, ViaResult for [&&] Result<T, E>;
    /// `Option<T>`.
    OptionOf<T>, ViaOption for [&] Option<T>;
    /// Anything else.
    Plain<T>, ViaPlain for [] T;
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

impl<T, E> Kind for ResultOptionOf<T, E> {
    type Error = E;
    type Returned = Result<Option<T>, E>;
    type Value = T;

    const NONE: bool = true;

    fn split(returned: Self::Returned) -> Result<Option<T>, E> {
        returned
    }

    fn join(outcome: Result<Option<T>, E>) -> Self::Returned {
        outcome
    }

    fn view(returned: &Self::Returned) -> Option<Option<&T>> {
        returned.as_ref().ok().map(Option::as_ref)
    }
}

impl<T, E> Kind for ResultOf<T, E> {
    type Error = E;
    type Returned = Result<T, E>;
    type Value = T;

    const NONE: bool = false;

    fn split(returned: Self::Returned) -> Result<Option<T>, E> {
        returned.map(Some)
    }

    fn join(outcome: Result<Option<T>, E>) -> Self::Returned {
        outcome.map(|value| value.expect(SOME))
    }

    fn view(returned: &Self::Returned) -> Option<Option<&T>> {
        returned.as_ref().ok().map(Some)
    }
}

impl<T> Kind for OptionOf<T> {
    type Error = Infallible;
    type Returned = Option<T>;
    type Value = T;

    const NONE: bool = true;

    fn split(returned: Self::Returned) -> Result<Option<T>, Infallible> {
        Ok(returned)
    }

    fn join(outcome: Result<Option<T>, Infallible>) -> Self::Returned {
        let Ok(value) = outcome;
        value
    }

    fn view(returned: &Self::Returned) -> Option<Option<&T>> {
        Some(returned.as_ref())
    }
}

impl<T> Kind for Plain<T> {
    type Error = Infallible;
    type Returned = T;
    type Value = T;

    const NONE: bool = false;

    fn split(returned: T) -> Result<Option<T>, Infallible> {
        Ok(Some(returned))
    }

    fn join(outcome: Result<Option<T>, Infallible>) -> T {
        let Ok(value) = outcome;
        value.expect(SOME)
    }

    fn view(returned: &T) -> Option<Option<&T>> {
        Some(Some(returned))
    }
}

// === what `unless` sees ===

impl<T, E> ResultOptionOf<T, E> {
    /// `it` is an `Option`.
    pub fn unless(self, judge: impl Fn(Option<&T>) -> bool + Send + Sync + 'static) -> Judge<T> {
        Box::new(judge)
    }
}

impl<T> OptionOf<T> {
    /// `it` is an `Option`.
    pub fn unless(self, judge: impl Fn(Option<&T>) -> bool + Send + Sync + 'static) -> Judge<T> {
        Box::new(judge)
    }
}

impl<T, E> ResultOf<T, E> {
    /// `it` is the value.
    pub fn unless(self, judge: impl Fn(&T) -> bool + Send + Sync + 'static) -> Judge<T> {
        Box::new(move |value| value.is_some_and(&judge))
    }
}

impl<T> Plain<T> {
    /// `it` is the value.
    pub fn unless(self, judge: impl Fn(&T) -> bool + Send + Sync + 'static) -> Judge<T> {
        Box::new(move |value| value.is_some_and(&judge))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Alias<T> = Result<T, std::fmt::Error>;
    type Found = Alias<Option<u8>>;

    macro_rules! kind_of {
        ($returned:ty) => {
            (&&&&Returned::<$returned>::NEW).__cache_kind()
        };
    }

    macro_rules! kind {
        ($returned:ty) => {
            std::any::type_name_of_val(&kind_of!($returned)).split('<').next().and_then(|name| name.rsplit("::").next())
        };
    }

    #[test]
    fn kinds_are_told_by_type() {
        assert_eq!(kind!(Result<Option<u8>, ()>), Some("ResultOptionOf"));
        assert_eq!(kind!(Found), Some("ResultOptionOf"));
        assert_eq!(kind!(Alias<u8>), Some("ResultOf"));
        assert_eq!(kind!(Alias<Result<Option<u8>, ()>>), Some("ResultOf"));
        assert_eq!(kind!(Option<u8>), Some("OptionOf"));
        assert_eq!(kind!(Option<Alias<u8>>), Some("OptionOf"));
        assert_eq!(kind!(Vec<Option<u8>>), Some("Plain"));
        assert_eq!(kind!(()), Some("Plain"));
    }

    #[test]
    fn a_parameter_that_happens_to_be_an_option_is_a_value() {
        fn of<T>() -> Option<&'static str> {
            kind!(T)
        }
        assert_eq!(of::<Option<u8>>(), Some("Plain"));
    }

    #[test]
    fn a_result_taken_apart_and_put_together_is_itself() {
        fn check<K: Kind<Returned: Clone + PartialEq + std::fmt::Debug>>(_: K, returned: &[K::Returned]) {
            for one in returned {
                assert_eq!(&K::join(K::split(one.clone())), one);
            }
        }
        check(kind_of!(Result<Option<u8>, u8>), &[Ok(Some(1)), Ok(None), Err(2)]);
        check(kind_of!(Result<u8, u8>), &[Ok(1), Err(2)]);
        check(kind_of!(Option<u8>), &[Some(1), None]);
        check(kind_of!(u8), &[1]);
    }
}
