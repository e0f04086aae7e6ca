//! Reading one's own writes on another node: by a token, before that node has heard of them.

use cache_core::{Cache, Key, Token, millis, secs};
use tests::fixtures::RedisServer;

use crate::{
    outage::local,
    support::{Origin, Product, built, key, product, settings},
};

/// A node that hears nothing any more, and does not find out for an hour.
async fn deaf(redis: &RedisServer) -> Cache {
    built(settings(redis.url()).ensure_notifications().bound(secs(3_600))).await
}

async fn through(cache: &Cache, origin: &Origin, token: Option<Token>) -> u64 {
    let (origin, request) = (origin.clone(), cache.entry(key(7)));
    let request = match token {
        Some(token) => request.at_least(token),
        None => request,
    };
    request.or_load(|| origin.read(7)).await.unwrap().value().revision
}

#[tokio::test]
async fn a_token_of_a_key_shows_what_was_evicted_or_put() {
    let redis = RedisServer::start().await;
    let (writer, reader) = (deaf(&redis).await, deaf(&redis).await);
    redis.cli(&["CONFIG", "SET", "notify-keyspace-events", ""]).await;
    let origin = Origin::default();
    origin.write(1);
    local(&reader, &origin, 7).await;
    origin.write(2);
    let evicted = Token::of_key(&key(7), writer.evict(&key(7)).await).unwrap();
    assert_eq!(through(&reader, &origin, None).await, 1, "it has not heard of it");
    let other = Token::of_key(&key(8), writer.evict(&key(8)).await);
    assert_eq!(through(&reader, &origin, other).await, 1, "of another key it says nothing");
    assert_eq!(through(&reader, &origin, Some(evicted)).await, 2);

    let put = Token::of_key(&key(7), writer.put(key(7), product(7, 3)).await).unwrap();
    assert_eq!(through(&reader, &origin, Some(evicted)).await, 2, "the older token is content");
    let token: Token = put.to_string().parse().unwrap();
    let revalidated = reader.stats().revalidated;
    let entry = reader.entry(key(7)).at_least(token).get::<Product>().await.unwrap();
    assert_eq!(entry.value().revision, 3);
    for _ in 0..10 {
        assert_eq!(through(&reader, &origin, Some(token)).await, 3);
    }
    assert_eq!(reader.stats().revalidated, revalidated, "once it is there, the token costs nothing");
}

#[tokio::test]
async fn many_who_bring_one_token_cause_one_load() {
    let redis = RedisServer::start().await;
    let (writer, reader) = (deaf(&redis).await, deaf(&redis).await);
    redis.cli(&["CONFIG", "SET", "notify-keyspace-events", ""]).await;
    let (key, tag) = (|| Key::new("token-crowd").arg(7_u64), || Key::new("token-shelf").arg("films"));
    let of_key = Token::of_key(&key(), writer.evict(&key()).await).unwrap();
    let of_tag = Token::of_tag(&tag(), writer.evict_tag(tag()).await).unwrap();
    let origin = Origin::default();
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (reader, origin) = (reader.clone(), origin.clone());
        callers.spawn(async move {
            let load = || async move {
                let row = origin.read(7).await;
                // Time itself: long enough for all of them to come meanwhile.
                tokio::time::sleep(millis(300)).await;
                row
            };
            let request = reader.entry(key()).tag(tag()).at_least(of_key).at_least(of_tag);
            request.or_load(load).await.unwrap();
        });
    }
    callers.join_all().await;
    assert_eq!(origin.loads(), 1);
}

#[tokio::test]
async fn a_token_of_a_tag_shows_what_was_evicted() {
    let redis = RedisServer::start().await;
    let (writer, reader) = (deaf(&redis).await, deaf(&redis).await);
    redis.cli(&["CONFIG", "SET", "notify-keyspace-events", ""]).await;
    let tag = || Key::new("token-shelf").arg("books");
    let read = async |revision: u64, token: Option<Token>| {
        let request = reader.entry(Key::new("token-row").arg(7_u64)).tag(tag());
        let request = match token {
            Some(token) => request.at_least(token),
            None => request,
        };
        let load = move || async move { Ok::<_, std::convert::Infallible>(product(7, revision)) };
        request.or_load(load).await.unwrap().value().revision
    };
    assert_eq!(read(1, None).await, 1);
    let token = Token::of_tag(&tag(), writer.evict_tag(tag()).await).unwrap();
    assert_eq!(read(2, None).await, 1, "it has not heard of it");
    assert_eq!(read(2, Some(token)).await, 2);
    assert_eq!(read(3, Some(token)).await, 2, "once it is there, the token is content");
}
