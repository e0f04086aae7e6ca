//! The same, where only types tell that a body needs its caller.

use std::{cell::Cell, rc::Rc};

use cache_core::{Cache, cacheable};

struct Repo {
    cache: Cache,
}

impl Repo {
    #[cacheable(key = "a:{id}", stale = "1h")]
    async fn not_clone(&self, id: u64) -> u64 {
        id
    }
}

#[derive(Clone)]
struct NotSync(Cell<u8>);

#[cacheable(key = "b", skip(cell), ttl = "1m", stale = "1h")]
async fn not_sync(cell: &NotSync) -> u8 {
    cell.0.get()
}

#[cacheable(key = "c", skip(counter), soft = "1s")]
async fn not_send(counter: Rc<u64>) -> u64 {
    *counter
}

struct NotClone;

#[cacheable(key = "d", skip(option), soft = "1s")]
async fn not_clone_in_an_option(option: Option<&NotClone>) -> bool {
    option.is_some()
}

#[cacheable(key = "e:{id}", hard = "5s")]
async fn error_not_send(id: u64) -> Result<u64, Box<dyn std::error::Error>> {
    Ok(id)
}

#[cacheable(key = "f", skip(moved), warm_up, stale = "1h")]
async fn moved_not_clone(moved: NotClone) -> u64 {
    let NotClone = moved;
    1
}

fn main() {}
