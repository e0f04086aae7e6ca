//! RFC 9111 section 4: "A cache can use a response that is stored or storable to satisfy multiple requests": concurrent ones too.

use std::{collections::HashSet, sync::Arc, time::Duration};

use cache_core::Cache;
use cache_tower::CacheLayer;
use http_body_util::BodyExt;
use tokio::{
    sync::{Barrier, Semaphore},
    task::JoinSet,
    time::timeout,
};
use tower::{Layer, ServiceBuilder, ServiceExt};

use crate::{
    flows::{Handmade, answer, body_of, get, piece, request, streamed},
    harness::{BoxError, DEADLINE, eventually, settle},
};

/// An origin that answers once the gate has a permit for it.
pub(crate) fn gated(headers: &'static [(&'static str, &'static str)]) -> (Handmade, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let origin = Handmade::new({
        let gate = Arc::clone(&gate);
        move |number, _| {
            let gate = Arc::clone(&gate);
            async move {
                gate.acquire().await?.forget();
                Ok(answer(headers, &format!("body {}", number + 1)))
            }
        }
    });
    (origin, gate)
}

#[tokio::test]
async fn concurrent_requests_for_a_cold_page_are_one_for_the_origin() {
    let (origin, gate) = gated(&[("cache-control", "max-age=60")]);
    let service = CacheLayer::proxy(Cache::in_memory()).layer(origin.clone());
    let mut clients = JoinSet::new();
    for _ in 0..200 {
        clients.spawn(body_of(service.clone(), get("/")));
    }
    assert!(eventually(|| origin.asked() > 0).await);
    settle().await;
    gate.add_permits(1000);
    let answers = timeout(DEADLINE, clients.join_all()).await.expect("a client hangs");
    assert!(answers.iter().all(|(parts, body)| parts.status == 200 && body == b"body 1"));
    assert_eq!(origin.asked(), 1);
    let says =
        |parts: &http::response::Parts, what: &str| parts.headers["cache-status"].to_str().unwrap().contains(what);
    let collapsed = answers.iter().filter(|(parts, _)| says(parts, "collapsed")).count();
    assert_eq!(collapsed, 199, "RFC 9211 section 2.6: all but the one that was sent");
}

#[tokio::test]
async fn a_client_that_goes_leaves_the_others_to_be_served() {
    for goes in [0..1, 0..20, 190..200] {
        let (origin, gate) = gated(&[("cache-control", "max-age=60")]);
        let service = CacheLayer::proxy(Cache::in_memory()).layer(origin.clone());
        let clients: Vec<_> = (0..200).map(|_| tokio::spawn(body_of(service.clone(), get("/")))).collect();
        assert!(eventually(|| origin.asked() > 0).await);
        settle().await;
        clients[goes.clone()].iter().for_each(tokio::task::JoinHandle::abort);
        settle().await;
        gate.add_permits(1000);
        let mut served = 0;
        for client in clients {
            if let Ok((parts, _)) = timeout(DEADLINE, client).await.expect("a client hangs") {
                assert_eq!(parts.status, 200);
                served += 1;
            }
        }
        assert_eq!(served, 200 - goes.len());
        assert!(origin.asked() <= 2, "asked {} times when {goes:?} went", origin.asked());
    }
}

/// Each waits until all have arrived: that they do is the proof that none waits for another.
fn meeting(clients: usize, first_is_alone: bool, headers: &'static [(&'static str, &'static str)]) -> Handmade {
    let barrier = Arc::new(Barrier::new(clients - usize::from(first_is_alone)));
    Handmade::new(move |number, _| {
        let barrier = Arc::clone(&barrier);
        async move {
            if !(first_is_alone && number == 0) {
                barrier.wait().await;
            }
            Ok(answer(headers, &format!("body {}", number + 1)))
        }
    })
}

#[tokio::test]
async fn what_turns_out_not_to_be_reusable_is_shared_by_nobody_and_serialises_nobody() {
    const KINDS: &[&[(&str, &str)]] = &[
        &[("cache-control", "no-store")],
        &[("cache-control", "private, max-age=60")],
        &[("vary", "*"), ("cache-control", "max-age=60")],
        &[("content-type", "text/html")],
        &[("cache-control", "no-cache")],
        &[("cache-control", "max-age=0")],
        &[("cache-control", "max-age=0, must-revalidate")],
        &[("cache-control", "s-maxage=0, max-age=60")],
        &[("cache-control", "max-age=10"), ("age", "20")],
        &[("expires", "0")],
    ];
    let mut wrong = Vec::new();
    for headers in KINDS {
        let origin = meeting(50, true, headers);
        let service = CacheLayer::proxy(Cache::in_memory()).layer(origin.clone());
        let mut clients = JoinSet::new();
        for _ in 0..50 {
            clients.spawn(body_of(service.clone(), get("/")));
        }
        let Ok(answers) = timeout(Duration::from_secs(5), clients.join_all()).await else {
            wrong.push(format!("{headers:?}: one waits for another, {} got through", origin.asked()));
            continue;
        };
        let bodies: HashSet<_> = answers.into_iter().map(|(_, body)| body).collect();
        if bodies.len() < 50 {
            wrong.push(format!("{headers:?}: 50 clients share {} answers", bodies.len()));
        }
    }
    assert!(wrong.is_empty(), "Must §9111 4 \n  - {}", wrong.join("\n  - "));
}

#[tokio::test]
async fn what_was_not_stored_before_serialises_nobody() {
    let origin = meeting(51, true, &[("cache-control", "no-store")]);
    let service = CacheLayer::proxy(Cache::in_memory()).layer(origin.clone());
    body_of(service.clone(), get("/")).await;
    let mut clients = JoinSet::new();
    for _ in 0..50 {
        clients.spawn(body_of(service.clone(), get("/")));
    }
    timeout(Duration::from_secs(5), clients.join_all()).await.expect("one waits for another");
    assert_eq!(origin.asked(), 51);
}

#[tokio::test]
async fn requests_with_credentials_share_nothing_and_wait_for_nobody() {
    for field in ["authorization", "cookie"] {
        let barrier = Arc::new(Barrier::new(19));
        let origin = Handmade::new(move |number, request: http::Request<String>| {
            let barrier = Arc::clone(&barrier);
            async move {
                if number > 0 {
                    barrier.wait().await;
                }
                let name = request.headers()[field].to_str()?.to_owned();
                Ok(answer(&[("cache-control", "max-age=60")], &name))
            }
        });
        let service = CacheLayer::new(Cache::in_memory()).layer(origin.clone());
        let mut clients = JoinSet::new();
        for number in 0..20 {
            let name = format!("user={number}");
            let service = service.clone();
            clients.spawn(async move {
                let (_, body) = body_of(service, request("GET", "/", &[(field, &name)])).await;
                assert_eq!(body, name.as_bytes(), "another's answer");
            });
        }
        timeout(Duration::from_secs(5), clients.join_all())
            .await
            .unwrap_or_else(|_| panic!("{field}: one waits for another"));
    }
}

#[tokio::test]
async fn variants_that_are_asked_for_at_once_are_not_mixed() {
    let gate = Arc::new(Semaphore::new(0));
    let origin = Handmade::new({
        let gate = Arc::clone(&gate);
        move |_, request: http::Request<String>| {
            let gate = Arc::clone(&gate);
            async move {
                gate.acquire().await?.forget();
                let foo = request.headers()["foo"].to_str()?.to_owned();
                Ok(answer(&[("cache-control", "max-age=60"), ("vary", "Foo")], &foo))
            }
        }
    });
    let service = CacheLayer::proxy(Cache::in_memory()).layer(origin.clone());
    let mut clients = JoinSet::new();
    for number in 0..100 {
        let foo = (number % 5).to_string();
        let service = service.clone();
        clients.spawn(async move {
            let (_, body) = body_of(service, request("GET", "/", &[("foo", &foo)])).await;
            assert_eq!(body, foo.as_bytes(), "another variant");
        });
    }
    settle().await;
    gate.add_permits(1000);
    timeout(DEADLINE, clients.join_all()).await.expect("a client hangs");
    assert!(origin.asked() < 100, "nothing is shared");
}

#[tokio::test]
async fn an_error_of_the_one_that_was_sent_hangs_nobody() {
    let gate = Arc::new(Semaphore::new(0));
    let origin = Handmade::new({
        let gate = Arc::clone(&gate);
        move |number, _| {
            let gate = Arc::clone(&gate);
            async move {
                gate.acquire().await?.forget();
                if number == 0 {
                    Err(BoxError::from("gone"))
                } else {
                    Ok(answer(&[("cache-control", "max-age=60")], "body"))
                }
            }
        }
    });
    let service = CacheLayer::proxy(Cache::in_memory()).layer(origin.clone());
    let mut clients = JoinSet::new();
    for _ in 0..50 {
        clients.spawn(service.clone().oneshot(get("/")));
    }
    assert!(eventually(|| origin.asked() > 0).await);
    settle().await;
    gate.add_permits(1000);
    let answers = timeout(DEADLINE, clients.join_all()).await.expect("a client hangs");
    assert_eq!(
        answers.iter().filter(|answer| answer.is_err()).count(),
        1,
        "the error is that of the one that was sent"
    );
}

/// Each error, and each answer that is not stored, is that of the one that was sent for it: none is lost between those who wait.
#[tokio::test]
async fn every_one_gets_what_its_own_request_brought() {
    for first_fails in [true, false] {
        for others_fail in [true, false] {
            let gate = Arc::new(Semaphore::new(0));
            let origin = Handmade::new({
                let gate = Arc::clone(&gate);
                move |number, _| {
                    let gate = Arc::clone(&gate);
                    async move {
                        gate.acquire().await?.forget();
                        let fails = if number == 0 { first_fails } else { others_fail };
                        let own = answer(&[("cache-control", "no-store")], &number.to_string());
                        if fails { Err(BoxError::from("gone")) } else { Ok(own) }
                    }
                }
            });
            let service = CacheLayer::proxy(Cache::in_memory()).layer(origin.clone());
            let mut clients = JoinSet::new();
            for _ in 0..20 {
                clients.spawn(service.clone().oneshot(get("/")));
            }
            assert!(eventually(|| origin.asked() > 0).await);
            settle().await;
            gate.add_permits(1000);
            let answers = timeout(DEADLINE, clients.join_all()).await.expect("a client hangs");
            let errors = answers.iter().filter(|answer| answer.is_err()).count();
            let expected = usize::from(first_fails) + if others_fail { 19 } else { 0 };
            let others: Vec<_> = answers.iter().flatten().map(|answer| answer.status().as_u16()).collect();
            let what = format!("the first fails: {first_fails}, the others: {others_fail}: {others:?}");
            assert_eq!(errors, expected, "{what}");
            assert!(others.iter().all(|status| *status == 200), "{what}");
            assert_eq!(origin.asked(), 20, "{what}");
        }
    }
}

#[tokio::test]
async fn a_request_waits_no_longer_for_another_than_it_is_told() {
    let origin = Handmade::new(|number, _| async move {
        if number == 0 {
            std::future::pending::<()>().await;
        }
        Ok(answer(&[("cache-control", "max-age=60")], "body"))
    });
    let service = CacheLayer::proxy(Cache::in_memory()).collapse(Duration::from_millis(50)).layer(origin.clone());
    let hanging = tokio::spawn(service.clone().oneshot(get("/")));
    assert!(eventually(|| origin.asked() == 1).await);
    let (parts, body) = timeout(Duration::from_secs(5), body_of(service, get("/"))).await.expect("it waits for ever");
    assert_eq!((parts.status.as_u16(), &body[..]), (200, &b"body"[..]));
    hanging.abort();
}

#[tokio::test]
async fn a_stale_answer_is_revalidated_once_for_all_behind_them() {
    let gate = Arc::new(Semaphore::new(1));
    let origin = Handmade::new({
        let gate = Arc::clone(&gate);
        move |number, _| {
            let gate = Arc::clone(&gate);
            async move {
                gate.acquire().await?.forget();
                let age = if number == 0 { "20" } else { "0" };
                Ok(answer(
                    &[("cache-control", "max-age=10, stale-while-revalidate=600"), ("age", age)],
                    &format!("body {}", number + 1),
                ))
            }
        }
    });
    let service = CacheLayer::proxy(Cache::in_memory()).layer(origin.clone());
    body_of(service.clone(), get("/")).await;
    settle().await;
    let mut clients = JoinSet::new();
    for _ in 0..50 {
        clients.spawn(body_of(service.clone(), get("/")));
    }
    let answers = timeout(DEADLINE, clients.join_all()).await.expect("it waits for the origin");
    assert!(answers.iter().all(|(_, body)| body == b"body 1"));
    assert!(eventually(|| origin.asked() == 2).await, "nothing is fetched behind it");
    gate.add_permits(100);
    settle().await;
    assert_eq!(body_of(service, get("/")).await.1, b"body 2");
    assert_eq!(origin.asked(), 2);
}

/// 9111 4.4: what was fetched before a change is not stored after it.
#[tokio::test]
async fn an_answer_that_a_change_overtakes_is_not_kept() {
    for how in ["post", "evict", "purge"] {
        let gate = Arc::new(Semaphore::new(0));
        let origin = Handmade::new({
            let gate = Arc::clone(&gate);
            move |number, request: http::Request<String>| {
                let gate = Arc::clone(&gate);
                async move {
                    if request.method() == "GET" {
                        gate.acquire().await?.forget();
                    }
                    Ok(answer(&[("cache-control", "max-age=60")], if number == 0 { "old" } else { "new" }))
                }
            }
        });
        let cache = Cache::in_memory();
        let layer = CacheLayer::proxy(cache.clone());
        let service = layer.layer(origin.clone());
        let slow = tokio::spawn(body_of(service.clone(), get("/")));
        assert!(eventually(|| origin.asked() == 1).await);
        match how {
            "post" => drop(body_of(service.clone(), request("POST", "/", &[])).await),
            "evict" => drop(cache.evict_scope("http").await),
            _ => drop(layer.purge(&"http://shop.example/".parse().unwrap()).await),
        }
        gate.add_permits(10);
        timeout(DEADLINE, slow).await.expect("it hangs").unwrap();
        settle().await;
        assert_eq!(body_of(service, get("/")).await.1, b"new", "after {how}");
    }
}

#[tokio::test]
async fn a_limit_on_the_service_is_honoured_and_given_back() {
    let (origin, gate) = gated(&[("cache-control", "max-age=60")]);
    gate.add_permits(10_000);
    let service =
        ServiceBuilder::new().layer(CacheLayer::proxy(Cache::in_memory())).concurrency_limit(1).service(origin.clone());
    let mut clients = JoinSet::new();
    for number in 0..100 {
        clients.spawn(body_of(service.clone(), get(&format!("/{}", number % 10))));
    }
    timeout(DEADLINE, clients.join_all()).await.expect("a permit is lost");
    timeout(DEADLINE, body_of(service, get("/other"))).await.expect("a permit is lost");
    assert_eq!(origin.asked(), 11);
}

/// RFC 9110 section 14.2: each gets the part that it asked for.
#[tokio::test]
async fn parts_that_are_asked_for_at_once_are_not_mixed() {
    let origin = Handmade::new(|_, request: http::Request<String>| async move {
        settle().await;
        let Some(range) = request.headers().get("range") else {
            return Ok(answer(&[("cache-control", "max-age=60"), ("etag", "\"a\"")], "0123456789"));
        };
        let at: usize = range.to_str()?.trim_start_matches("bytes=").split('-').next().unwrap_or_default().parse()?;
        let content_range = format!("bytes {at}-{at}/10");
        let headers = [("cache-control", "max-age=60"), ("etag", "\"a\""), ("content-range", &content_range)];
        let mut part = answer(&headers, &at.to_string());
        *part.status_mut() = http::StatusCode::PARTIAL_CONTENT;
        Ok(part)
    });
    let service = CacheLayer::proxy(Cache::in_memory()).layer(origin);
    let mut clients = JoinSet::new();
    for number in 0..60 {
        let service = service.clone();
        clients.spawn(async move {
            let at = number % 10;
            if number % 3 == 0 {
                let (parts, body) = body_of(service, get("/")).await;
                assert_eq!((parts.status.as_u16(), &body[..]), (200, &b"0123456789"[..]));
            } else {
                let (parts, body) =
                    body_of(service, request("GET", "/", &[("range", &format!("bytes={at}-{at}"))])).await;
                assert_eq!((parts.status.as_u16(), &body[..]), (206, at.to_string().as_bytes()));
            }
        });
    }
    timeout(DEADLINE, clients.join_all()).await.expect("a client hangs");
}

/// RFC 9110 sections 9.3.2 and 13.1.2: who waits for the same answer gets what its own method and conditions ask for.
#[tokio::test]
async fn methods_and_conditions_at_once_are_each_their_own() {
    let gate = Arc::new(Semaphore::new(0));
    let origin = Handmade::new({
        let gate = Arc::clone(&gate);
        move |_, request: http::Request<String>| {
            let gate = Arc::clone(&gate);
            async move {
                gate.acquire().await?.forget();
                let headers = [("cache-control", "max-age=60"), ("etag", "\"a\"")];
                let is_known = request.headers().get("if-none-match").is_some_and(|tag| tag == "\"a\"");
                let body = if is_known || request.method() == "HEAD" { "" } else { "whole" };
                let mut answer = answer(&headers, body);
                if is_known {
                    *answer.status_mut() = http::StatusCode::NOT_MODIFIED;
                }
                Ok(answer)
            }
        }
    });
    for first in 0..4 {
        let service = CacheLayer::proxy(Cache::in_memory()).layer(origin.clone());
        let mut clients = JoinSet::new();
        for number in first..first + 80 {
            let service = service.clone();
            clients.spawn(async move {
                let (request, status, body) = match number % 4 {
                    0 => (get("/"), 200, &b"whole"[..]),
                    1 => (request("HEAD", "/", &[]), 200, &b""[..]),
                    2 => (request("GET", "/", &[("if-none-match", "\"a\"")]), 304, &b""[..]),
                    _ => (request("GET", "/", &[("if-none-match", "\"b\"")]), 200, &b"whole"[..]),
                };
                let (parts, got) = body_of(service, request).await;
                assert_eq!((parts.status.as_u16(), &got[..]), (status, body), "number {number} after {first}");
            });
        }
        settle().await;
        gate.add_permits(1000);
        timeout(DEADLINE, clients.join_all()).await.expect("a client hangs");
        gate.forget_permits(gate.available_permits());
    }
}

/// RFC 9111 section 5.2.1.7: a client that wants only what is stored does not wait for what is fetched.
#[tokio::test]
async fn only_if_cached_waits_for_nobody() {
    let (origin, gate) = gated(&[("cache-control", "max-age=60")]);
    let service = CacheLayer::proxy(Cache::in_memory()).layer(origin.clone());
    let first = tokio::spawn(body_of(service.clone(), get("/")));
    assert!(eventually(|| origin.asked() == 1).await);
    let only = body_of(service, request("GET", "/", &[("cache-control", "only-if-cached")]));
    let (parts, _) = timeout(Duration::from_secs(5), only).await.expect("it waits");
    assert_eq!(parts.status, 504);
    gate.add_permits(1);
    first.await.unwrap();
}

/// Layers of two scopes over one cache share nothing; two of one scope do.
#[tokio::test]
async fn scopes_share_nothing() {
    let cache = Cache::in_memory();
    let origin = |text: &'static str| Handmade::answering(move |_| answer(&[("cache-control", "max-age=60")], text));
    let a = CacheLayer::proxy(cache.clone()).scope("a").layer(origin("a"));
    let b = CacheLayer::proxy(cache.clone()).scope("b").layer(origin("b"));
    let again = CacheLayer::proxy(cache).scope("a").layer(origin("other"));
    assert_eq!(body_of(a, get("/")).await.1, b"a");
    settle().await;
    assert_eq!(body_of(b, get("/")).await.1, b"b");
    assert_eq!(body_of(again, get("/")).await.1, b"a");
}

#[tokio::test]
async fn a_panic_of_the_service_hangs_nobody() {
    let gate = Arc::new(Semaphore::new(0));
    let origin = Handmade::new({
        let gate = Arc::clone(&gate);
        move |number, _| {
            let gate = Arc::clone(&gate);
            async move {
                gate.acquire().await?.forget();
                assert!(number > 0, "the first call panics, as it should here");
                Ok(answer(&[("cache-control", "max-age=60")], "body"))
            }
        }
    });
    let service = CacheLayer::proxy(Cache::in_memory()).layer(origin.clone());
    let clients: Vec<_> = (0..20).map(|_| tokio::spawn(body_of(service.clone(), get("/")))).collect();
    assert!(eventually(|| origin.asked() > 0).await);
    settle().await;
    gate.add_permits(1000);
    let mut served = 0;
    for client in clients {
        if timeout(Duration::from_secs(5), client).await.expect("a client hangs").is_ok() {
            served += 1;
        }
    }
    assert_eq!(served, 19, "all but the one whose call it was");
}

/// RFC 9111 section 3.3: those who wait for a body that breaks off ask for themselves.
#[tokio::test]
async fn a_body_that_breaks_off_hangs_nobody() {
    let (send, receive) = std::sync::mpsc::sync_channel(1);
    let origin = Handmade::new(move |number, _| {
        let send = send.clone();
        async move {
            if number > 0 {
                return Ok(answer(&[("cache-control", "max-age=60")], "whole"));
            }
            let (pieces, answer) = streamed(&[("cache-control", "max-age=60")]);
            send.send(pieces)?;
            Ok(answer)
        }
    });
    let service = CacheLayer::proxy(Cache::in_memory()).layer(origin.clone());
    let first = tokio::spawn(service.clone().oneshot(get("/")));
    assert!(eventually(|| origin.asked() == 1).await);
    let clients: Vec<_> = (0..20).map(|_| tokio::spawn(body_of(service.clone(), get("/")))).collect();
    settle().await;
    let pieces = receive.try_recv().unwrap();
    pieces.send(piece("half of")).await.unwrap();
    pieces.send(Err("gone".into())).await.unwrap();
    drop(pieces);
    for client in clients {
        let (_, body) = timeout(Duration::from_secs(5), client).await.expect("a client hangs").unwrap();
        assert_eq!(body, b"whole");
    }
    assert!(first.await.unwrap().unwrap().into_body().collect().await.is_err(), "the first sees it break");
}

/// Those who wait for a body that turns out to be larger than what is kept ask for themselves at once, not at its end.
#[tokio::test]
async fn an_oversized_body_holds_up_nobody() {
    let (send, receive) = std::sync::mpsc::sync_channel(1);
    let origin = Handmade::new(move |number, _| {
        let send = send.clone();
        async move {
            if number > 0 {
                return Ok(answer(&[("cache-control", "max-age=60")], "own"));
            }
            let (pieces, answer) = streamed(&[("cache-control", "max-age=60")]);
            send.send(pieces)?;
            Ok(answer)
        }
    });
    let service = CacheLayer::proxy(Cache::in_memory()).max_body(10).layer(origin.clone());
    let mut first = service.clone().oneshot(get("/")).await.unwrap().into_body();
    let clients: Vec<_> = (0..20).map(|_| tokio::spawn(body_of(service.clone(), get("/")))).collect();
    settle().await;
    let pieces = receive.try_recv().unwrap();
    pieces.send(piece("01234567")).await.unwrap();
    pieces.send(piece("89abcdef")).await.unwrap();
    first.frame().await.unwrap().unwrap();
    for client in clients {
        let (_, body) = timeout(Duration::from_secs(5), client).await.expect("it waits for the end").unwrap();
        assert_eq!(body, b"own");
    }
    drop(pieces);
    assert_eq!(first.collect().await.unwrap().to_bytes(), "89abcdef");
}

/// A client that takes its answer and does not read it holds up nobody.
#[tokio::test]
async fn a_client_that_does_not_read_holds_up_nobody() {
    let large = "x".repeat(1 << 20);
    let origin = Handmade::answering(move |_| answer(&[("cache-control", "max-age=60")], &large));
    let service = CacheLayer::proxy(Cache::in_memory()).layer(origin.clone());
    let unread = service.clone().oneshot(get("/")).await.unwrap();
    let clients: Vec<_> = (0..20).map(|_| tokio::spawn(body_of(service.clone(), get("/")))).collect();
    for client in clients {
        let (_, body) = timeout(Duration::from_secs(5), client).await.expect("it waits for a reader").unwrap();
        assert_eq!(body.len(), 1 << 20);
    }
    assert_eq!(origin.asked(), 1);
    assert_eq!(unread.into_body().collect().await.unwrap().to_bytes().len(), 1 << 20);
}
