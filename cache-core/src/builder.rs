//! Putting a cache together: the only file that names the adapters.

use std::{fmt, sync::Arc, time::Duration};

#[cfg(feature = "zstd")]
use crate::wire::Compression;
#[cfg(feature = "aead")]
use crate::wire::{Encryption, Sealing};
use crate::{
    cache::{Cache, Parts},
    clock::Clock,
    codec::Codec,
    coherence::Coherence,
    error::Error,
    hearing::Hearing,
    lease::Waiting,
    local::MokaTier,
    outcome::{Bypass, OnL2Error},
    policy::{Policy, PolicyTree, check_scope},
    recovery::Recovery,
    remote::redis::{Redis, RedisConfig, RedisRemote},
    stats::Counters,
    tags::Tags,
    tasks::Tasks,
    tier::{Mechanism, NullLocal, NullRemote, RemoteTier},
    wire::Packing,
};

const DEFAULT_BOUND: Duration = Duration::from_secs(1);
const LEAST_BOUND: Duration = Duration::from_millis(20);
const DEFAULT_BUDGET: Duration = Duration::from_millis(50);
const DEFAULT_PATIENCE: Duration = Duration::from_secs(2);
const DEFAULT_LOCAL_ENTRIES: u64 = 100_000;
const DEFAULT_PARTITIONS: u16 = 256;

/// The settings of a cache to be. Made by [`Cache::builder`].
#[derive(Clone)]
#[must_use = "nothing is built before `build`"]
pub struct Builder {
    namespace: String,
    redis: Option<Redis>,
    mechanisms: Vec<Mechanism>,
    ensure_notifications: bool,
    expired_events: bool,
    start_unreachable: bool,
    policy: Policy,
    scopes: Vec<(String, Policy)>,
    bound: Duration,
    budget: Duration,
    on_l2_error: OnL2Error,
    /// How long, and whether that may be longer than the bound.
    outage_ttl: Option<(Duration, bool)>,
    patience: Duration,
    local_entries: u64,
    partitions: u16,
    codec: Codec,
    packing: Packing,
    #[cfg(feature = "test-util")]
    dial: Option<crate::remote::redis::dial::Dial>,
}

impl fmt::Debug for Builder {
    /// Without the URL, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

impl Cache {
    /// A cache of the namespace (`[a-z0-9._-]{1,64}`), which every key in Redis begins with.
    ///
    /// Without [`redis`](Builder::redis) it lives in this process only, on the same code path.
    pub fn builder(namespace: impl Into<String>) -> Builder {
        Builder {
            namespace: namespace.into(),
            redis: None,
            mechanisms: vec![Mechanism::Keyspace],
            ensure_notifications: false,
            expired_events: false,
            start_unreachable: false,
            policy: Policy::new(),
            scopes: Vec::new(),
            bound: DEFAULT_BOUND,
            budget: DEFAULT_BUDGET,
            on_l2_error: OnL2Error::Queue,
            outage_ttl: None,
            patience: DEFAULT_PATIENCE,
            local_entries: DEFAULT_LOCAL_ENTRIES,
            partitions: DEFAULT_PARTITIONS,
            codec: Codec::default(),
            packing: Packing::default(),
            #[cfg(feature = "test-util")]
            dial: None,
        }
    }

    /// A cache in this process only, with the built-in policy: for tests and small tools.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::without_server(PolicyTree::default(), DEFAULT_LOCAL_ENTRIES, Codec::default(), None, "local")
    }

    /// A cache that every call goes past: `bypass(disabled)`.
    #[must_use]
    pub fn disabled() -> Self {
        Self::without_server(PolicyTree::default(), 0, Codec::default(), Some(Bypass::Disabled), "local")
    }

    fn without_server(
        policies: PolicyTree,
        local_entries: u64,
        codec: Codec,
        gate: Option<Bypass>,
        namespace: &str,
    ) -> Self {
        let clock = Clock::new();
        let coherence = Arc::new(Coherence::alone(clock.clone()));
        Self::assemble(Parts {
            local: if gate.is_some() { Arc::new(NullLocal) } else { Arc::new(MokaTier::new(local_entries)) },
            remote: Arc::new(NullRemote::new(clock.clone())),
            tags: Arc::new(Tags::alone(coherence.epochs())),
            coherence,
            recovery: Arc::new(Recovery::new()),
            waiting: Arc::default(),
            counters: Arc::default(),
            tasks: Tasks::new(),
            policies,
            codec,
            packing: Packing::default(),
            budget: DEFAULT_BUDGET,
            on_l2_error: OnL2Error::Queue,
            outage_ttl: Duration::ZERO,
            expired: None,
            gate,
            namespace: namespace.into(),
            partitions: 1,
            clock,
        })
    }
}

impl Builder {
    /// Where Redis is: a URL such as `redis://[user:password@]host[:port][/database]`, or a [`Redis`].
    pub fn redis(mut self, redis: impl Into<Redis>) -> Self {
        self.redis = Some(redis.into());
        self
    }

    /// Lets the cache set `notify-keyspace-events` where it is missing (`CONFIG SET`, united with what is there), at the start
    /// and on every new connection. Without it, a server that lacks the setting is an error.
    pub fn ensure_notifications(mut self) -> Self {
        self.ensure_notifications = true;
        self
    }

    /// Has the server say when an entry expired, for [`Cache::expired`]: `notify-keyspace-events` then needs `E` too. It says so
    /// when it removes the record, which may be minutes after its end, or never. Default: not.
    pub fn expired_events(mut self) -> Self {
        self.expired_events = true;
        self
    }

    /// How the server is to tell about changes: the first of these that it can. Tried at the start, and again in turn when the
    /// one in use falls silent. Default: keyspace notifications alone.
    pub fn mechanisms(mut self, mechanisms: impl IntoIterator<Item = Mechanism>) -> Self {
        self.mechanisms = mechanisms.into_iter().collect();
        self
    }

    /// Builds the cache even if Redis cannot be reached yet: it then works without it until it can. What a person has to put
    /// right (a refused password, a missing setting) is an error all the same. Default: an unreachable server is an error.
    pub fn start_unreachable(mut self) -> Self {
        self.start_unreachable = true;
        self
    }

    /// The policy that every scope inherits.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// The policy of a scope (the literal head of a key template, `product` or `product:stock`) and of all below it.
    pub fn scope(mut self, scope: impl Into<String>, policy: Policy) -> Self {
        self.scopes.push((scope.into(), policy));
        self
    }

    /// A local hit reflects every eviction acknowledged longer ago than this, whatever happens to the network or to Redis. The
    /// beat that proves it runs four times as often. At least 20 ms. Default: 1 s.
    pub fn bound(mut self, bound: Duration) -> Self {
        self.bound = bound;
        self
    }

    /// How long one call may wait for Redis, over all of its trips, before it goes on without; a writer before its body, and again
    /// after it. What this process is late by itself,
    /// because it has no processor or too much to do, does not count, up to as much again. Default: 50 ms.
    pub fn budget(mut self, budget: Duration) -> Self {
        self.budget = budget;
        self
    }

    /// What becomes of an eviction or a put that Redis does not confirm within the budget. Default: it waits in this process,
    /// and is put in force as soon as Redis answers.
    pub fn on_l2_error(mut self, on_l2_error: OnL2Error) -> Self {
        self.on_l2_error = on_l2_error;
        self
    }

    /// How long this process keeps what it loads while Redis cannot be asked, so that an outage of Redis is not one of the
    /// database. Counted from the beginning of the load. At most the [bound](Self::bound), so that what the bound promises
    /// holds; zero keeps nothing. Default: the bound.
    pub fn outage_ttl(mut self, outage_ttl: Duration) -> Self {
        self.outage_ttl = Some((outage_ttl, false));
        self
    }

    /// As [`outage_ttl`](Self::outage_ttl), and may be longer than the bound. What the bound promises then reads: a local hit
    /// reflects every eviction acknowledged longer ago than the longer of the two.
    pub fn outage_ttl_beyond_the_bound(mut self, outage_ttl: Duration) -> Self {
        self.outage_ttl = Some((outage_ttl, true));
        self
    }

    /// How long each step of connecting may take. Default: 2 s.
    pub fn connect_timeout(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// How many keys this process keeps, the ones used most; beside them, and apart from them, a sixteenth of that of which it is
    /// only known that there is *nothing*. Zero: none. Default: 100,000.
    pub fn local_entries(mut self, entries: u64) -> Self {
        self.local_entries = entries;
        self
    }

    /// Over how many hash tags the keys are spread in Redis. Recorded in the namespace; every node needs the same number.
    /// Default: 256.
    pub fn partitions(mut self, partitions: u16) -> Self {
        self.partitions = partitions;
        self
    }

    /// How values are encoded in Redis. Nodes with different codecs have records of their own. Default: bincode.
    pub fn codec(mut self, codec: Codec) -> Self {
        self.codec = codec;
        self
    }

    /// Compresses a value that takes at least so many bytes when it is encoded (zstd, level 3), and keeps it so if it is smaller
    /// then. Every node needs the feature `zstd` before the first one is told to compress: one without it misses what is
    /// compressed. Feature `zstd`. Default: nothing is compressed.
    #[cfg(feature = "zstd")]
    pub fn compress_above(mut self, bytes: usize) -> Self {
        self.packing.compression = Compression::above(bytes);
        self
    }

    /// Encrypts every value before it goes to Redis (XChaCha20-Poly1305, after it is compressed), and reads only such: what is
    /// not encrypted, or not for its key, version, deadlines and tags, is a miss. A cache that was not told to encrypt misses
    /// what is. Keys, tags, versions, deadlines and sizes stay readable in Redis. Feature `aead`. Default: nothing is encrypted.
    #[cfg(feature = "aead")]
    pub fn encrypt(mut self, encryption: Encryption) -> Self {
        self.packing.sealing = Sealing::with(&self.namespace, encryption);
        self
    }

    /// Reaches the server by `dial`, and takes the time from the runtime, which may be paused.
    #[cfg(feature = "test-util")]
    pub fn simulated(mut self, dial: crate::remote::redis::dial::Dial) -> Self {
        self.dial = Some(dial);
        self
    }

    /// Builds the cache, and proves that Redis tells about changes before it returns.
    ///
    /// # Errors
    ///
    /// Each names what is wrong and what to do: a bad name, URL or policy, a server that cannot be reached, refuses the user,
    /// or does not deliver notifications, a namespace with another number of partitions.
    pub async fn build(self) -> Result<Cache, Error> {
        let policies = self.validate()?;
        let Some(redis) = self.redis else {
            return Ok(Cache::without_server(policies, self.local_entries, self.codec, None, &self.namespace));
        };
        let clock = Clock::new();
        #[cfg(feature = "test-util")]
        let (clock, redis) = match self.dial {
            Some(dial) => (Clock::of_the_runtime(), redis.dialled(dial)),
            None => (clock, redis),
        };
        let counters = Arc::new(Counters::default());
        let partitions = if redis.is_cluster() { self.partitions } else { 1 };
        let coherence = Arc::new(Coherence::with_primaries(clock.clone(), self.bound, partitions));
        let tags = Arc::new(Tags::remote(coherence.epochs()));
        let recovery = Arc::new(Recovery::new());
        let waiting = Arc::new(Waiting::default());
        let mut hearing = Hearing::new(
            Arc::clone(&coherence),
            Arc::clone(&tags),
            Arc::clone(&recovery),
            Arc::clone(&waiting),
            Arc::clone(&counters),
            clock.clone(),
        );
        let expired = self.expired_events.then(|| hearing.tell_expired());
        let namespace: Arc<str> = self.namespace.as_str().into();
        let config = RedisConfig {
            redis,
            namespace: self.namespace,
            partitions: self.partitions,
            mechanisms: self.mechanisms,
            ensure_notifications: self.ensure_notifications,
            expired_events: self.expired_events,
            start_unreachable: self.start_unreachable,
            bound: self.bound,
            budget: self.budget,
            patience: self.patience,
        };
        let (remote, services) = RedisRemote::connect(config, clock.clone(), Arc::new(hearing)).await?;
        let remote: Arc<dyn RemoteTier> = Arc::new(remote);
        let tasks = Tasks::new();
        tasks.serve(services);
        tasks.serve(Arc::clone(&recovery).run(Arc::clone(&remote), clock.clone(), tasks.closing()));
        Ok(Cache::assemble(Parts {
            clock,
            local: Arc::new(MokaTier::new(self.local_entries)),
            remote,
            coherence,
            tags,
            recovery,
            waiting,
            counters,
            tasks,
            policies,
            codec: self.codec,
            packing: self.packing,
            budget: self.budget,
            on_l2_error: self.on_l2_error,
            outage_ttl: self.outage_ttl.map_or(self.bound, |(ttl, _)| ttl),
            expired,
            gate: None,
            namespace,
            partitions: self.partitions,
        }))
    }

    fn validate(&self) -> Result<PolicyTree, Error> {
        if self.namespace.contains(':') || check_scope(&self.namespace).is_err() {
            let detail = format!("`{}` is no namespace: 1 to 64 of a-z, 0-9, `.`, `_`, `-`", self.namespace);
            return Err(Error::config("namespace", detail));
        }
        if self.bound < LEAST_BOUND {
            let detail =
                format!("a bound of {:?} is shorter than {LEAST_BOUND:?}: the beat could not keep it", self.bound);
            return Err(Error::config("bound", detail));
        }
        if self.budget.is_zero() {
            return Err(Error::config("budget", "a budget of zero never asks Redis; leave `redis` away instead"));
        }
        if let Some((outage_ttl, false)) = self.outage_ttl
            && outage_ttl > self.bound
        {
            let detail = format!(
                "an outage_ttl of {outage_ttl:?} would serve what is older than the bound of {:?}: make it shorter, or say \
                 `outage_ttl_beyond_the_bound`",
                self.bound
            );
            return Err(Error::config("outage_ttl", detail));
        }
        if self.mechanisms.is_empty() {
            return Err(Error::config("mechanisms", "nothing would tell about changes: name at least one mechanism"));
        }
        if self.expired_events && (self.redis.is_none() || !self.mechanisms.contains(&Mechanism::Keyspace)) {
            let detail =
                "only keyspace notifications of a Redis say that something expired: give `redis` and that mechanism";
            return Err(Error::config("expired_events", detail));
        }
        if let Some(detail) = self.packing.sealing.fault() {
            return Err(Error::config("encrypt", detail));
        }
        if self.partitions == 0 {
            return Err(Error::config("partitions", "a namespace has at least one partition; the default is 256"));
        }
        let mut policies = PolicyTree::default();
        policies.set_root(self.policy.clone())?;
        for (scope, policy) in &self.scopes {
            check_scope(scope)?;
            policies.set(scope, policy.clone())?;
        }
        Ok(policies)
    }
}
