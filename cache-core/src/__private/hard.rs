//! How a function's error says that its load took too long, told by type: asked for `hard` only.

use super::kind::{Fallible, Holds, Kind};
use crate::error::TimedOut;

/// An error that can say so.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot say that a load took longer than its `hard` timeout",
    label = "a load that takes longer ends with an error of this type",
    note = "implement `From<cache_core::TimedOut>` for `{Self}`, or leave `hard` away"
)]
pub trait SaysTimedOut {
    /// The error.
    fn timed_out(timed_out: TimedOut) -> Self;
}

#[diagnostic::do_not_recommend]
impl<E: From<TimedOut>> SaysTimedOut for E {
    fn timed_out(timed_out: TimedOut) -> Self {
        timed_out.into()
    }
}

/// A kind with an error that can say so.
#[diagnostic::on_unimplemented(
    message = "a function that returns `{R}` cannot say that a load took longer than its `hard` timeout",
    label = "it has no error",
    note = "a load that takes longer ends with an error: return a `Result` whose error is `From<cache_core::TimedOut>`, or leave \
            `hard` away"
)]
pub trait TimesOut<R>: Kind {
    /// How its error is made.
    const TIMED_OUT: fn(TimedOut) -> Self::Error;
}

impl<H: Holds, E: SaysTimedOut> TimesOut<Result<H::Held, E>> for Fallible<H, E> {
    const TIMED_OUT: fn(TimedOut) -> E = E::timed_out;
}

/// How the error of a kind is made.
#[inline]
pub fn timed_out<K>(_: K) -> fn(TimedOut) -> K::Error
where
    K: Kind + TimesOut<<K as Kind>::Returned>,
{
    K::TIMED_OUT
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::__private::{Returned, rungs::*};

    #[derive(Debug, PartialEq)]
    struct Slow(TimedOut);

    impl From<TimedOut> for Slow {
        fn from(timed_out: TimedOut) -> Self {
            Self(timed_out)
        }
    }

    #[test]
    fn error_of_every_fallible_kind_is_made_from_the_timeout() {
        let after = TimedOut::new(Duration::from_secs(5));
        assert_eq!(timed_out((&&Returned::<Result<u8, Slow>>::NEW).__cache_kind())(after), Slow(after));
        assert_eq!(timed_out((&&&Returned::<Result<Option<u8>, Slow>>::NEW).__cache_kind())(after), Slow(after));
        let boxed = timed_out((&&Returned::<Result<u8, Box<dyn std::error::Error>>>::NEW).__cache_kind())(after);
        assert_eq!(boxed.to_string(), "the load took longer than its hard timeout");
        assert_eq!(after.after(), Duration::from_secs(5));
    }
}
