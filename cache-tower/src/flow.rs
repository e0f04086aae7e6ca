//! A request that was no hit in this process: what Redis has, what is stale, who asks the origin, and who waits for that.

use std::{future::pending, sync::Arc};

use cache_core::{
    __private::{Exchange, Talk, Teller},
    Cache, Key,
};
use http::{Method, Request, Response, StatusCode, request};
use http_body::{Body, SizeHint};
use tokio::sync::oneshot;
use tower_service::Service;

use crate::{
    answer::{self, Short},
    body::CacheBody,
    clock,
    config::is_of_somebody,
    fetch::{Fetch, Head, How, Unstored},
    keep::Keep,
    key::Target,
    live::{self, Live},
    passes::Why,
    rfc::{
        directives::RequestDirectives,
        range::{self, Gap, Partial},
        reuse::{self, Reuse, Stale},
        status::{Forward, Handled},
    },
    shared::Shared,
    slot::{Came, Slot},
    stored::{Found, Seen, Stored},
};

/// How often a request looks again because what it waited for was not for it.
const ROUNDS: usize = 3;

/// One request.
pub(crate) struct Flow {
    shared: Arc<Shared>,
    cache: Cache,
    target: Target,
    request: request::Parts,
    directives: RequestDirectives,
}

/// What there is for a request, and where it would be stored.
struct Looked {
    exchange: Exchange<Arc<Stored>>,
    key: Key,
    found: Option<Found>,
    /// A value counts as new if it was made later than this.
    than: u64,
    miss: Forward,
}

/// What a request is to do.
enum Step<R: Body> {
    Answer(Response<CacheBody<R>>),
    /// An answer that is stale, and to be fetched again in the background.
    Refresh(Response<CacheBody<R>>),
    Fetch(Wanted),
    /// The same, side by side with others, and with nothing stored of it.
    Alone(Wanted),
}

/// What the origin is asked for, and why.
#[derive(Clone, Copy)]
struct Wanted {
    why: Forward,
    how: How,
    detail: Option<&'static str>,
}

/// What became of waiting for the origin, or for whoever asks it.
#[expect(clippy::large_enum_variant, reason = "taken apart where it is returned")]
enum Waited<R: Body, E> {
    Answer(Result<Response<CacheBody<R>>, E>),
    /// What came is not for this request, which is still there.
    Again,
    /// It has waited long enough, or for what has to be got for each request anew.
    Alone,
}

impl Flow {
    pub(crate) fn new(shared: Arc<Shared>, cache: Cache, target: Target, request: request::Parts) -> Self {
        let directives = RequestDirectives::of(&request.headers, &shared.config.rules);
        Self { shared, cache, target, request, directives }
    }

    /// The answer to the request in the slot.
    pub(crate) async fn answer<S, B, R>(self, slot: Slot<(S, Request<B>)>) -> Result<Response<CacheBody<R>>, S::Error>
    where
        S: Service<Request<B>, Response = Response<R>> + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Send + 'static,
        B: Send + 'static,
        R: Body + Send + 'static,
        R::Data: Send,
        R::Error: Send,
    {
        let mut late = None;
        for _ in 0..ROUNDS {
            let looked = self.look().await;
            match self.step(&looked) {
                Step::Answer(response) => return Ok(response),
                Step::Refresh(response) => {
                    let (nobody, _) = oneshot::channel();
                    let teller = Teller::default();
                    let fetch = self.fetch(&looked, How::Validates, true, teller.clone()).run(slot, nobody);
                    looked.exchange.refresh(looked.than, Unstored::passes, teller, fetch);
                    return Ok(response);
                }
                Step::Alone(wanted) => late = Some((looked, wanted)),
                Step::Fetch(wanted) => match Box::pin(self.wait(&slot, &looked, wanted)).await {
                    Waited::Answer(answer) => return answer,
                    Waited::Again => continue,
                    Waited::Alone => late = Some((looked, wanted)),
                },
            }
            break;
        }
        let (looked, wanted) = match late {
            Some(late) => late,
            None => (self.look().await, Wanted { why: Forward::Miss, how: How::Anew, detail: Some("collapse") }),
        };
        match Box::pin(self.alone(&slot, &looked, wanted)).await {
            Some(answer) => answer,
            // Its request went to the origin, and what came back is for nobody.
            None => Ok(self.nothing(StatusCode::BAD_GATEWAY, "mismatched")),
        }
    }

    /// What any tier has: the answer of the URL that was stored last, or the request's own variant.
    async fn look(&self) -> Looked {
        let (target, headers) = (&self.target, &self.request.headers);
        let exchange = self.shared.exchange(&self.cache, target.key.clone(), &target.tags);
        let last = self.shared.find(&exchange).await;
        let made = last.as_ref().map_or(0, |last| last.made);
        let looked = |exchange, key, found, than, miss| Looked { exchange, key, found, than, miss };
        let Some(last) = last else { return looked(exchange, target.key.clone(), None, made, Forward::UriMiss) };
        if self.shared.serving(&last.value, headers, target.is_own).is_some() {
            return looked(exchange, target.key.clone(), Some(last), made, Forward::Stale);
        }
        let variant = last
            .value
            .seen(&self.shared.config.rules)
            .and_then(|seen| if seen.spec.is_empty() { None } else { self.shared.variant(target, seen, headers) });
        let Some(key) = variant else { return looked(exchange, target.key.clone(), None, made, Forward::Miss) };
        let exchange = self.shared.exchange(&self.cache, key.clone(), &target.tags);
        let found = self.shared.find(&exchange).await;
        let made = found.as_ref().map_or(0, |found| found.made);
        let found = found.filter(|found| self.shared.serving(&found.value, headers, target.is_own).is_some());
        looked(exchange, key, found, made, Forward::VaryMiss)
    }

    /// What is to be done with what there is.
    fn step<R: Body>(&self, looked: &Looked) -> Step<R> {
        let config = &self.shared.config;
        let seen = looked.found.as_ref().and_then(|found| Some((found, found.value.seen(&config.rules)?)));
        let now = clock::now();
        let Some((found, seen)) = seen else {
            let wanted = |detail| Wanted { why: looked.miss, how: How::Anew, detail };
            if self.directives.only_if_cached {
                return Step::Answer(self.nothing(StatusCode::GATEWAY_TIMEOUT, "only_if_cached"));
            }
            if self.directives.no_store {
                return Step::Alone(Wanted { why: Forward::Bypass, ..wanted(Some("request_no_store")) });
            }
            let goes_alone = self.request.method == Method::HEAD || self.passes(looked);
            return if goes_alone { Step::Alone(wanted(None)) } else { Step::Fetch(wanted(None)) };
        };
        let served = |detail| answer::of_stored(config, &self.request, &found.value, seen, now, Handled::Hit, detail);
        let fetch = |why, how| {
            if self.directives.only_if_cached {
                return Step::Answer(self.nothing(StatusCode::GATEWAY_TIMEOUT, "only_if_cached"));
            }
            Step::Fetch(Wanted { why, how, detail: None })
        };
        let alone = |detail| Step::Alone(Wanted { why: Forward::Bypass, how: How::Anew, detail: Some(detail) });
        let given = |detail, step: fn(Response<CacheBody<R>>) -> Step<R>| match served(detail) {
            Ok(response) => step(response),
            Err(Short::Condition) => alone("condition"),
            Err(Short::Gap(gap)) if self.can_complete(seen, gap) => fetch(Forward::Partial, How::Completes(gap)),
            Err(Short::Gap(_) | Short::Nothing) => fetch(Forward::Partial, How::Anew),
        };
        match reuse::reuse(&seen.life, &self.directives, now, &config.rules) {
            Reuse::Fresh { .. } => given(None, Step::Answer),
            Reuse::Stale { why, .. } => given(
                Some(why.as_str()),
                match why {
                    Stale::WhileRevalidate => Step::Refresh,
                    Stale::MaxStale => Step::Answer,
                },
            ),
            Reuse::Bypass => alone("request_no_store"),
            Reuse::OnlyIfCached => Step::Answer(self.nothing(StatusCode::GATEWAY_TIMEOUT, "only_if_cached")),
            // A part is validated only where it would do (RFC 9111 section 4.3.2).
            Reuse::Validate(why) => {
                let how = if served(None).is_ok() { How::Validates } else { How::Anew };
                let wanted = Wanted { why: why.into(), how, detail: Some(why.as_str()) };
                if self.passes(looked) { Step::Alone(wanted) } else { Step::Fetch(wanted) }
            }
        }
    }

    /// Whether what is stored in part can be completed: by a validator that shows that the rest is of the same, and if all of it
    /// may be stored.
    fn can_complete(&self, seen: &Seen, gap: Gap) -> bool {
        let total = seen.partial.as_ref().and_then(Partial::total);
        let has_room = total.is_some_and(|total| total <= self.shared.config.max_body as u64);
        has_room && range::completing(&self.request.headers, gap, &seen.validators).is_some()
    }

    /// Where it is remembered that requests do not wait for one another: those to somebody may not be where those to nobody are.
    fn pass_key(&self, key: &Key) -> u128 {
        key.local_hash() ^ u128::from(is_of_somebody(&self.request.headers))
    }

    fn passes(&self, looked: &Looked) -> bool {
        self.shared.passes.holds(self.pass_key(&looked.key))
    }

    fn fetch(&self, looked: &Looked, how: How, stores: bool, teller: Teller) -> Fetch {
        let keep = Keep {
            shared: Arc::clone(&self.shared),
            key: looked.key.clone(),
            pass_key: self.pass_key(&looked.key),
            is_own: self.target.is_own,
        };
        Fetch { keep, old: looked.found.as_ref().map(|found| Arc::clone(&found.value)), how, stores, teller }
    }

    /// Asks the origin, or waits for another that does.
    async fn wait<S, B, R>(&self, slot: &Slot<(S, Request<B>)>, looked: &Looked, wanted: Wanted) -> Waited<R, S::Error>
    where
        S: Service<Request<B>, Response = Response<R>> + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Send + 'static,
        B: Send + 'static,
        R: Body + Send + 'static,
        R::Data: Send,
        R::Error: Send,
    {
        let Wanted { why, how, detail } = wanted;
        let (told, head) = oneshot::channel();
        // Boxed: it would be moved whole, from here into the load and on into its task.
        let teller = Teller::default();
        let fetch = Box::pin(self.fetch(looked, how, true, teller.clone()).run(slot.clone(), told));
        let (hears, live) = live::hearing::<R>();
        let (share, talk) = (Some(Unstored::share()), Talk { teller, hears });
        // Boxed too: it stands several times in the futures around it otherwise, and each of these is moved whole.
        let loading = Box::pin(looked.exchange.load_talking(looked.than, Unstored::passes, share, talk, fetch));
        let overheard = async {
            let followed = live.await.ok().and_then(|live| self.follow(&live, wanted));
            match followed {
                Some(followed) => {
                    if matches!(followed, Waited::Answer(_)) {
                        looked.exchange.overheard();
                    }
                    followed
                }
                // It waits for what is stored in the end.
                None => pending().await,
            }
        };
        let loaded = match slot.wait(head, overheard, loading, self.shared.config.collapse).await {
            Came::Told(head) => return Waited::Answer(self.told(head, wanted)),
            Came::Overheard(followed) => return followed,
            Came::Late => {
                // Nor is it to hold up those who come while it hangs.
                self.shared.passes.add(self.pass_key(&looked.key), Why::Hangs, self.shared.config.collapse);
                return Waited::Alone;
            }
            Came::Loaded(loaded) => loaded,
        };
        let own = !slot.is_there();
        match loaded {
            // What was got for another, and has to be got for each anew.
            Ok(met) if !own && !self.is_reusable(&met.value) => Waited::Alone,
            Ok(met) => {
                let status = own.then_some(how.status());
                self.served(&met.value, Handled::Forwarded { why, status, stored: true, collapsed: !own }, detail)
            }
            Err(Unstored::StandIn(status)) => match &looked.found {
                // Whoever asked was allowed it.
                Some(found) if own || self.bears(&found.value, status) => {
                    let handled = stood_in(why, status, !own);
                    self.served(&found.value, handled, Some("stale_if_error"))
                }
                Some(_) => Waited::Alone,
                None => Waited::Again,
            },
            Err(Unstored::Mismatched) => {
                // In force here at once; elsewhere it is validated in its turn.
                let _acknowledged = self.cache.evict(&looked.key).await;
                Waited::Again
            }
            Err(Unstored::Passed | Unstored::Failed) => Waited::Again,
        }
    }

    /// What a request that waits makes of an answer to another whose body is still coming; nothing if it is to wait on.
    fn follow<R: Body, E>(&self, live: &Live<R>, wanted: Wanted) -> Option<Waited<R, E>> {
        let seen = self.shared.serving(&live.head, &self.request.headers, self.target.is_own);
        let Some(seen) = seen.filter(|_| self.is_reusable(&live.head)) else { return Some(Waited::Alone) };
        let reader =
            answer::is_for_a_whole(&self.request).then(|| live.body.follow(self.shared.config.collapse)).flatten()?;
        let body = CacheBody::recorded(reader, SizeHint::with_exact(live.body.length()));
        let handled = Handled::Forwarded { why: wanted.why, status: None, stored: true, collapsed: true };
        let response = answer::of_live(&self.shared.config, seen, body, clock::now(), handled, wanted.detail);
        Some(Waited::Answer(Ok(response)))
    }

    /// Whether what is stored may stand in here for what the origin failed to give to another, by what this request says.
    fn bears(&self, stored: &Stored, failed: Option<StatusCode>) -> bool {
        let rules = &self.shared.config.rules;
        let instead = if failed.is_some() { reuse::instead_of_failure } else { reuse::instead_of_nothing };
        stored.seen(rules).is_some_and(|seen| instead(&seen.life, &self.directives, clock::now(), rules).is_some())
    }

    /// The answer out of what was stored for another, or by a validation.
    fn served<R: Body, E>(&self, stored: &Stored, handled: Handled, detail: Option<&'static str>) -> Waited<R, E> {
        let seen = self.shared.serving(stored, &self.request.headers, self.target.is_own);
        let Some(seen) = seen else { return Waited::Again };
        let response =
            answer::of_stored(&self.shared.config, &self.request, stored, seen, clock::now(), handled, detail);
        response.map_or(Waited::Again, |response| Waited::Answer(Ok(response)))
    }

    /// The answer of the origin itself.
    fn told<R: Body, E>(&self, head: Head<R, E>, wanted: Wanted) -> Result<Response<CacheBody<R>>, E> {
        let Wanted { why, how, detail } = wanted;
        let (mut response, stored, detail) = match head {
            Head::Failed(error) => return Err(error),
            Head::Passed(response, detail) => (response, false, Some(detail)),
            Head::Recorded(response) => (response, true, detail),
            Head::Held(value, detail) => {
                let config = &self.shared.config;
                let handled = Handled::Forwarded { why, status: Some(how.status()), stored: false, collapsed: false };
                // It is this request's answer, whatever it says of others.
                let response = value.seen(&config.rules).and_then(|seen| {
                    answer::of_stored(config, &self.request, &value, seen, clock::now(), handled, Some(detail)).ok()
                });
                return Ok(response.unwrap_or_else(|| self.nothing(StatusCode::BAD_GATEWAY, "mismatched")));
            }
        };
        let handled = Handled::Forwarded { why, status: None, stored, collapsed: false };
        answer::tell(&self.shared.config, response.headers_mut(), handled, None, detail);
        Ok(response)
    }

    /// Whether what was stored for another may be served without asking the origin about it.
    fn is_reusable(&self, stored: &Stored) -> bool {
        let rules = &self.shared.config.rules;
        let seen = self.shared.serving(stored, &self.request.headers, self.target.is_own);
        // What is not for this request at all is for the next round.
        seen.is_none_or(|seen| {
            let reuse = reuse::reuse(&seen.life, &self.directives, clock::now(), rules);
            matches!(reuse, Reuse::Fresh { .. } | Reuse::Stale { .. })
        })
    }

    /// Goes to the origin by itself, with nothing stored of it; nothing if the request is gone.
    async fn alone<S, B, R>(
        &self,
        slot: &Slot<(S, Request<B>)>,
        looked: &Looked,
        wanted: Wanted,
    ) -> Option<Result<Response<CacheBody<R>>, S::Error>>
    where
        S: Service<Request<B>, Response = Response<R>>,
        R: Body + Send + 'static,
        R::Error: Send,
    {
        if !slot.is_there() {
            return None;
        }
        let Wanted { why, how, detail } = wanted;
        // What completes another answer is of no use without it.
        let how = if matches!(how, How::Completes(_)) { How::Anew } else { how };
        let (told, mut head) = oneshot::channel();
        let loaded = Box::pin(self.fetch(looked, how, false, Teller::default()).run(slot.clone(), told)).await;
        if let Ok(head) = head.try_recv() {
            return Some(self.told(head, wanted));
        }
        let served = match loaded {
            Ok(updated) => {
                let status = Some(how.status());
                self.served(&updated, Handled::Forwarded { why, status, stored: false, collapsed: false }, detail)
            }
            Err(Unstored::StandIn(status)) => {
                let handled = stood_in(why, status, false);
                self.served(&looked.found.as_ref()?.value, handled, Some("stale_if_error"))
            }
            Err(_) => return None,
        };
        if let Waited::Answer(answer) = served { Some(answer) } else { None }
    }

    /// An answer of the cache's own.
    fn nothing<R: Body>(&self, status: StatusCode, detail: &'static str) -> Response<CacheBody<R>> {
        let mut response = answer::bare(status, http::HeaderMap::new());
        answer::tell(&self.shared.config, response.headers_mut(), Handled::Refused, None, Some(detail));
        response
    }
}

/// What was done where something stands in for the origin.
fn stood_in(why: Forward, failed: Option<StatusCode>, collapsed: bool) -> Handled {
    Handled::Forwarded { why, status: failed.or(Some(StatusCode::BAD_GATEWAY)), stored: false, collapsed }
}
