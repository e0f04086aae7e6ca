//! A body that owns all that it uses runs in a task, so it must be `Send`; `inline` keeps it in the caller.

use std::rc::Rc;

use cache_core::cacheable;

#[cacheable(key = "a:{id}")]
async fn not_send(id: u64) -> u64 {
    let id = Rc::new(id);
    std::future::ready(()).await;
    *id
}

fn main() {}
