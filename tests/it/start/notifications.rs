//! The server's setting: proved, asked for, set beside what others have set, and set again after a restart.

use cache_core::{CoherenceState, ErrorKind, millis, secs};
use tests::fixtures::{RedisServer, eventually};

use super::{HANGS, hear_each_other, refused, setting};
use crate::support::{Origin, built, healed, node, sees, settings};

const SETTING: &str = "notify-keyspace-events";

#[tokio::test]
async fn server_without_notifications_is_an_error_that_names_setting_and_value() {
    for flags in ["", "Ex", "K", "Kg", "KE", "g$xe", "EA", "Kgxe"] {
        let redis = RedisServer::options().notifications(flags).start().await;
        let before = setting(&redis).await;
        for builder in [settings(redis.url()), settings(redis.url()).start_unreachable()] {
            let (error, said) = refused(builder).await;
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{flags}: {said}");
            assert!(!error.is_transient(), "{flags}: {said}");
            let text = error.to_string();
            assert!(
                text.contains(SETTING) && text.contains("K$gxe") && text.contains("ensure_notifications"),
                "{said}"
            );
        }
        assert_eq!(setting(&redis).await, before, "nobody asked for it to be changed");
    }
}

#[tokio::test]
async fn server_with_notifications_needs_nothing_to_be_set() {
    for flags in ["K$gxe", "KA", "AKE"] {
        let redis = RedisServer::options().notifications(flags).start().await;
        let (a, b) = (built(settings(redis.url())).await, built(settings(redis.url())).await);
        hear_each_other(&a, &b).await;
    }
}

#[tokio::test]
async fn ensured_notifications_leave_those_of_others() {
    for flags in ["Ex", "", "Elh", "KEg", "EA", "Em"] {
        let redis = RedisServer::options().notifications(flags).start().await;
        let before = setting(&redis).await;
        let (a, b) = (node(&redis).await, node(&redis).await);
        let after = setting(&redis).await;
        for class in before.chars().chain("Kg$xe".chars()) {
            assert!(after.contains(class) || (class != 'K' && after.contains('A')), "{before} became {after}");
        }
        assert_eq!(after.contains('E'), before.contains('E'), "no events that nobody asked for: {after}");
        hear_each_other(&a, &b).await;
    }
}

#[tokio::test]
async fn server_without_config_works_where_notifications_are_on() {
    let redis = RedisServer::options().notifications("K$gxe").without_command("CONFIG").start().await;
    redis.try_cli(&["CONFIG", "GET", SETTING]).await.unwrap_err();
    let (a, b) = (built(settings(redis.url())).await, built(settings(redis.url()).ensure_notifications()).await);
    hear_each_other(&a, &b).await;
    let fences = [&a, &b].map(|cache| cache.coherence().fences);
    redis.restart().await;
    for (cache, fences) in [&a, &b].into_iter().zip(fences) {
        healed(cache, fences).await;
    }
    hear_each_other(&a, &b).await;
}

#[tokio::test]
async fn server_without_config_and_without_notifications_is_an_error_in_time() {
    for flags in ["", "Ex", "Kx"] {
        let redis = RedisServer::options().notifications(flags).without_command("CONFIG").start().await;
        let settings = || settings(redis.url()).bound(secs(600)).connect_timeout(millis(500));
        for builder in [settings(), settings().ensure_notifications(), settings().start_unreachable()] {
            let (error, said) = refused(builder).await;
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{flags}: {said}");
            let text = error.to_string();
            assert!(text.contains(SETTING) && text.contains("K$gxe"), "{flags}: {said}");
        }
    }
}

#[tokio::test]
async fn settings_are_applied_again_to_a_server_that_restarted_without() {
    let redis = RedisServer::start().await;
    let (a, b) = (node(&redis).await, node(&redis).await);
    let fences = [&a, &b].map(|cache| cache.coherence().fences);
    redis.restart().await;
    for (cache, fences) in [&a, &b].into_iter().zip(fences) {
        healed(cache, fences).await;
    }
    assert!(setting(&redis).await.contains('K'));
    hear_each_other(&a, &b).await;
}

#[tokio::test]
async fn server_that_restarted_without_the_setting_is_not_believed() {
    let redis = RedisServer::start().await;
    redis.cli(&["CONFIG", "SET", SETTING, "K$gxe"]).await;
    let cache = built(settings(redis.url()).bound(millis(200)).outage_ttl(millis(0))).await;
    let fences = cache.coherence().fences;
    let origin = Origin::default();
    origin.write(1);
    sees(&cache, &origin, 7, 1).await;
    redis.restart().await;
    eventually(HANGS, async || cache.coherence().state != CoherenceState::Coherent).await;
    for revision in 2..30 {
        origin.write(revision);
        assert_eq!(origin.through(&cache, 7).await, revision, "it would not hear of a change");
    }
    // A person puts it right; nobody has to be restarted.
    redis.cli(&["CONFIG", "SET", SETTING, "K$gxe"]).await;
    healed(&cache, fences).await;
    let other = built(settings(redis.url())).await;
    hear_each_other(&cache, &other).await;
}
