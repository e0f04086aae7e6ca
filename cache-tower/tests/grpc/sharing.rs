//! One call of the service for all who ask for the same, whoever goes away.

use std::{collections::HashSet, sync::Arc, time::Duration};

use cache_core::{Cache, Policy, millis, mins, secs};
use cache_tower::grpc::{GrpcCacheLayer, GrpcMethod};
use tokio::{
    sync::{Barrier, Semaphore},
    task::{JoinHandle, JoinSet},
    time::timeout,
};
use tower::{Layer, Service, ServiceExt};

use crate::service::*;

/// A service that answers when it is let.
fn gated() -> (Handmade, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let service = Handmade::new({
        let gate = Arc::clone(&gate);
        move |number, asked| {
            let gate = Arc::clone(&gate);
            async move {
                drop(asked);
                gate.acquire().await?.forget();
                Ok(answer(&[], &[message(&number.to_string())], &[("grpc-status", "0")]))
            }
        }
    });
    (service, gate)
}

fn callers(count: usize, layer: &GrpcCacheLayer, service: &Handmade) -> Vec<JoinHandle<Got>> {
    let caller = |_| {
        let (layer, service) = (layer.clone(), service.clone());
        tokio::spawn(async move { ask(&layer, &service, call(&[], "a")).await })
    };
    (0..count).map(caller).collect()
}

/// Lets everybody who can go on do so.
async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn many_callers_are_one_call_and_those_who_go_away_harm_nobody() {
    // Nobody, the one whose request went to the service, and one of ten.
    for goes in [0..0, 0..1, 90..100] {
        let (service, gate) = gated();
        let layer = layer(&Cache::in_memory());
        let all = callers(100, &layer, &service);
        eventually(|| service.calls() > 0).await;
        settle().await;
        all[goes.clone()].iter().for_each(JoinHandle::abort);
        settle().await;
        gate.add_permits(100);
        let mut words = Vec::new();
        for caller in all {
            if let Ok(got) = timeout(DEADLINE, caller).await.expect("a caller hangs") {
                assert_eq!((got.text(), got.trailers.as_ref().unwrap()["grpc-status"].to_str().unwrap()), ("1", "0"));
                words.push(got.word());
            }
        }
        assert_eq!((words.len(), service.calls()), (100 - goes.len(), 1), "{goes:?}");
        if goes.is_empty() {
            assert_eq!(words.iter().filter(|word| *word == "cache;fwd=miss").count(), 1);
            assert_eq!(words.iter().filter(|word| word.contains("collapsed")).count(), 99, "{words:?}");
        }
    }
}

#[tokio::test]
async fn caller_who_stops_reading_holds_up_nobody() {
    let (service, layer) = (Handmade::counting(), layer(&Cache::in_memory()));
    let idle = layer.layer(service.clone()).oneshot(call(&[], "a")).await.unwrap();
    assert_eq!(ask(&layer, &service, call(&[], "a")).await.text(), "1");
    drop(idle);
    assert_eq!((ask(&layer, &service, call(&[], "a")).await.text(), service.calls()), ("1", 1));
}

#[tokio::test]
async fn calls_that_fail_are_made_side_by_side() {
    // All but the first are under way at once, or this never ends.
    let barrier = Arc::new(Barrier::new(49));
    let service = Handmade::new(move |number, _| {
        let barrier = Arc::clone(&barrier);
        async move {
            if number > 1 {
                barrier.wait().await;
            }
            Ok(trailers_only(&[("grpc-status", "5"), ("grpc-message", &number.to_string())]))
        }
    });
    let layer = layer(&Cache::in_memory());
    let mut answers = JoinSet::new();
    for caller in callers(50, &layer, &service) {
        answers.spawn(caller);
    }
    let answers = timeout(DEADLINE, answers.join_all()).await.expect("one waits for another");
    let numbers: HashSet<String> =
        answers.into_iter().map(|got| got.unwrap().headers["grpc-message"].to_str().unwrap().to_owned()).collect();
    assert_eq!(numbers.len(), 50, "an answer that failed is shared by nobody");
}

#[tokio::test(start_paused = true)]
async fn what_failed_is_stored_once_it_succeeds() {
    let service = Handmade::reading(|number| match number {
        1..4 => trailers_only(&[("grpc-status", "14")]),
        _ => answer(&[], &[message(&number.to_string())], &[("grpc-status", "0")]),
    });
    let layer = layer(&Cache::in_memory());
    for _ in 1..4 {
        assert_eq!(ask(&layer, &service, call(&[], "a")).await.headers["grpc-status"], "14");
    }
    // It is remembered for a second that they failed.
    tokio::time::advance(Duration::from_secs(1)).await;
    for _ in 0..2 {
        assert_eq!(ask(&layer, &service, call(&[], "a")).await.text(), "4");
    }
}

#[tokio::test]
async fn caller_waits_for_another_only_for_so_long() {
    let (service, gate) = gated();
    let layer = layer(&Cache::in_memory()).collapse(millis(30));
    let mut all = callers(2, &layer, &service);
    eventually(|| service.calls() == 2).await;
    gate.add_permits(2);
    let words: HashSet<String> =
        [all.pop().unwrap().await, all.pop().unwrap().await].into_iter().map(|got| got.unwrap().word()).collect();
    assert_eq!(words, HashSet::from(["cache;fwd=miss".to_owned(), "cache;fwd=miss;detail=collapse".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn call_that_hangs_holds_up_nobody_for_ever() {
    let service = Handmade::new(|number, asked| async move {
        drop(asked);
        if number == 1 {
            std::future::pending::<()>().await;
        }
        Ok(answer(&[], &[message(&number.to_string())], &[("grpc-status", "0")]))
    });
    let layer = layer(&Cache::in_memory()).collapse(secs(1));
    let hanging = callers(1, &layer, &service);
    eventually(|| service.calls() == 1).await;
    let began = tokio::time::Instant::now();
    for number in 2..5 {
        assert_eq!(ask(&layer, &service, call(&[], "a")).await.text(), number.to_string());
    }
    assert_eq!(began.elapsed().as_secs(), 1, "one waits, and the others do not");
    hanging.iter().for_each(JoinHandle::abort);
}

#[tokio::test]
async fn layer_stands_over_a_limit_of_concurrency() {
    let (service, gate) = gated();
    let limited = tower::limit::ConcurrencyLimitLayer::new(1).layer(service.clone());
    let mut stack = layer(&Cache::in_memory()).layer(limited);
    let first = ServiceExt::<http::Request<AnyBody>>::ready(&mut stack).await.unwrap().call(call(&[], "a"));
    let first = tokio::spawn(first);
    eventually(|| service.calls() == 1).await;
    // The one permit is with the call that is under way.
    assert!(timeout(millis(20), ServiceExt::<http::Request<AnyBody>>::ready(&mut stack)).await.is_err());
    gate.add_permits(1);
    assert_eq!(read(first.await.unwrap().unwrap()).await.text(), "1");
    let hit =
        ServiceExt::<http::Request<AnyBody>>::ready(&mut stack).await.unwrap().call(call(&[], "a")).await.unwrap();
    assert_eq!((read(hit).await.text(), service.calls()), ("1", 1));
}

#[tokio::test]
async fn old_answer_is_given_while_a_new_one_is_fetched_if_the_policy_says_so() {
    let stale = Policy::new().stale(mins(10));
    let cache = Cache::builder("shop").scope("grpc", stale).build().await.unwrap();
    let service = Handmade::counting();
    let layer = GrpcCacheLayer::new(&cache).method(GrpcMethod::new(GET).ttl(millis(20)));
    assert_eq!(ask(&layer, &service, call(&[], "a")).await.text(), "1");
    let renewed = async {
        loop {
            let got = ask(&layer, &service, call(&[], "a")).await;
            // Nobody ever waits.
            assert_eq!(got.word(), "cache;hit");
            if got.text() != "1" {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, renewed).await.expect("it is never renewed");
}
