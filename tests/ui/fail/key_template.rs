//! Templates that are not templates.

use cache_core::cacheable;

#[cacheable(key = "")]
async fn empty(id: u64) -> u64 {
    id
}

#[cacheable(key = "{id}")]
async fn no_head(id: u64) -> u64 {
    id
}

#[cacheable(key = "fn:{id}")]
async fn reserved_head(id: u64) -> u64 {
    id
}

#[cacheable(key = "product::{id}")]
async fn empty_segment(id: u64) -> u64 {
    id
}

#[cacheable(key = "product:{a}-{b}")]
async fn two_in_a_segment(a: u64, b: u64) -> u64 {
    a + b
}

#[cacheable(key = "product:p{id}")]
async fn text_beside_an_argument(id: u64) -> u64 {
    id
}

#[cacheable(key = "product:{id")]
async fn open_brace(id: u64) -> u64 {
    id
}

#[cacheable(key = "Product:{id}")]
async fn capital(id: u64) -> u64 {
    id
}

#[cacheable(key = "v:2:{id}")]
async fn number(id: u64) -> u64 {
    id
}

#[cacheable(key = "product:true:{id}")]
async fn yes(id: u64) -> u64 {
    id
}

#[cacheable(key = "product:-:{id}")]
async fn nothing(id: u64) -> u64 {
    id
}

#[cacheable(key = "product:.new:{id}")]
async fn variant(id: u64) -> u64 {
    id
}

#[cacheable(key = "product:abcdefghijklmnopqrstuvwxyz-abcdefghijklmnopqrstuvwxyz-abcdefghijklmnopqrstuvwxyz:{id}")]
async fn long(id: u64) -> u64 {
    id
}

#[cacheable(key = "product:{}")]
async fn no_name(id: u64) -> u64 {
    id
}

#[cacheable(key = "product:{id + 1}")]
async fn expression(id: u64) -> u64 {
    id
}

#[cacheable(key = "product:{idd}")]
async fn misspelt(id: u64) -> u64 {
    id
}

#[cacheable(key = "product:{id}:{it.category}")]
async fn the_result(id: u64) -> u64 {
    id
}

#[cacheable(key = "product:{id}:{self.tenant}")]
async fn no_receiver(id: u64) -> u64 {
    id
}

#[cacheable(key = "product:{id}:{T.name}")]
async fn part_of_a_type<T: 'static>(id: u64) -> u64 {
    id
}

fn main() {}
