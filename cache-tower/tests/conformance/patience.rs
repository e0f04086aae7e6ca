//! RFC 9111 section 4, for who waits for another's answer that hangs, stalls, is late or fails.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{sync::Arc, time::Duration};

use cache_core::{Cache, Policy};
use cache_tower::CacheLayer;
use tokio::{sync::Semaphore, time::timeout};
use tower::{Layer, ServiceExt};

use crate::{
    collapse::gated,
    flows::{Handmade, answer, body_of, get, piece, request, streamed},
    harness::{DEADLINE, eventually, settle},
};

/// A load that hangs holds up those who come while it waits, and none who come later: with nothing stored, and with what is stale.
#[tokio::test(start_paused = true)]
async fn a_load_that_hangs_holds_up_nobody_for_ever() {
    for hangs in [0, 1] {
        let origin = Handmade::new(move |number, _| async move {
            if number == hangs {
                std::future::pending::<()>().await;
            }
            Ok(answer(&[("cache-control", "max-age=10"), ("age", "20"), ("etag", "\"a\"")], "body"))
        });
        let wait = Duration::from_secs(10);
        let service = CacheLayer::proxy(Cache::in_memory()).collapse(wait).layer(origin.clone());
        for _ in 0..hangs {
            body_of(service.clone(), get("/")).await;
        }
        settle().await;
        let hanging = tokio::spawn(service.clone().oneshot(get("/")));
        settle().await;
        let began = tokio::time::Instant::now();
        assert_eq!(body_of(service.clone(), get("/")).await.1, b"body");
        assert_eq!(began.elapsed().as_secs(), wait.as_secs(), "the first waits");
        for _ in 0..3 {
            assert_eq!(body_of(service.clone(), get("/")).await.1, b"body");
        }
        assert_eq!(began.elapsed().as_secs(), wait.as_secs(), "others wait too, after {hangs}");
        hanging.abort();
    }
}

/// Nobody begins to read along what does not go on.
#[tokio::test(start_paused = true)]
async fn a_body_that_stalls_holds_up_nobody_for_ever() {
    let (send, receive) = std::sync::mpsc::sync_channel(1);
    let origin = Handmade::new(move |number, _| {
        let send = send.clone();
        async move {
            if number > 0 {
                return Ok(answer(&[("cache-control", "max-age=60")], "own"));
            }
            let (pieces, answer) = streamed(&[("cache-control", "max-age=60"), ("content-length", "4")]);
            send.send(pieces)?;
            Ok(answer)
        }
    });
    let wait = Duration::from_secs(10);
    let service = CacheLayer::proxy(Cache::in_memory()).collapse(wait).layer(origin.clone());
    let first = service.clone().oneshot(get("/")).await.unwrap();
    settle().await;
    let pieces = receive.try_recv().unwrap();
    pieces.send(piece("ab")).await.unwrap();
    settle().await;
    // Time itself, and it is paused.
    tokio::time::sleep(wait + Duration::from_secs(1)).await;
    let began = tokio::time::Instant::now();
    for _ in 0..3 {
        let own = timeout(wait * 3, body_of(service.clone(), get("/"))).await.expect("it reads along");
        assert_eq!(own.1, b"own");
    }
    assert_eq!(began.elapsed().as_secs(), wait.as_secs(), "one waits, and the others do not");
    drop((pieces, first));
}

/// The layer judges what is old: a `soft` of the policy is no permission to serve what has to be validated.
#[tokio::test]
async fn a_soft_timeout_of_the_policy_gives_nobody_what_was_not_validated() {
    let (origin, gate) = gated(&[("cache-control", "no-cache"), ("etag", "\"a\"")]);
    let soft = Policy::new().soft(Duration::from_millis(1)).hard(Duration::from_millis(2));
    let cache = Cache::builder("shop").policy(soft).build().await.unwrap();
    let service = CacheLayer::proxy(cache).layer(origin.clone());
    gate.add_permits(1);
    body_of(service.clone(), get("/")).await;
    settle().await;
    let second = tokio::spawn(body_of(service, get("/")));
    assert!(eventually(|| origin.asked() == 2).await);
    // Time itself: more than both timeouts.
    tokio::time::sleep(Duration::from_millis(50)).await;
    gate.add_permits(1);
    assert_eq!(second.await.unwrap().1, b"body 2");
}

/// RFC 5861 section 4, RFC 9111 section 5.2.1.4: that the one who was sent bears something stale does not say that the others do.
#[tokio::test]
async fn what_stands_in_is_for_those_who_bear_it() {
    for fails in [true, false] {
        let gate = Arc::new(Semaphore::new(1));
        let origin = Handmade::new({
            let gate = Arc::clone(&gate);
            move |number, _| {
                let gate = Arc::clone(&gate);
                async move {
                    gate.acquire().await?.forget();
                    let headers = [("cache-control", "max-age=10, stale-if-error=600"), ("age", "20")];
                    let mut answer = answer(&headers, &format!("body {}", number + 1));
                    if number > 0 {
                        if fails {
                            return Err("gone".into());
                        }
                        *answer.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
                    }
                    Ok(answer)
                }
            }
        });
        let service = CacheLayer::proxy(Cache::in_memory()).layer(origin.clone());
        body_of(service.clone(), get("/")).await;
        settle().await;
        let first = tokio::spawn(service.clone().oneshot(get("/")));
        assert!(eventually(|| origin.asked() == 2).await);
        let bears = tokio::spawn(service.clone().oneshot(get("/")));
        let wants = tokio::spawn(service.oneshot(request("GET", "/", &[("cache-control", "no-cache")])));
        settle().await;
        gate.add_permits(10);
        let mut statuses = Vec::new();
        for client in [first, bears, wants] {
            let answer = timeout(DEADLINE, client).await.expect("a client hangs").unwrap();
            statuses.push(answer.map_or(0, |answer| answer.status().as_u16()));
        }
        assert_eq!(statuses, [200, 200, if fails { 0 } else { 503 }]);
    }
}
