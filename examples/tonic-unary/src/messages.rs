//! What is sent: the messages of `shop.v1`, as prost makes them of
//!
//! ```proto
//! message GetRequest   { uint64 id = 1; }
//! message WatchRequest { uint64 from = 1; uint32 count = 2; }
//! message Product      { uint64 id = 1; string name = 2; uint64 cents = 3; }
//! ```

/// Which product.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct GetRequest {
    #[prost(uint64, tag = "1")]
    pub(crate) id: u64,
}

/// Which products, one after another.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct WatchRequest {
    #[prost(uint64, tag = "1")]
    pub(crate) from: u64,
    #[prost(uint32, tag = "2")]
    pub(crate) count: u32,
}

/// A product.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Product {
    #[prost(uint64, tag = "1")]
    pub(crate) id: u64,
    #[prost(string, tag = "2")]
    pub(crate) name: String,
    #[prost(uint64, tag = "3")]
    pub(crate) cents: u64,
}
