//! Whether a body can run in a task of its own, told by the types of its arguments; and owning what it borrows, if so.
//!
//! Lifetimes can't be told this way: a type is asked whether it is `Clone` and `Send`, and that it is `'static` is then
//! required. The macro asks only about types that are spelled without a lifetime.

use std::{borrow::Borrow, future::Future, marker::PhantomData, pin::Pin};

use super::{
    behind,
    behind::Behind,
    call,
    call::{Plan, Reached},
    kind::Kind,
    write,
    write::Writing,
};

/// The question: a list `(A, (B, ()))` of [`Lent`], [`LentOption`] and [`Moved`].
pub struct Ask<A>(PhantomData<fn() -> A>);

/// An argument `&T`.
pub struct Lent<T: ?Sized>(PhantomData<T>);

/// An argument `Option<&T>`, if that `Option` is the one.
pub struct LentOption<O>(PhantomData<O>);

/// An argument or a result that moves into, or out of, the task.
pub struct Moved<T: ?Sized>(PhantomData<T>);

/// An argument that moves into a body which is repeated.
pub struct Repeated<T>(PhantomData<T>);

/// It can be owned.
pub trait Ownable {}

impl Ownable for () {}

impl<A: Ownable, B: Ownable> Ownable for (A, B) {}

impl<T: ?Sized + Lendable> Ownable for Lent<T> {}

impl<O: LendableOption> Ownable for LentOption<O> {}

impl<T: ?Sized + Movable> Ownable for Moved<T> {}

impl<T: Repeatable> Ownable for Repeated<T> {}

/// What is borrowed can be cloned for a task.
#[diagnostic::on_unimplemented(
    message = "the load cannot go on without its caller: `{Self}` is borrowed from it, and cannot be cloned for a task",
    label = "this needs a load that goes on in the background",
    note = "what a load borrows must be `Clone + Send + Sync + 'static`: derive `Clone` for it, or hold it in an `Arc`",
    note = "for `self` that may be `self: Arc<Self>` or `self: &Arc<Self>`; or leave the option away"
)]
pub trait Lendable {}

#[diagnostic::do_not_recommend]
impl<T: ?Sized + ToOwned + Sync> Lendable for T where T::Owned: Send + Sync {}

/// The same of what an `Option` borrows.
#[diagnostic::on_unimplemented(
    message = "the load cannot go on without its caller: `{Self}` is borrowed from it, and cannot be cloned for a task",
    label = "this needs a load that goes on in the background",
    note = "of an `Option<&T>`, the `T` must be `Clone + Send + Sync + 'static`; or leave the option away"
)]
pub trait LendableOption {}

#[diagnostic::do_not_recommend]
impl<T: ?Sized + Lendable> LendableOption for Option<&T> {}

/// What moves can move into, or out of, a task.
#[diagnostic::on_unimplemented(
    message = "the load cannot go on without its caller: `{Self}` cannot be sent to a task",
    label = "this needs a load that goes on in the background",
    note = "arguments by value, and what the function returns, must be `Send`; or leave the option away"
)]
pub trait Movable {}

#[diagnostic::do_not_recommend]
impl<T: ?Sized + Send> Movable for T {}

/// What moves can be there for each time that the load runs.
#[diagnostic::on_unimplemented(
    message = "the load cannot be repeated: `{Self}` is moved into it, and cannot be cloned for each time",
    label = "this needs a load that runs again and again",
    note = "what a load that is repeated takes by value must be `Clone + Send + Sync + 'static`: derive `Clone` for it, or take \
            it by reference; or leave the option away"
)]
pub trait Repeatable {}

#[diagnostic::do_not_recommend]
impl<T: Clone + Send + Sync> Repeatable for T {}

/// Requires that the body can run in a task of its own.
#[inline]
pub fn in_background<A: Ownable>(_: &Ask<A>) {}

/// The body runs in a task of its own; a caller that goes away does nothing to it.
#[derive(Clone, Copy)]
pub struct Task;

/// The body runs in the caller.
#[derive(Clone, Copy)]
pub struct Inline;

/// The upper rung: everything can be owned.
pub trait ViaTask {
    /// In a task.
    #[inline]
    fn __cache_how(&self) -> Task {
        Task
    }
}

impl<A: Ownable> ViaTask for &Ask<A> {}

/// The lower rung: anything.
pub trait ViaInline {
    /// In the caller.
    #[inline]
    fn __cache_how(&self) -> Inline {
        Inline
    }
}

impl<A> ViaInline for Ask<A> {}

/// An argument that was owned.
pub struct Own<O>(O);

/// An `Option<&T>` that was owned.
pub struct OwnOption<O>(Option<O>);

/// An argument that stays what it is.
pub struct Keep<T>(T);

/// A body's future, boxed, so that the caller's own stays small where it never gets here: on a hit.
type Boxed<F> = Pin<Box<F>>;

/// The same of one that can be sent. Not `impl Future`, which would require `'static` once more where it is named.
type Sent<R> = Pin<Box<dyn Future<Output = R> + Send>>;

// === impl Ask ===

impl<A> Ask<A> {
    /// To be asked.
    pub const NEW: Self = Self(PhantomData);
}

// === impl Task ===

impl Task {
    /// Owns what `lent` points to.
    #[inline]
    pub fn own<T: ?Sized + ToOwned>(self, lent: &T) -> Own<T::Owned> {
        Own(lent.to_owned())
    }

    /// Owns what `lent` points to, if to anything.
    #[inline]
    pub fn own_option<T: ?Sized + ToOwned>(self, lent: Option<&T>) -> OwnOption<T::Owned> {
        OwnOption(lent.map(ToOwned::to_owned))
    }

    /// One more of what a body that is repeated takes by value.
    #[inline]
    pub fn again<T: Clone>(self, moved: &T) -> T {
        moved.clone()
    }

    /// Answers by the plan, or by a body that can be repeated.
    pub fn load_warm<K, F, L>(self, plan: Reached<Plan<K>>, body: L) -> Sent<K::Returned>
    where
        K: Kind + 'static,
        K::Value: Send + Sync + 'static,
        K::Error: Send + 'static,
        L: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = K::Returned> + Send + 'static, // else leave `warm_up` away, and add `inline`
    {
        Box::pin(call::load_warm(plan, body))
    }

    /// Answers by the plan, or by the body.
    pub fn load<K, F>(self, plan: Reached<Plan<K>>, body: F) -> Sent<K::Returned>
    where
        K: Kind + 'static,
        K::Value: Send + Sync + 'static,
        K::Error: Send + 'static,
        // rustc shows the next line when it fails.
        F: Future<Output = K::Returned> + Send + 'static, // else add `inline` to the attribute: the body stays in its caller
    {
        Box::pin(call::load_owned(plan, body))
    }

    /// Writes by the plan around the body.
    pub fn write<K, F>(self, plan: Reached<Writing<K>>, body: F) -> Sent<K::Returned>
    where
        K: Kind + 'static,
        K::Returned: Send + 'static,
        F: Future<Output = K::Returned> + Send + 'static, // else add `inline` to the attribute: the body stays in its caller
    {
        Box::pin(write::write_owned(plan, body))
    }

    /// Has what the body returns journaled.
    pub fn behind<K, F>(self, plan: Behind<K>, body: F) -> Sent<K::Returned>
    where
        K: Kind + 'static,
        K::Returned: Send + 'static,
        F: Future<Output = K::Returned> + Send + 'static, // else add `inline` to the attribute: the body stays in its caller
    {
        Box::pin(behind::behind_owned(plan, body))
    }
}

impl<O> Own<O> {
    /// Lends it to the body.
    #[inline]
    pub fn lend<T: ?Sized>(&self) -> &T
    where
        O: Borrow<T>,
    {
        self.0.borrow()
    }
}

impl<O> OwnOption<O> {
    /// Lends it to the body.
    #[inline]
    pub fn lend<T: ?Sized>(&self) -> Option<&T>
    where
        O: Borrow<T>,
    {
        self.0.as_ref().map(Borrow::borrow)
    }
}

// === impl Inline ===

impl Inline {
    /// Keeps the reference.
    #[inline]
    pub fn own<T: ?Sized>(self, lent: &T) -> Keep<&T> {
        Keep(lent)
    }

    /// Keeps the reference, if it is one.
    #[inline]
    pub fn own_option<O: Copy>(self, lent: O) -> Keep<O> {
        Keep(lent)
    }

    /// For a body that can't be repeated: it is refused by [`in_background`], and this has it refused only once.
    pub fn again<T>(self, _: &T) -> T {
        unreachable!("what cannot be repeated is not compiled")
    }

    /// As [`again`](Self::again).
    pub fn load_warm<K, F, L>(self, plan: Reached<Plan<K>>, body: L) -> Boxed<impl Future<Output = K::Returned>>
    where
        K: Kind,
        K::Value: 'static,
        K::Error: 'static,
        L: Fn() -> F,
        F: Future<Output = K::Returned>,
    {
        self.load(plan, body())
    }

    /// Answers by the plan, or by the body.
    pub fn load<K, F>(self, plan: Reached<Plan<K>>, body: F) -> Boxed<impl Future<Output = K::Returned>>
    where
        K: Kind,
        K::Value: 'static,
        K::Error: 'static,
        F: Future<Output = K::Returned>,
    {
        Box::pin(call::load_inline(plan, body))
    }

    /// Writes by the plan around the body.
    pub fn write<K, F>(self, plan: Reached<Writing<K>>, body: F) -> Boxed<impl Future<Output = K::Returned>>
    where
        K: Kind,
        F: Future<Output = K::Returned>,
    {
        Box::pin(write::write_inline(plan, body))
    }

    /// Has what the body returns journaled.
    pub fn behind<K, F>(self, plan: Behind<K>, body: F) -> Boxed<impl Future<Output = K::Returned>>
    where
        K: Kind,
        F: Future<Output = K::Returned>,
    {
        Box::pin(behind::behind_inline(plan, body))
    }
}

impl<T: Copy> Keep<T> {
    /// Gives it back.
    #[inline]
    pub fn lend(&self) -> T {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, rc::Rc, sync::Arc};

    use super::*;

    struct Plain;

    #[derive(Clone)]
    struct Cloned;

    #[derive(Clone)]
    struct NotSync(#[expect(dead_code, reason = "only its type counts")] Cell<u8>);

    macro_rules! how {
        ($($question:ty),*) => {
            std::any::type_name_of_val(&(&&Ask::<how!(@ $($question),*)>::NEW).__cache_how()).rsplit("::").next()
        };
        (@ $first:ty $(, $rest:ty)*) => { ($first, how!(@ $($rest),*)) };
        (@) => { () };
    }

    #[test]
    fn what_can_be_owned_runs_in_a_task() {
        let task = Some("Task");
        assert_eq!(how!(), task);
        assert_eq!(how!(Moved<u64>, Lent<str>, Lent<[u8]>, Lent<Cloned>, Lent<Arc<Plain>>), task);
        assert_eq!(how!(LentOption<Option<&str>>, Moved<Result<u8, std::io::Error>>), task);
        assert_eq!(how!(Moved<NotSync>), task, "what moves need not be `Sync`");
    }

    #[test]
    fn one_that_cannot_be_owned_keeps_all_in_the_caller() {
        let inline = Some("Inline");
        assert_eq!(how!(Lent<Plain>), inline);
        assert_eq!(how!(Lent<str>, Lent<Plain>, Moved<u8>), inline);
        assert_eq!(how!(Moved<Rc<u8>>), inline);
        assert_eq!(how!(Lent<Rc<u8>>), inline);
        assert_eq!(how!(Lent<NotSync>), inline);
        assert_eq!(how!(Lent<dyn Fn(u8) -> u8>), inline);
        assert_eq!(how!(Moved<Result<u8, Box<dyn std::error::Error>>>), inline);
        assert_eq!(how!(LentOption<Result<&u8, ()>>), inline, "an `Option` that is another's");
    }

    #[test]
    fn bounds_in_scope_are_enough() {
        fn known<T: Clone + Send + Sync + 'static>() -> Option<&'static str> {
            how!(Lent<T>, Moved<T>)
        }
        fn unknown<T: 'static>() -> Option<&'static str> {
            how!(Moved<T>)
        }
        assert_eq!(known::<u8>(), Some("Task"));
        assert_eq!(unknown::<u8>(), Some("Inline"));
    }
}
