//! A value that can't be cached is one error, at the result.

use std::rc::Rc;

use cache_core::cacheable;

#[derive(Clone)]
struct NotSerializable;

#[cacheable(key = "a:{id}")]
async fn not_serializable(id: u64) -> Result<Option<NotSerializable>, std::io::Error> {
    let _ = id;
    Ok(None)
}

#[cacheable(key = "b:{id}")]
async fn not_send(id: u64) -> Rc<u64> {
    Rc::new(id)
}

#[cacheable(key = "c:{id}")]
async fn not_serializable_in_an_entry(id: u64) -> Option<cache_core::Entry<NotSerializable>> {
    let _ = id;
    None
}

fn main() {}
