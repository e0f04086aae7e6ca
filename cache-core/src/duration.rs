//! Short names for durations in policies: `Policy::new().ttl(mins(5)).l1(secs(30))`.

use std::time::Duration;

/// `n` milliseconds.
#[must_use]
pub const fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// `n` seconds.
#[must_use]
pub const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// `n` minutes.
#[must_use]
pub const fn mins(n: u64) -> Duration {
    Duration::from_secs(n.saturating_mul(60))
}

/// `n` hours.
#[must_use]
pub const fn hours(n: u64) -> Duration {
    Duration::from_secs(n.saturating_mul(3_600))
}

/// `n` days of 24 hours.
#[must_use]
pub const fn days(n: u64) -> Duration {
    Duration::from_secs(n.saturating_mul(86_400))
}

/// A duration as a person writes it: the two largest units that are not nothing (`1h30m`, `250ms`).
pub(crate) fn display(duration: Duration) -> String {
    let (secs, millis) = (duration.as_secs(), duration.subsec_millis());
    let units = [
        (secs / 86_400, "d"),
        (secs / 3_600 % 24, "h"),
        (secs / 60 % 60, "m"),
        (secs % 60, "s"),
        (millis.into(), "ms"),
    ];
    let largest = units.iter().skip_while(|(n, _)| *n == 0).take(2);
    let said: Vec<String> = largest.filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n}{unit}")).collect();
    if said.is_empty() { format!("{}ns", duration.as_nanos()) } else { said.concat() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_takes_the_two_largest_units() {
        let cases =
            [(mins(90), "1h30m"), (millis(250), "250ms"), (secs(60), "1m"), (days(1), "1d"), (Duration::ZERO, "0ns")];
        for (duration, said) in cases {
            assert_eq!(display(duration), said);
        }
    }
}
