//! What is asked of a server before it is relied on.

use std::collections::HashMap;

use redis::{Value, aio::MultiplexedConnection, cmd};
use xxhash_rust::xxh3::xxh3_64;

use super::{RedisConfig, connect::Target, names::Names};
use crate::{
    error::{Error, ErrorKind},
    tier::Mechanism,
};

/// The classes of events that coherence needs: keyspace channels, generic commands, strings, expiry, eviction.
const NEEDED: &str = "Kg$xe";
/// And where somebody wants to know what expired: the channels by event.
const NEEDED_FOR_EXPIRED: &str = "Kg$xeE";
/// The setting that carries them.
const SETTING: &str = "notify-keyspace-events";

/// Makes sure that the server tells about changes, as far as it can be asked.
///
/// A server that refuses `CONFIG` is not asked: the echo of the first beat proves it, or fails to. `fence` is the record to
/// write when they had been off.
pub(crate) async fn check_notifications(
    target: &Target,
    connection: &mut MultiplexedConnection,
    fence: String,
    config: &RedisConfig,
) -> Result<(), Error> {
    let mut question = cmd("CONFIG");
    question.arg("GET").arg(SETTING);
    let answer: Result<HashMap<String, String>, Error> =
        target.step("CONFIG GET", question.query_async(connection)).await;
    let flags = match answer {
        Ok(mut settings) => settings.remove(SETTING).unwrap_or_default(),
        Err(error) if matches!(error.kind(), ErrorKind::Denied | ErrorKind::Remote) => return Ok(()),
        Err(error) => return Err(error),
    };
    let needed = if config.expired_events { NEEDED_FOR_EXPIRED } else { NEEDED };
    let missing: String = needed.chars().filter(|&class| !delivers(&flags, class)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !config.ensure_notifications {
        let mut detail = advice(target, Some(&flags));
        if config.expired_events {
            detail.push_str("; for `expired_events` it has to contain `E`, too");
        }
        return Err(Error::new(ErrorKind::Unsupported, "keyspace notifications", detail));
    }
    // Another application may have asked for other classes: unite, never overwrite.
    let united = format!("{flags}{missing}");
    // In one with a word to everybody: what was changed while they were off was told to nobody, and a node whose beat did not
    // fall into that time would not know.
    let mut setting = redis::pipe();
    setting.atomic().cmd("CONFIG").arg("SET").arg(SETTING).arg(&united);
    setting.cmd("SET").arg(fence).arg(1);
    let set: Result<(), Error> = target.step("CONFIG SET", setting.exec_async(connection)).await;
    set.map_err(|error| {
        let detail = format!("{}, and the server refused to have it set", advice(target, Some(&flags)));
        Error::caused(ErrorKind::Unsupported, "keyspace notifications", detail, error)
    })
}

/// `A` stands for every class of events, but not for where they are published.
fn delivers(flags: &str, class: char) -> bool {
    flags.contains(class) || (!"KE".contains(class) && flags.contains('A'))
}

/// What to do about a server that answers, and whose echoes do not come.
pub(crate) fn deaf(target: &Target, mechanism: Mechanism) -> String {
    match mechanism {
        Mechanism::Keyspace => advice(target, None),
        Mechanism::Tracking => format!(
            "{} took CLIENT TRACKING, but does not tell about changes; a proxy in between may keep that back: connect to the \
             server itself, or use keyspace notifications",
            target.address()
        ),
    }
}

/// What to do about a server that does not tell.
pub(crate) fn advice(target: &Target, flags: Option<&str>) -> String {
    let state = flags.map_or("cannot be asked for here".to_owned(), |flags| format!("is \"{flags}\""));
    format!(
        "{address} does not deliver the keyspace notifications that keep the nodes coherent: `{SETTING}` {state}; set it to \
         \"K$gxe\" (redis.conf, CONFIG SET, or the provider's console), or call `ensure_notifications()`",
        address = target.address(),
    )
}

/// Who a server is: the process, and the history of the data that it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    run: String,
    history: String,
}

impl Identity {
    /// A number for what happened when this one took over.
    pub(crate) fn incident(&self) -> u64 {
        xxh3_64(format!("{}:{}", self.run, self.history).as_bytes())
    }
}

/// Asks a server who it is; `None` if it does not say so to this user. A replica is an error, which passes: it may be on its
/// way to become the primary that somebody took it for. One that is not what it was named for is an error.
pub(crate) async fn identity(
    target: &Target,
    connection: &mut MultiplexedConnection,
    is_cluster: bool,
) -> Result<Option<Identity>, Error> {
    let mut question = redis::pipe();
    for section in ["server", "replication"] {
        question.cmd("INFO").arg(section);
    }
    let answer = match target.batch("INFO", connection, &question).await {
        Ok(answer) => answer,
        Err(error) if matches!(error.kind(), ErrorKind::Denied | ErrorKind::Remote) => return Ok(None),
        Err(error) => return Err(error),
    };
    let text: Vec<String> = answer.into_iter().filter_map(|value| redis::from_redis_value(value).ok()).collect();
    let text = text.join("\n");
    let field =
        |name: &str| text.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(':')).map(String::from);
    let other = match (field("redis_mode").as_deref(), is_cluster) {
        (Some("cluster"), false) => Some("is a node of a cluster: name it with `Redis::cluster`"),
        (Some("standalone"), true) => Some("is no node of a cluster: name one server with `Redis::server`"),
        (Some("sentinel"), _) => Some("is a sentinel: name it with `Redis::sentinel`"),
        _ => None,
    };
    if let Some(other) = other {
        return Err(Error::config("redis", format!("{} {other}", target.address())));
    }
    if field("role").as_deref() == Some("slave") {
        let detail = format!("{} is a replica, and takes no writes", target.address());
        return Err(Error::new(ErrorKind::Unreachable, "INFO", detail));
    }
    Ok(field("run_id").zip(field("master_replid")).map(|(run, history)| Identity { run, history }))
}

/// Records the number of partitions in the namespace, and refuses to differ from what is recorded.
pub(crate) async fn agree_on_partitions(
    target: &Target,
    connection: &mut MultiplexedConnection,
    names: &Names,
) -> Result<(), Error> {
    let ask = |pipeline: &mut redis::Pipeline| {
        pipeline.cmd("HGET").arg(names.meta()).arg("partitions");
    };
    let text =
        |answer: Vec<Value>| answer.into_iter().next_back().and_then(|value| redis::from_redis_value(value).ok());
    // Asked first: a server that is full takes no write, and what is recorded needs none.
    let mut pipeline = redis::pipe();
    ask(&mut pipeline);
    let mut recorded: Option<String> = text(target.batch("namespace", connection, &pipeline).await?);
    if recorded.is_none() {
        let mut pipeline = redis::pipe();
        pipeline.cmd("HSETNX").arg(names.meta()).arg("partitions").arg(names.partitions());
        ask(&mut pipeline);
        recorded = text(target.batch("namespace", connection, &pipeline).await?);
    }
    let recorded = recorded.unwrap_or_default();
    if recorded == names.partitions().to_string() {
        return Ok(());
    }
    let ours = names.partitions();
    let detail = format!(
        "`{}` records {recorded} partitions and this cache was built with {ours}; every node of a namespace needs the same \
         number: build with {recorded}, or use another namespace",
        names.meta()
    );
    Err(Error::config("partitions", detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delivers_knows_the_alias_of_all_classes() {
        assert!("g$xe".chars().all(|class| delivers("KA", class)));
        assert!(!delivers("EA", 'K'), "A does not say where");
        assert!(!delivers("Kgx", '$'));
    }
}
