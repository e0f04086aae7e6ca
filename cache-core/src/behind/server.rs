//! What a server has to be set to, so that a journal is safe on it.

use super::AckLevel;
use crate::{
    error::{Error, ErrorKind},
    journal::Safety,
};

/// Checks what a server says of itself.
///
/// # Errors
///
/// The setting that would lose what was acknowledged, and the value to set.
pub(super) fn check(said: &str, ack: AckLevel, safety: Option<Safety>, allows_loss: bool) -> Result<(), Error> {
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
    match ack {
        AckLevel::Fsynced if value("aof_enabled") == Some("0") => {
            refused("`AckLevel::Fsynced` needs an append-only file: set `appendonly yes`".to_owned())
        }
        AckLevel::Fsynced if safety.is_none() && value("appendfsync") != Some("always") => {
            let is = match value("appendfsync").unwrap_or("") {
                "" => "not told to this user (CONFIG GET)".to_owned(),
                fsync => format!("`{fsync}`"),
            };
            refused(format!(
                "`AckLevel::Fsynced` needs a server that can be asked by `WAITAOF` (Redis 7.2, and the right to it), or `appendfsync \
                 always`; this one cannot, and it is {is}"
            ))
        }
        AckLevel::Fsynced if value("appendfsync") == Some("no") => refused(
            "`AckLevel::Fsynced` needs a server that has its file written to the disk, and this one has `appendfsync no`: set `everysec` \
             or `always`"
                .to_owned(),
        ),
        AckLevel::Replicated(0) => {
            refused("`AckLevel::Replicated(0)` waits for nobody: say how many, or `AckLevel::Journaled`".to_owned())
        }
        AckLevel::Replicated(wanted) => match value("connected_slaves").and_then(|there| there.parse::<u32>().ok()) {
            Some(there) if there < wanted => refused(format!(
                "`AckLevel::Replicated({wanted})` needs as many replicas of each primary, and one has {there}: start them, or ask for fewer"
            )),
            _ => Ok(()),
        },
        AckLevel::Accepted | AckLevel::Journaled | AckLevel::Fsynced => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(policy: &str, aof: u8, fsync: &str) -> String {
        format!(
            "# Memory\r\nmaxmemory_policy:{policy}\r\n# Persistence\r\naof_enabled:{aof}\r\n# Replication\r\nconnected_slaves:1\r\n\
             appendfsync:{fsync}\r\n"
        )
    }

    #[test]
    fn what_would_lose_writes_is_refused_by_name() {
        use AckLevel::{Accepted, Fsynced, Replicated};
        let (journaled, on_disk) = (None, Some(Safety::OnDisk));
        let cases = [
            (said("noeviction", 1, "everysec"), AckLevel::Journaled, journaled, false, None),
            (said("volatile-lru", 1, "no"), Accepted, journaled, false, None),
            (
                said("allkeys-lru", 1, "always"),
                AckLevel::Journaled,
                journaled,
                true,
                Some("maxmemory-policy noeviction"),
            ),
            (said("noeviction", 0, "always"), AckLevel::Journaled, journaled, false, Some("appendonly yes")),
            (said("noeviction", 0, "always"), AckLevel::Journaled, journaled, true, None),
            (said("noeviction", 1, "everysec"), Fsynced, journaled, false, Some("appendfsync always")),
            (said("noeviction", 1, "everysec"), Fsynced, journaled, false, Some("WAITAOF")),
            (said("noeviction", 1, ""), Fsynced, journaled, false, Some("CONFIG GET")),
            (said("noeviction", 0, "always"), Fsynced, journaled, true, Some("appendonly yes")),
            (said("noeviction", 0, "always"), Fsynced, on_disk, true, Some("appendonly yes")),
            (said("noeviction", 1, "always"), Fsynced, journaled, false, None),
            (said("noeviction", 1, "everysec"), Fsynced, on_disk, false, None),
            (said("noeviction", 1, "no"), Fsynced, on_disk, false, Some("appendfsync no")),
            (said("noeviction", 1, ""), Fsynced, on_disk, false, None),
            (said("noeviction", 1, "no"), Replicated(1), Some(Safety::OnReplicas(1)), false, None),
            (
                said("noeviction", 1, "no"),
                Replicated(2),
                Some(Safety::OnReplicas(2)),
                false,
                Some("needs as many replicas"),
            ),
            (said("noeviction", 1, "no"), Replicated(0), Some(Safety::OnReplicas(0)), false, Some("waits for nobody")),
        ];
        for (said, ack, safety, allows_loss, expected) in cases {
            let checked = check(&said, ack, safety, allows_loss).map_err(|error| error.to_string());
            match expected {
                None => assert_eq!(checked, Ok(()), "{said}"),
                Some(text) => assert!(checked.as_ref().unwrap_err().contains(text), "{checked:?}"),
            }
        }
    }
}
