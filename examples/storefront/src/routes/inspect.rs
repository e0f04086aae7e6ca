//! What the cache did so far, and what it was told to do.

use axum::Json;
use axum::extract::State;
use serde_json::{Map, Value, json};

use super::extract::Path;
use super::refusal::Refusal;
use crate::catalogue::Repository;
use crate::catalogue::model::require;

/// `GET /stats`
pub(crate) async fn stats(State(repository): State<Repository>) -> Json<Value> {
    let (stats, coherence) = (repository.cache().stats(), repository.cache().coherence());
    // Each load ends in one of these; a caller does not wait for the first three.
    let filled = stats.fills + stats.fills_refused + stats.fills_dropped;
    let done = filled + stats.bypassed() + stats.load_failures + stats.load_panics;
    let bypasses: Map<String, Value> =
        stats.bypasses.iter().map(|(reason, count)| (reason.as_str().to_owned(), json!(count))).collect();
    Json(json!({
        "loads": repository.loads().total(),
        "coherence": coherence.state.as_str(),
        "remote_trusted": coherence.remote_trusted,
        "fences": coherence.fences,
        "why": coherence.why,
        "filling": stats.loads.saturating_sub(done),
        "hit_ratio": stats.hit_ratio(),
        "local_hits": stats.local_hits,
        "remote_hits": stats.remote_hits,
        "misses": stats.misses,
        "joined": stats.joined,
        "bypasses": bypasses,
        "puts": stats.puts,
        "evictions": stats.evictions,
        "queued": stats.queued,
        "revalidated": stats.revalidated,
        "undecodable": stats.undecodable,
        "remote_errors": stats.remote_errors,
        "local_keys": stats.local_keys,
    }))
}

/// `GET /explain/{scope}`: each field of the scope's policy and where it was said, as text.
pub(crate) async fn explain(
    State(repository): State<Repository>,
    Path(scope): Path<String>,
) -> Result<String, Refusal> {
    let plain = |byte: u8| b"._-".contains(&byte) || byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let level = |level: &str| (1..=64).contains(&level.len()) && level.bytes().all(plain);
    require(scope.split(':').all(level), "a scope is made of `[a-z0-9._-]+`, joined by `:`")?;
    Ok(format!("{}\n", repository.cache().explain(&scope)))
}
