//! Users, passwords and rights.

use cache_core::{Builder, ErrorKind};
use tests::fixtures::{RedisOptions, RedisServer};

use super::{hear_each_other, refused, setting};
use crate::support::{built, settings};

async fn denied(builder: Builder) -> String {
    for builder in [builder.clone(), builder.start_unreachable()] {
        let (error, said) = refused(builder).await;
        assert_eq!(error.kind(), ErrorKind::Denied, "{said}");
        assert!(!said.contains("hunter2"), "{said}");
        if !error.is_transient() {
            return error.to_string();
        }
    }
    panic!("waiting does not put this right");
}

fn as_shop(redis: &RedisServer) -> Builder {
    settings(redis.url_with("shop", "hunter2", ""))
}

#[tokio::test]
async fn wrong_password_or_none_is_denied() {
    let redis = RedisServer::options().password("open-sesame").start().await;
    for (user, password) in [("", ""), ("", "hunter2"), ("nobody", "hunter2"), ("nobody", "open-sesame")] {
        let said = denied(settings(redis.url_with(user, password, "")).ensure_notifications()).await;
        assert!(said.contains(&redis.address().to_string()), "{said}");
        assert!(!said.contains("open-sesame"), "{said}");
    }
    let (a, b) = (settings(redis.url()).ensure_notifications(), settings(redis.url()));
    hear_each_other(&built(a).await, &built(b).await).await;
}

#[tokio::test]
async fn user_without_channels_is_denied_and_told_which() {
    let redis = RedisServer::options().user("shop on >hunter2 ~* resetchannels +@all").start().await;
    let said = denied(as_shop(&redis).ensure_notifications()).await;
    assert!(said.contains("__keyspace@0__:shop:c:*"), "{said}");
    assert!(said.contains("ACL"), "{said}");
}

/// A user with the least rights: its own keys, the channels named, and no administration.
fn least(channels: &str) -> RedisOptions {
    let rule = format!("shop on >hunter2 resetkeys ~shop:* resetchannels {channels} +@all -@admin -@dangerous");
    RedisServer::options().notifications("K$gxe").user(rule)
}

#[tokio::test]
async fn user_with_the_channels_of_its_namespace_alone_works() {
    let channels = ["c", "t", "p"].map(|kind| format!("&__keyspace@0__:shop:{kind}:*")).join(" ");
    let redis = least(&channels).start().await;
    let (a, b) = (built(as_shop(&redis)).await, built(as_shop(&redis)).await);
    hear_each_other(&a, &b).await;
}

#[tokio::test]
async fn user_without_a_part_of_the_channels_is_denied() {
    for channels in ["&__keyspace@0__:shop:c:*", "&__keyspace@0__:shop:t:* &__keyspace@0__:shop:p:*"] {
        let redis = least(channels).start().await;
        denied(as_shop(&redis)).await;
    }
}

#[tokio::test]
async fn user_without_administration_works_where_notifications_are_on() {
    let redis = least("allchannels").start().await;
    let (a, b) = (built(as_shop(&redis)).await, built(as_shop(&redis).ensure_notifications()).await);
    hear_each_other(&a, &b).await;
}

#[tokio::test]
async fn user_without_its_keys_is_denied() {
    let rule = "shop on >hunter2 resetkeys ~other:* allchannels +@all";
    let redis = RedisServer::options().notifications("K$gxe").user(rule).start().await;
    denied(as_shop(&redis)).await;
}

#[expect(clippy::print_stdout, reason = "a test that fails at one of many commands says which")]
async fn denied_without(commands: &[&str]) {
    for command in commands {
        println!("without {command}");
        let rule = format!("shop on >hunter2 ~* allchannels +@all -{command}");
        let redis = RedisServer::options().notifications("K$gxe").user(rule).start().await;
        denied(as_shop(&redis)).await;
    }
}

#[tokio::test]
async fn user_without_a_command_of_the_start_is_denied() {
    denied_without(&["psubscribe", "script|load", "hsetnx"]).await;
}

#[tokio::test]
async fn user_without_a_command_of_every_call_is_denied_at_the_start() {
    denied_without(&["set", "evalsha", "incrby", "mget"]).await;
}

#[tokio::test]
async fn user_who_may_read_the_setting_but_not_set_it_is_told_its_name_and_value() {
    let rule = "shop on >hunter2 ~* allchannels +@all -config|set";
    let redis = RedisServer::options().notifications("Ex").user(rule).start().await;
    let (error, said) = refused(as_shop(&redis).ensure_notifications()).await;
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{said}");
    let text = error.to_string();
    assert!(text.contains("notify-keyspace-events") && text.contains("K$gxe") && text.contains("refused"), "{said}");
    assert_eq!(setting(&redis).await, "xE", "untouched");
}
