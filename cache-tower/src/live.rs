//! Answers whose bodies are still coming: those who wait for one in this process need not wait for its end.

use std::{
    any::Any,
    sync::{Arc, Mutex, PoisonError},
};

use cache_core::__private::Hears;
use http_body::Body;
use tokio::sync::oneshot;

use crate::{record::Recording, stored::Stored};

/// An answer that may be stored, and whose body is being recorded.
pub(crate) struct Live<R: Body> {
    /// As it will be stored if its body ends well, but for the body.
    pub(crate) head: Arc<Stored>,
    pub(crate) body: Recording<R>,
}

/// Hears of one answer, the first of its kind.
pub(crate) fn hearing<R>() -> (Hears, oneshot::Receiver<Arc<Live<R>>>)
where
    R: Body + Send + 'static,
    R::Error: Send,
{
    let (heard, live) = oneshot::channel();
    let heard = Mutex::new(Some(heard));
    let hears = move |what: Arc<dyn Any + Send + Sync>| {
        // Another layer over the same cache may have bodies of another type.
        let Ok(live) = what.downcast::<Live<R>>() else { return };
        // Nothing can panic while it is held.
        let heard = heard.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Whoever has an answer by now no longer listens.
        let _gone = heard.map(|heard| heard.send(live));
    };
    (Box::new(hears), live)
}
