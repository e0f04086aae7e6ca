//! Writes the service and its client, as `tonic-prost-build` would from a `.proto` file, without a need for `protoc`.

use tonic_build::manual::{Builder, Method, Service};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let method = |name: &str, route: &str, input: &str, output: &str| {
        Method::builder()
            .name(name)
            .route_name(route)
            .input_type(format!("crate::messages::{input}"))
            .output_type(format!("crate::messages::{output}"))
            .codec_path("tonic_prost::ProstCodec")
    };
    let products = Service::builder()
        .package("shop.v1")
        .name("Products")
        .method(method("get", "Get", "GetRequest", "Product").build())
        .method(method("watch", "Watch", "WatchRequest", "Product").server_streaming().build())
        .build();
    Builder::new().compile(&[products]);
}
