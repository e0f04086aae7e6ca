//! `cache_err` needs an error that can be cached.

use cache_core::cacheable;

#[cacheable(key = "a:{id}", cache_err = |_| true)]
async fn cached_error(id: u64) -> Result<u64, std::io::Error> {
    Ok(id)
}

fn main() {}
