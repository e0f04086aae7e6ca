//! Callers one after another, each at its moment: a slow answer delays nobody who comes after it.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use tokio::{task::JoinSet, time::sleep};

use super::{
    node::Node,
    orders::{Call, Pace, Row},
    origin::Failed,
};
use crate::torture::Moment;

type Answer = Result<(Row, bool), Failed>;

/// Makes the calls, and tells of each when the last is answered.
///
/// Each call is looked at once by the one who makes it: what is answered then did not wait, neither for the cache nor for a
/// turn of the executor. The others go on in a task of their own. A call counts from when it was made; how late that was is
/// told beside it, since it is the lateness of this program and its machine.
pub(crate) async fn walk(node: &Arc<Node>, pace: Pace) -> Vec<Call> {
    let mut calls = Vec::new();
    let mut waiting = JoinSet::new();
    for number in 0..pace.lasts * 1_000 / pace.every {
        let due = Moment(pace.at + number * pace.every * 1_000);
        let early = due.since(Moment::now());
        if !early.is_zero() {
            // Time itself: the pace.
            sleep(early).await;
        }
        let id = by_zipf(pace.ids);
        let made = Moment::now();
        let mut answer: Pin<Box<dyn Future<Output = Answer> + Send>> = {
            let node = Arc::clone(node);
            Box::pin(async move { node.ask(id).await })
        };
        match poll_fn(|context| Poll::Ready(answer.as_mut().poll(context))).await {
            Poll::Ready(answer) => calls.push(call(due, made, true, answer)),
            Poll::Pending => {
                waiting.spawn(async move { call(due, made, false, answer.await) });
            }
        }
        while let Some(Ok(call)) = waiting.try_join_next() {
            calls.push(call);
        }
    }
    while let Some(Ok(call)) = waiting.join_next().await {
        calls.push(call);
    }
    calls
}

fn call(due: Moment, made: Moment, at_once: bool, answer: Answer) -> Call {
    let micros = |time: Duration| time.as_micros() as u64;
    let (late, waited) = (micros(made.since(due)), micros(Moment::now().since(made)));
    let answer = answer.ok();
    let (loaded, stale) = (answer.map(|(row, _)| row.loaded), answer.is_some_and(|(_, stale)| stale));
    Call { at: made.0, late, waited, at_once, stale, loaded }
}

/// One of so many, the first the likeliest: Zipf's law with the exponent 1, by the inverse of its sum as an integral.
fn by_zipf(ids: u64) -> u64 {
    let id = ((ids + 1) as f64).powf(fastrand::f64()) as u64;
    id.clamp(1, ids) - 1
}
