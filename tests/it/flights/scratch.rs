use std::{sync::{Arc, atomic::{AtomicU64, Ordering}}, time::Duration};
use cache_core::{Cache, cacheable, cache_evict, cache_put};
use tests::fixtures::{RedisServer, eventually};
use tokio::task::yield_now;
use crate::support::{node, product, Product};

#[derive(Clone)]
struct S { cache: Cache, row: Arc<AtomicU64>, acked: Arc<AtomicU64> }
type R = Result<Product, ()>;
impl S {
    #[cacheable(key = "mono:{id}", tags = ["mono-c:{it.category}"])]
    async fn find(&self, id: u64) -> R { self.load(id).await }
    #[cacheable(key = "mono:{id}", tags = ["mono-c:{it.category}"], inline)]
    async fn find_inline(&self, id: u64) -> R { self.load(id).await }
    async fn load(&self, id: u64) -> R { 
        for _ in 0..fastrand(3) { yield_now().await }
        let r = self.row.load(Ordering::SeqCst);
        for _ in 0..fastrand(3) { yield_now().await }
        Ok(product(id, r)) }
    async fn commit(&self, id: u64) -> R {
        for _ in 0..fastrand(3) { yield_now().await }
        let r = self.row.fetch_add(1, Ordering::SeqCst) + 1;
        for _ in 0..fastrand(3) { yield_now().await }
        Ok(product(id, r)) }
    #[cache_put(key = "mono:{id}", tags = ["mono-c:{it.category}"])]
    async fn put(&self, id: u64) -> R { self.commit(id).await }
    #[cache_put(key = "mono:{id}", tags = ["mono-c:{it.category}"], inline)]
    async fn put_inline(&self, id: u64) -> R { self.commit(id).await }
    #[cache_evict(key = "mono:{id}")]
    async fn evict(&self, id: u64) -> R { self.commit(id).await }
    #[cache_evict(tags = ["mono-c:{it.category}"])]
    async fn evict_tag(&self, id: u64) -> R { self.commit(id).await }
    #[cache_evict(scope = "mono")]
    async fn evict_scope(&self, id: u64) -> R { self.commit(id).await }
}
fn fastrand(n: u64) -> u64 {
    use std::cell::Cell;
    thread_local!(static X: Cell<u64> = Cell::new(0x9E3779B97F4A7C15 ^ (&() as *const () as u64) ^ std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64));
    X.with(|x| { let mut v = x.get(); v ^= v << 13; v ^= v >> 7; v ^= v << 17; x.set(v); (v >> 11) % n })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn scratch_mono() {
    let redis = RedisServer::start().await;
    let row = Arc::new(AtomicU64::new(1));
    let s = |cache| S { cache, row: row.clone(), acked: Arc::default() };
    for nodes in [vec![s(Cache::in_memory())], vec![s(node(&redis).await), s(node(&redis).await)]] {
        for round in 0..30 {
            let id = round;
            let mut tasks = vec![];
            for (n, s) in nodes.iter().enumerate() {
                for w in 0..2 { let s = s.clone(); tasks.push(tokio::spawn(async move {
                    for _ in 0..60 {
                        let r = match fastrand(6) { 0 => s.put(id).await, 1 => s.put_inline(id).await, 2 => s.evict(id).await, 3 => s.evict_tag(id).await, 4 => s.evict_scope(id).await, _ => { yield_now().await; continue } };
                        s.acked.fetch_max(r.unwrap().revision, Ordering::SeqCst);
                        for _ in 0..fastrand(20) { yield_now().await }
                    }
                    let _ = (n, w);
                })); }
                for r in 0..4 { let s = s.clone(); tasks.push(tokio::spawn(async move {
                    for _ in 0..400 {
                        let a = s.acked.load(Ordering::SeqCst);
                        let v = if r % 2 == 0 { s.find(id).await } else { s.find_inline(id).await }.unwrap().revision;
                        assert!(v >= a, "node {n}: read {v} after {a} was acknowledged here");
                        yield_now().await;
                    }
                })); }
            }
            for t in tasks { t.await.unwrap(); }
            let newest = row.load(Ordering::SeqCst);
            for s in &nodes {
                eventually(Duration::from_secs(5), || async { let v = s.find(id).await.unwrap().revision; if v == newest { Ok(()) } else { Err(v) } }).await;
            }
            for s in &nodes { let st = s.cache.stats(); eventually(Duration::from_secs(5), || async {let st = s.cache.stats(); nodes.len()==1 || st.fills + st.fills_refused + st.fills_dropped + st.bypassed() >= st.loads}).await; let _ = st; }
            for s in &nodes { assert_eq!(s.find(id).await.unwrap().revision, newest); }
        }
        println!("{}", nodes[0].cache.stats());
    }
}
