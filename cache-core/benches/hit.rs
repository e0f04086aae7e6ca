//! What an L1 hit costs, beside the floor: `cargo bench -p cache-core --bench hit`.
//!
//! Each line is `name<TAB>ns`, the median over interleaved rounds, so that a noisy machine disturbs all of them alike; read the
//! ratios. Before the times it counts allocations: a hit makes none beyond the value's own `Clone`. After them it does the same
//! where the keys are many: each as often as the others, and by Zipf's law; and with two threads at it.

#![allow(
    missing_docs,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark prints, and reads the clock"
)]

use std::{
    alloc::System,
    hint::black_box,
    io::{Error, Write},
    pin::pin,
    task::{Context, Poll, Waker},
    time::Instant,
};

use cache_core::{Cache, Entry, cacheable, key};
use serde::{Deserialize, Serialize};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const ROUNDS: usize = 61;
const HITS_PER_ROUND: u64 = 20_000;
/// Keys asked for in turn.
const KEYS: u64 = 1_000;
/// Keys of the second part: more than the front of L1 has places.
const MANY_KEYS: u64 = 50_000;
const MANY_HITS: usize = 100_000;
const THREADS: u64 = 2;

/// 32 bytes without a heap.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Product {
    id: u64,
    price: u64,
    stock: u64,
    seller: u64,
}

fn product(id: u64) -> Product {
    Product { id, price: 100, stock: 5, seller: id % 10 }
}

struct Raw(moka::sync::Cache<u64, Product>);

impl Raw {
    #[inline(never)]
    async fn find(&self, id: u64) -> Option<Product> {
        self.0.get(&id)
    }
}

#[derive(Clone)]
struct Products {
    cache: Cache,
}

impl Products {
    #[inline(never)]
    #[cacheable(key = "product:{id}", tags = ["category:{it.seller}", "catalogue:{id}"])]
    async fn find(&self, id: u64) -> Result<Option<Product>, std::io::Error> {
        Ok(Some(product(id)))
    }

    #[inline(never)]
    #[cacheable(key = "product:{id}", tags = ["category:{it.seller}", "catalogue:{id}"])]
    async fn find_entry(&self, id: u64) -> Result<Option<Entry<Product>>, std::io::Error> {
        Ok(Some(product(id).into()))
    }

    #[inline(never)]
    #[cacheable(key = "untagged:{id}")]
    async fn find_untagged(&self, id: u64) -> Result<Option<Product>, std::io::Error> {
        Ok(Some(product(id)))
    }
}

/// The output of a future that does not wait.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a hit does not wait"),
    }
}

type Case<'a> = (&'static str, Box<dyn Fn(u64) -> Option<Product> + Sync + 'a>);

fn main() -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _inside = runtime.enter();
    let raw = Raw(moka::sync::Cache::new(100_000));
    let cache = runtime.block_on(Cache::builder("bench").local_entries(200_000).build()).map_err(Error::other)?;
    let products = Products { cache };
    for id in 0..MANY_KEYS {
        raw.0.insert(id, product(id));
        runtime.block_on(products.find(id))?;
        runtime.block_on(products.find_untagged(id))?;
    }
    let cases: Vec<Case<'_>> = vec![
        ("raw moka get in an async fn", Box::new(|id| now(raw.find(id)))),
        ("#[cacheable] hit, 2 tags", Box::new(|id| now(products.find(id)).ok().flatten())),
        ("#[cacheable] hit, no tags", Box::new(|id| now(products.find_untagged(id)).ok().flatten())),
        (
            "#[cacheable] -> Entry hit, 2 tags",
            Box::new(|id| now(products.find_entry(id)).ok().flatten().map(Entry::into_value)),
        ),
        ("raw moka get", Box::new(|id| raw.0.get(&id))),
        (
            "by hand: entry(key!).get",
            Box::new(|id| now(products.cache.entry(key!("product:{id}")).get()).map(Entry::into_value)),
        ),
    ];

    let mut out = std::io::stdout().lock();
    for (name, case) in &cases {
        let warm = Region::new(ALLOCATOR);
        (0..KEYS).for_each(|id| assert_eq!(case(id), Some(product(id)), "{name}"));
        let _first = warm.change();
        let region = Region::new(ALLOCATOR);
        (0..KEYS).for_each(|id| {
            black_box(case(id));
        });
        writeln!(out, "allocations per {KEYS} of {name}\t{}", region.change().allocations)?;
    }
    let in_turn: Vec<u64> = (0..HITS_PER_ROUND).map(|hit| hit % KEYS).collect();
    compare(&mut out, "", &cases, &in_turn, 1)?;
    let evenly: Vec<u64> = (0..MANY_HITS).map(|_| fastrand::u64(..MANY_KEYS)).collect();
    compare(&mut out, ", 50,000 keys evenly", &cases[..2], &evenly, 1)?;
    let zipf: Vec<u64> = (0..MANY_HITS).map(|_| by_zipf(MANY_KEYS)).collect();
    compare(&mut out, ", 50,000 keys by Zipf", &cases[..2], &zipf, 1)?;
    compare(&mut out, ", 50,000 keys by Zipf, 2 threads", &cases[..2], &zipf, THREADS)
}

/// A number below `many`, of which 0 is twice as likely as 1, three times as likely as 2, and so on, about.
fn by_zipf(many: u64) -> u64 {
    ((many as f64).powf(fastrand::f64()) - 1.0) as u64
}

/// Measures each case over `ids`, in rounds that take turns, and prints the medians and their ratios to the first.
fn compare(out: &mut impl Write, what: &str, cases: &[Case<'_>], ids: &[u64], threads: u64) -> Result<(), Error> {
    let mut nanos: Vec<Vec<f64>> = cases.iter().map(|_| Vec::with_capacity(ROUNDS)).collect();
    for _ in 0..ROUNDS {
        for ((_, case), nanos) in cases.iter().zip(&mut nanos) {
            let hits = || {
                for id in ids {
                    black_box(case(black_box(*id)));
                }
            };
            let start = Instant::now();
            std::thread::scope(|scope| {
                (1..threads).for_each(|_| drop(scope.spawn(hits)));
                hits();
            });
            nanos.push(start.elapsed().as_secs_f64() * 1e9 / ids.len() as f64);
        }
    }
    let medians: Vec<f64> = nanos.into_iter().map(median).collect();
    for ((name, _), median) in cases.iter().zip(&medians) {
        writeln!(out, "{name}{what}\t{median:.1}")?;
    }
    for ((name, _), median) in cases.iter().zip(&medians).skip(1) {
        writeln!(out, "ratio of {name}{what} to {}\t{:.2}", cases[0].0, median / medians[0])?;
    }
    Ok(())
}

fn median(mut nanos: Vec<f64>) -> f64 {
    nanos.sort_unstable_by(f64::total_cmp);
    nanos[nanos.len() / 2]
}
