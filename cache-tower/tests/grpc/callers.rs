//! Who gets whose answer.

use cache_core::{Cache, Key, key};
use cache_tower::grpc::{GrpcCall, GrpcMethod};

use crate::service::*;

#[tokio::test]
async fn calls_that_differ_have_answers_of_their_own() {
    let (service, layer) = (Handmade::counting(), layer(&Cache::in_memory()).key_metadata("x-tenant"));
    type Row = (&'static str, &'static [(&'static str, &'static str)], &'static str, &'static str);
    let rows: Vec<Row> = vec![
        ("a call", &[], "a", "1"),
        ("another message", &[], "b", "2"),
        ("another tenant", &[("x-tenant", "t")], "a", "3"),
        ("another codec", &[("content-type", "application/grpc+json")], "a", "4"),
        ("what is understood", &[("grpc-accept-encoding", "gzip,identity")], "a", "5"),
        ("the call again", &[("grpc-timeout", "1S"), ("user-agent", "x"), ("x-request-id", "7")], "a", "1"),
        ("the other message again", &[], "b", "2"),
        ("the other tenant again", &[("x-tenant", "t")], "a", "3"),
    ];
    for (says, metadata, text, expected) in rows {
        assert_eq!(ask(&layer, &service, call(metadata, text)).await.text(), expected, "{says}");
    }
    let compressed = || request(GET, &[("grpc-encoding", "gzip")], body(vec![chunk(framed(1, "a"))]));
    assert_eq!(ask(&layer, &service, compressed()).await.text(), "6");
    assert_eq!(ask(&layer, &service, compressed()).await.text(), "6");
}

#[tokio::test]
async fn answer_to_alice_is_never_bobs() {
    for field in ["authorization", "cookie"] {
        let (service, layer) = (Handmade::counting(), layer(&Cache::in_memory()));
        let rows = [
            (Some("alice"), "1"),
            (Some("bob"), "2"),
            (Some("alice"), "3"),
            (None, "4"),
            (Some("bob"), "5"),
            (None, "4"),
        ];
        for (who, expected) in rows {
            let metadata: Vec<_> = who.map(|who| (field, who)).into_iter().collect();
            let got = ask(&layer, &service, call(&metadata, "a")).await;
            assert_eq!(got.text(), expected, "{field} {who:?}");
            if who.is_some() {
                assert_eq!(got.word(), format!("cache;fwd=bypass;detail={field}"));
            }
        }
    }
}

#[tokio::test]
async fn callers_whom_the_key_names_have_answers_of_their_own() {
    let who = |parts: &http::request::Parts| {
        let name = parts.headers.get("authorization")?.to_str().ok()?;
        (name != "unknown").then(|| name.to_owned())
    };
    let cache = Cache::in_memory();
    let layers = [layer(&cache).key_metadata("authorization"), layer(&cache).private_by(who).scope("own")];
    for layer in layers {
        let service = Handmade::counting();
        for (who, expected) in [("alice", "1"), ("bob", "2"), ("alice", "1"), ("bob", "2")] {
            assert_eq!(ask(&layer, &service, call(&[("authorization", who)], "a")).await.text(), expected, "{who}");
        }
    }
    // Whom nobody knows is nobody in particular, and shows that he is somebody.
    let (service, layer) = (Handmade::counting(), layer(&cache).private_by(who).scope("unknown"));
    for expected in ["1", "2"] {
        assert_eq!(ask(&layer, &service, call(&[("authorization", "unknown")], "a")).await.text(), expected);
    }
}

#[tokio::test]
async fn callers_share_answers_when_told_so() {
    let (service, layer) = (Handmade::counting(), layer(&Cache::in_memory()).share_authorized(true));
    for who in ["alice", "bob"] {
        assert_eq!(ask(&layer, &service, call(&[("authorization", who), ("cookie", who)], "a")).await.text(), "1");
    }
}

#[tokio::test]
async fn answers_go_by_tag_by_method_and_by_scope() {
    let tags = |call: &GrpcCall<'_>| -> Vec<Key> {
        assert_eq!((call.path(), call.metadata()["content-type"].to_str().unwrap()), (GET, "application/grpc"));
        let text = call.message().map(|message| String::from_utf8(message.to_vec()).unwrap());
        text.map(|text| key!("product:{text}")).into_iter().collect()
    };
    let cache = Cache::in_memory();
    let layer = layer(&cache).method(GrpcMethod::new(GET).tags(tags)).method("/shop.v1.Products/List");
    let service = Handmade::counting();
    let list = || request("/shop.v1.Products/List", &[], body(vec![chunk(message("a"))]));
    let texts = async || {
        let mut texts = Vec::new();
        for request in [call(&[], "a"), call(&[], "b"), list()] {
            texts.push(ask(&layer, &service, request).await.text().to_owned());
        }
        texts.join(" ")
    };
    assert_eq!((texts().await.as_str(), texts().await.as_str()), ("1 2 3", "1 2 3"));
    let _ack = cache.evict_tag(Key::new("product").arg("a")).await;
    assert_eq!(texts().await, "4 2 3");
    let _ack = layer.purge(GET).await;
    assert_eq!(texts().await, "5 6 3");
    let _ack = cache.evict_scope("grpc").await;
    assert_eq!(texts().await, "7 8 9");
}

#[tokio::test]
async fn answer_with_more_tags_than_are_kept_is_not_stored() {
    for (count, calls) in [(15, 1), (16, 2)] {
        let tags = move |_: &GrpcCall<'_>| (0..count).map(|number: u64| key!("tag:{number}")).collect();
        let (service, layer) =
            (Handmade::counting(), layer(&Cache::in_memory()).method(GrpcMethod::new(GET).tags(tags)));
        for _ in 0..2 {
            ask(&layer, &service, call(&[], "a")).await;
        }
        assert_eq!(service.calls(), calls, "{count}");
    }
}

#[test]
fn message_of_a_call_is_there_unless_it_is_compressed() {
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let kept = std::sync::Arc::clone(&seen);
    let method = GrpcMethod::new(GET).tags(move |call| {
        kept.lock().unwrap().push(call.message().map(<[u8]>::to_vec));
        Vec::new()
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (service, layer) = (Handmade::counting(), layer(&Cache::in_memory()).method(method));
        for bytes in [framed(0, "ab"), framed(0, ""), framed(1, "ab")] {
            ask(&layer, &service, request(GET, &[], body(vec![chunk(bytes)]))).await;
        }
    });
    assert_eq!(*seen.lock().unwrap(), [Some(b"ab".to_vec()), Some(Vec::new()), None]);
}
