//! What is asked of a server before it is relied on.

use std::collections::HashMap;

use redis::{aio::MultiplexedConnection, cmd};

use super::{connect::Target, names::Names};
use crate::error::{Error, ErrorKind};

/// The classes of events that coherence needs: keyspace channels, generic commands, strings, expiry, eviction.
const NEEDED: &str = "Kg$xe";
/// The setting that carries them.
const SETTING: &str = "notify-keyspace-events";

/// Makes sure that the server tells about changes, as far as it can be asked.
///
/// A server that refuses `CONFIG` is not asked: the echo of the first beat proves it, or fails to.
pub(crate) async fn check_notifications(
    target: &Target,
    connection: &mut MultiplexedConnection,
    ensure: bool,
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
    let missing: String = NEEDED.chars().filter(|&class| !delivers(&flags, class)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !ensure {
        return Err(Error::new(ErrorKind::Unsupported, "keyspace notifications", advice(target, Some(&flags))));
    }
    // Another application may have asked for other classes: unite, never overwrite.
    let united = format!("{flags}{missing}");
    let mut setting = cmd("CONFIG");
    setting.arg("SET").arg(SETTING).arg(&united);
    let set: Result<(), Error> = target.step("CONFIG SET", setting.query_async(connection)).await;
    set.map_err(|error| {
        let detail = format!("{}, and the server refused to have it set", advice(target, Some(&flags)));
        Error::caused(ErrorKind::Unsupported, "keyspace notifications", detail, error)
    })
}

/// `A` stands for every class of events, but not for where they are published.
fn delivers(flags: &str, class: char) -> bool {
    flags.contains(class) || (class != 'K' && flags.contains('A'))
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

/// Records the number of partitions in the namespace, and refuses to differ from what is recorded.
pub(crate) async fn agree_on_partitions(
    target: &Target,
    connection: &mut MultiplexedConnection,
    names: &Names,
) -> Result<(), Error> {
    let mut pipeline = redis::pipe();
    pipeline.cmd("HSETNX").arg(names.meta()).arg("partitions").arg(names.partitions());
    pipeline.cmd("HGET").arg(names.meta()).arg("partitions");
    let recorded = target.batch("namespace", connection, &pipeline).await?.pop();
    let recorded: String = recorded.and_then(|value| redis::from_redis_value(value).ok()).unwrap_or_default();
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
