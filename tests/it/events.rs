//! The events of a process say what entries, observations and counters say, in the same words.

use std::{
    io,
    sync::{Arc, Mutex},
};

use cache_core::{Cache, Policy, hours, key, millis, observe};
use tests::fixtures::eventually;
use tracing_subscriber::fmt::MakeWriter;

use crate::outage::SOON;

/// Lines of a log.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn of_outcomes(&self) -> Vec<String> {
        let text = String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap();
        text.lines().filter(|line| line.contains("cache_core::outcome")).map(str::to_owned).collect()
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn events_say_the_words_that_observers_are_told() {
    let lines = Lines::default();
    let log = tracing_subscriber::fmt().with_writer(lines.clone()).with_ansi(false);
    let _here = tracing::subscriber::set_default(log.with_max_level(tracing::Level::TRACE).finish());
    let policy = Policy::new().ttl(millis(50)).jitter(0.0).fail_safe(hours(1));
    let cache = Cache::builder("shop").policy(policy).build().await.unwrap();
    let fails = async || {
        let load = || async { Err::<u64, _>(io::Error::other("away")) };
        cache.get_or_load(key!("answer"), load).await
    };
    let all = async {
        assert!(fails().await.is_err());
        cache.get_or_load(key!("answer"), || async { Ok::<_, io::Error>(42_u64) }).await.unwrap();
        assert_eq!(fails().await.unwrap(), 42);
        eventually(SOON, async || cache.get::<u64>(&key!("answer")).await.is_none()).await;
        assert_eq!(fails().await.unwrap(), 42);
        let _applied = cache.evict(&key!("answer")).await;
    };
    let ((), seen) = observe(all).await;
    let told = lines.of_outcomes();
    assert_eq!(told.len(), seen.len(), "{told:#?}");
    for (line, seen) in told.iter().zip(&seen) {
        assert!(line.contains(&format!("scope=\"{}\" outcome={}", seen.scope, seen.outcome)), "{line} of {seen:?}");
    }
    let words: Vec<String> = seen.iter().map(|seen| seen.outcome.as_str().to_owned()).collect();
    for word in ["miss", "hit", "fail_safe", "evict"] {
        assert!(words.iter().any(|seen| seen == word), "{word} in {words:?}");
    }
}
