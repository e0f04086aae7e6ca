//! What a server has to be set to, so that a journal is safe on it.

use super::AckLevel;
use crate::error::{Error, ErrorKind};

/// Checks what a server says of itself.
///
/// # Errors
///
/// The setting that would lose what was acknowledged, and the value to set.
pub(super) fn check(said: &str, ack: AckLevel, allows_loss: bool) -> Result<(), Error> {
    let value = |name: &str| said.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    let refused = |detail: String| Err(Error::new(ErrorKind::Unsupported, "write-behind", detail));
    if let Some(policy) = value("maxmemory_policy")
        && policy.starts_with("allkeys-")
    {
        return refused(format!(
            "the server's maxmemory-policy is `{policy}`: it may remove the journal itself. Set `maxmemory-policy noeviction`, or \
             one of `volatile-*`, which spare what has no TTL"
        ));
    }
    if value("aof_enabled") == Some("0") && !allows_loss {
        return refused(
            "the server keeps no append-only file: a restart would lose what was acknowledged. Set `appendonly yes`, or say \
             `allow_loss_on_restart()`"
                .to_owned(),
        );
    }
    let fsync = value("appendfsync").unwrap_or("");
    if ack == AckLevel::Fsynced && (fsync != "always" || value("aof_enabled") == Some("0")) {
        let is = if fsync.is_empty() { "not told to this user (CONFIG GET)".to_owned() } else { format!("`{fsync}`") };
        return refused(format!("`AckLevel::Fsynced` needs `appendfsync always`, and it is {is}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(policy: &str, aof: u8, fsync: &str) -> String {
        format!(
            "# Memory\r\nmaxmemory_policy:{policy}\r\n# Persistence\r\naof_enabled:{aof}\r\nappendfsync:{fsync}\r\n"
        )
    }

    #[test]
    fn what_would_lose_writes_is_refused_by_name() {
        let cases = [
            (said("noeviction", 1, "everysec"), AckLevel::Journaled, false, None),
            (said("volatile-lru", 1, "no"), AckLevel::Accepted, false, None),
            (said("allkeys-lru", 1, "always"), AckLevel::Journaled, true, Some("maxmemory-policy noeviction")),
            (said("noeviction", 0, "always"), AckLevel::Journaled, false, Some("appendonly yes")),
            (said("noeviction", 0, "always"), AckLevel::Journaled, true, None),
            (said("noeviction", 1, "everysec"), AckLevel::Fsynced, false, Some("appendfsync always")),
            (said("noeviction", 1, ""), AckLevel::Fsynced, false, Some("CONFIG GET")),
            (said("noeviction", 0, "always"), AckLevel::Fsynced, true, Some("appendfsync always")),
            (said("noeviction", 1, "always"), AckLevel::Fsynced, false, None),
        ];
        for (said, ack, allows_loss, expected) in cases {
            let checked = check(&said, ack, allows_loss).map_err(|error| error.to_string());
            match expected {
                None => assert_eq!(checked, Ok(()), "{said}"),
                Some(text) => assert!(checked.as_ref().unwrap_err().contains(text), "{checked:?}"),
            }
        }
    }
}
