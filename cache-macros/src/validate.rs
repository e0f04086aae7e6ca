//! Every rule, and every message about a function.
//!
//! [`spec`] answers all that `expand` asks, or reports each mistake once, at the user's own token.

mod batch;
mod writers;

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{Expr, FnArg, Ident, Lifetime, LitStr, ReceiverKind};

use crate::args::{Args, Keyed, Kind};
use crate::boxed::Boxed;
use crate::diagnostics::{Diagnostics, did_you_mean, spelled};
use crate::item::{self, Generic, Item, Parameter};
use crate::names::Names;
use crate::running::{self, Function};
use crate::spec::{Batch, CacheFrom, KeySpec, Naming, Overrides, Phase, Put, Read, Running, Spec, Work, Write};
use crate::template::{self, Of, Template};
use crate::{duration, krate};

/// As many tags as an entry may have.
const TAGS_MAX: usize = 16;

/// Checks an attribute on a function.
pub(crate) fn spec(
    kind: Kind,
    mut args: Args,
    mut item: Item,
    mut diagnostics: Diagnostics,
) -> Result<Spec, syn::Error> {
    let krate = match krate::find(args.krate.as_ref().map(|krate| &krate.value)) {
        Ok(krate) => krate,
        Err(error) => {
            diagnostics.add(error);
            TokenStream::new()
        }
    };
    check_signature(kind, &item, &mut diagnostics);
    let (parameters, generics) = (item.parameters(), item.generics());
    let is_batch = args.has("batch") || args.refused_batch;
    let each = args.batch.take();
    let batch = each.as_ref().and_then(|each| batch::of(&each.value, &args, &item, &parameters, &mut diagnostics));
    let names = Names::new(&item, &parameters, &generics);
    let names = match &batch {
        Some(batch) => names.of_each(&batch.element, &batch.all),
        None => names,
    };
    let mut check =
        Check { kind, krate, names, batch: batch.as_ref(), parameters: &parameters, generics: &generics, diagnostics };
    check.no_argument_named_it();
    let running = if is_batch {
        Running::Inline
    } else {
        let function = Function { item: &item, parameters: &parameters, generics: &generics, krate: &check.krate };
        running::of(&function, &args, &mut check.diagnostics)
    };
    check.when_before_the_result(&args);
    check.result_after_the_arguments(&args);
    let work = match kind {
        // Without a parameter to take elements from, all else would be said of names that are not there.
        _ if is_batch && check.batch.is_none() => None,
        Kind::Cacheable => check.read(&mut args).map(|read| Work::Read(Box::new(read))),
        Kind::Put | Kind::Evict => {
            check.no_open_transaction(&args);
            check.refuse_beside_unit(&args);
            check.refuse_beside_behind(&args);
            match args.behind.take() {
                Some(behind) => check.behind(&mut args, behind).map(|behind| Work::Behind(Box::new(behind))),
                None => check.write(&mut args).map(|write| Work::Write(Box::new(write))),
            }
        }
    };
    let cache = match args.cache {
        Some(cache) => CacheFrom::Expression(cache.value),
        None if item.receiver().is_some() => CacheFrom::Field,
        None => CacheFrom::Installed,
    };
    let output = item.output().map_or_else(|| quote!(()), ToTokens::to_token_stream);
    let Check { krate, diagnostics, .. } = check;
    let mut work = diagnostics.finish(work)?;
    if let Work::Read(read) = &mut work {
        if batch.is_some() && item.boxed.is_some() {
            item.body = item.body.map(|body| batch::borrowing(&body, &parameters));
        }
        read.batch = batch;
    }
    Ok(Spec { krate, item, output, running, cache, when: args.when.map(|when| when.value), work })
}

/// What is wrong with the function, whatever the options are.
fn check_signature(kind: Kind, item: &Item, diagnostics: &mut Diagnostics) {
    let (signature, attribute) = (&item.signature, kind.written());
    if let Some(constness) = &signature.constness {
        diagnostics.at(constness, format!("a `const fn` can't wait for a cache; {attribute} goes on an `async fn`"));
        return;
    }
    if signature.asyncness.is_none() && item.boxed.is_none() {
        let message = format!(
            "{attribute} goes on an `async fn`, or on a function that returns `Pin<Box<dyn Future<Output = ..>>>`: a cache may have to \
             be waited for; write `async fn`"
        );
        diagnostics.at(signature.fn_token, message);
        return;
    }
    if item.body.is_none() {
        let message =
            format!("{attribute} needs a body to wrap, and this only declares a method; put it on each implementation");
        diagnostics.at(&signature.ident, message);
    }
    check_output(kind, item, diagnostics);
    if let Some(boxed) = &item.boxed {
        check_lives(item, boxed, diagnostics);
    }
}

fn check_output(kind: Kind, item: &Item, diagnostics: &mut Diagnostics) {
    let Some(output) = item.output() else {
        match kind {
            Kind::Cacheable => diagnostics.at(
                &item.signature.ident,
                "this returns nothing, so there is nothing to cache; give it a result, or take the attribute off",
            ),
            Kind::Put => diagnostics.at(
                &item.signature.ident,
                "a put stores what the body returned, and this returns nothing; return the new value, or use `#[cache_evict]`",
            ),
            Kind::Evict => {}
        }
        return;
    };
    if let Some(word) = first_word(output, "impl") {
        let message = "a result of type `impl Trait` can't be named, and the cache must name it; return the type itself, or `Box<dyn ..>`";
        diagnostics.at(word, message);
    } else if kind != Kind::Evict && item::has_reference(output) {
        let message = "a cached value outlives the call, so it can't hold a reference or a lifetime; return what it points to: `String` or \
                       `Arc<str>` for `&str`, `T` or `Arc<T>` for `&T`";
        diagnostics.at(output, message);
    }
}

/// A future by hand must live as long as what it borrows: the key is built inside it.
fn check_lives(item: &Item, boxed: &Boxed, diagnostics: &mut Diagnostics) {
    let message = |name: &str| {
        format!(
            "the cache is asked when the future is first polled, and `{name}` need not live that long; let the future borrow it: \
             `fn f<'a>(&'a self, id: &'a str) -> Pin<Box<dyn Future<Output = ..> + Send + 'a>>`"
        )
    };
    let receiver = item.signature.receiver();
    let lends = receiver.is_some_and(|receiver| match &receiver.kind {
        ReceiverKind::Reference(..) => true,
        ReceiverKind::Typed(_, ty) => item::has_reference(ty),
        _ => false,
    });
    let is_unnamed = |bound: &Lifetime| bound.ident == "_";
    for input in &item.signature.inputs {
        let (tokens, name) = match input {
            FnArg::Receiver(receiver) => (receiver.to_token_stream(), "self".to_owned()),
            FnArg::Typed(typed) => (typed.ty.to_token_stream(), spelled(&typed.pat)),
        };
        let is_short = match &boxed.bound {
            None => item::has_reference(&tokens),
            Some(bound) if is_unnamed(bound) => name != "self" && lends && item::has_unnamed_reference(&tokens),
            Some(_) => item::has_unnamed_reference(&tokens),
        };
        if is_short {
            diagnostics.at(input, message(&name));
        }
    }
}

fn first_word(tokens: &impl ToTokens, wanted: &str) -> Option<Ident> {
    fn find(tokens: TokenStream, wanted: &str) -> Option<Ident> {
        tokens.into_iter().find_map(|token| match token {
            TokenTree::Ident(word) if word == wanted => Some(word),
            TokenTree::Group(group) => find(group.stream(), wanted),
            _ => None,
        })
    }
    find(tokens.to_token_stream(), wanted)
}

/// Where an expression names a variable; nothing if there is a closure in it, which may call its own argument so.
fn first_value(expression: &Expr, wanted: &str) -> Option<Ident> {
    fn find(tokens: TokenStream, wanted: &str) -> Option<Ident> {
        let mut after_dot = false;
        tokens.into_iter().find_map(|token| {
            let found = match &token {
                TokenTree::Ident(word) if word == wanted && !after_dot => Some(word.clone()),
                TokenTree::Group(group) => find(group.stream(), wanted),
                _ => None,
            };
            after_dot = matches!(&token, TokenTree::Punct(dot) if dot.as_char() == '.');
            found
        })
    }
    let tokens = expression.to_token_stream();
    if tokens.to_string().replace("||", "").contains('|') { None } else { find(tokens, wanted) }
}

/// A check under way.
struct Check<'a> {
    kind: Kind,
    krate: TokenStream,
    names: Names<'a>,
    batch: Option<&'a Batch>,
    parameters: &'a [Parameter],
    generics: &'a [Generic],
    diagnostics: Diagnostics,
}

// === impl Check: options ===

impl Check<'_> {
    fn read(&mut self, args: &mut Args) -> Option<Read> {
        let tags = self.tags(args.tags.take());
        let name = self.naming(args);
        let overrides = self.overrides(args);
        Some(Read {
            batch: None,
            name: name?,
            tags,
            overrides,
            unless: value(args.unless.take()),
            ttl_with: value(args.ttl_with.take()),
            cache_err: args.cache_err.take().map(|cache_err| (cache_err.name, cache_err.value)),
            share_err: value(args.share_err.take()),
            rev: value(args.rev.take()),
        })
    }

    fn write(&mut self, args: &mut Args) -> Option<Write> {
        let tags = self.tags(args.tags.take());
        let keys = self.keys(args.key.take());
        let overrides = self.overrides(args);
        let scopes = self.scopes(args, &keys);
        let phase = self.phase(args.phase.take());
        let keep_on_error = self.keep_on_error(args.on_error.take());
        let softly = args.softly.take().is_some();
        let unit = value(args.unit.take());
        let mut write =
            Write { put: None, evict: Vec::new(), evict_tags: Vec::new(), scopes, phase, softly, keep_on_error, unit };
        if self.kind == Kind::Evict {
            if !args.has("key") && !args.has("tags") && !args.has("scope") {
                self.diagnostics.here(
                    Span::call_site(),
                    "this evicts nothing; name an entry (`key = \"product:{id}\"`), tags (`tags = [\"catalogue\"]`) or a scope (`scope = \
                     \"product\"`)",
                );
            }
            // With `scope` alone, the key only says which.
            let only_scope = args.scope.as_ref().is_some_and(|scope| scope.value.is_none());
            write.evict.extend(keys.into_iter().filter(|_| !only_scope));
            write.evict_tags = tags;
            self.nothing_known_before(&write);
            return Some(write);
        }
        self.needs_a_key(args);
        if keys.is_empty() {
            return None;
        }
        self.version_of_what_is_stored(args, &keys);
        let (unless, rev, version) = (args.unless.take(), args.rev.take(), args.version.take());
        write.put =
            Some(Put { keys, tags, overrides, unless: value(unless), rev: value(rev), version: value(version) });
        Some(write)
    }

    fn nothing_known_before(&mut self, write: &Write) {
        if write.phase != Phase::Before {
            return;
        }
        for later in write.evict.iter().chain(&write.evict_tags).filter(|key| key.needs_result()) {
            let message = "`it` is the result, which `phase = before` does not wait for; evict `after` or `both`";
            self.diagnostics.at(&later.template.literal, message);
        }
    }

    fn overrides(&mut self, args: &mut Args) -> Overrides {
        let hard = args.hard.as_ref().map(|hard| hard.name.clone());
        let warm_up = args.warm_up.take().and_then(|Keyed { name, value }| Some(Keyed { name, value: value? }));
        let mut duration = |value: Option<Keyed<Expr>>| match duration::tokens(&self.krate, &value?.value) {
            Ok(tokens) => Some(tokens),
            Err(error) => {
                self.diagnostics.add(error);
                None
            }
        };
        Overrides {
            ttl: duration(args.ttl.take()),
            l1: duration(args.l1.take()),
            negative: duration(args.negative.take()),
            stale: duration(args.stale.take()),
            fail_safe: duration(args.fail_safe.take()),
            soft: duration(args.soft.take()),
            hard: hard.zip(duration(args.hard.take())),
            warm_up: duration(warm_up),
        }
    }

    fn phase(&mut self, phase: Option<Keyed<Ident>>) -> Phase {
        let Some(Keyed { value: word, .. }) = phase else { return Phase::After };
        match word.to_string().as_str() {
            "after" => Phase::After,
            "both" => Phase::Both,
            "before" if self.kind == Kind::Evict => Phase::Before,
            "before" => {
                let message =
                    "a put stores what the body returned, which is not known before it; write `after` or `both`";
                self.diagnostics.at(&word, message);
                Phase::After
            }
            other => {
                let meant = did_you_mean(other, ["after", "before", "both"]);
                self.diagnostics.at(&word, format!("`phase` is `after`, `before` or `both`{meant}"));
                Phase::After
            }
        }
    }

    fn keep_on_error(&mut self, on_error: Option<Keyed<Ident>>) -> bool {
        let Some(Keyed { value: word, .. }) = on_error else { return false };
        if word != "keep" && word != "evict" {
            let meant = did_you_mean(&word.to_string(), ["evict", "keep"]);
            self.diagnostics.at(&word, format!("`on_error` is `evict` or `keep`{meant}"));
        }
        word == "keep"
    }

    fn scopes(&mut self, args: &Args, keys: &[KeySpec]) -> Vec<String> {
        let Some(scope) = &args.scope else { return Vec::new() };
        match &scope.value {
            Some(named) => {
                let text = named.value();
                if text.contains('{') {
                    self.diagnostics.at(named, "a scope is a literal head without arguments, like `product` or `product:stock`; to evict one entry, use `key`");
                    return Vec::new();
                }
                for segment in text.split(':') {
                    if let Err(message) = template::check_literal(segment) {
                        self.diagnostics.at(
                            named,
                            format!("{message}; a scope is a literal head, like `product` or `product:stock`"),
                        );
                        return Vec::new();
                    }
                }
                vec![text]
            }
            None if args.has("key") => keys.iter().map(|key| key.template.head()).collect(),
            None => {
                let message =
                    "`scope` alone means the scope of `key`, and there is no `key`; write `scope = \"product\"`";
                self.diagnostics.at(&scope.name, message);
                Vec::new()
            }
        }
    }

    /// The entries that a writer names, each once.
    fn keys(&mut self, keys: Option<Keyed<Vec<LitStr>>>) -> Vec<KeySpec> {
        let keys = keys.map(|keys| keys.value).unwrap_or_default();
        let mut out = Vec::new();
        for (index, key) in keys.iter().enumerate() {
            if keys[..index].iter().any(|other| other.value() == key.value()) {
                self.diagnostics.at(key, format!("the key `{}` is named twice; keep one", key.value()));
            } else {
                out.extend(self.template(key, Of::Key, true));
            }
        }
        out
    }

    fn tags(&mut self, tags: Option<Keyed<Vec<LitStr>>>) -> Vec<KeySpec> {
        let Some(Keyed { name, value: tags }) = tags else { return Vec::new() };
        if tags.len() > TAGS_MAX {
            let message = format!(
                "an entry has at most {TAGS_MAX} tags, and these are {}: every hit looks at each of them",
                tags.len()
            );
            self.diagnostics.at(&name, message);
            return Vec::new();
        }
        let mut seen = Vec::new();
        let mut out = Vec::new();
        for tag in &tags {
            if seen.contains(&tag.value()) {
                self.diagnostics.at(tag, format!("the tag `{}` is named twice; keep one", tag.value()));
            } else {
                seen.push(tag.value());
                out.extend(self.template(tag, Of::Tag, true));
            }
        }
        out
    }

    fn template(&mut self, literal: &LitStr, of: Of, result_known: bool) -> Option<KeySpec> {
        let resolved =
            Template::parse(literal, of).and_then(|template| self.names.resolve(&self.krate, template, result_known));
        resolved.map_err(|error| self.diagnostics.add(error)).ok()
    }
}

// === impl Check: what the key covers ===

impl Check<'_> {
    /// The entry's name, and that nothing was forgotten in it.
    fn naming(&mut self, args: &mut Args) -> Option<Naming> {
        let skipped = args.skip.take().map(|skip| skip.value).unwrap_or_default();
        self.check_skipped(&skipped, args.has("key"));
        let skips = |ident: &Ident| skipped.iter().any(|skipped| skipped == ident);
        let Some(key) = args.key.take().and_then(|key| key.value.into_iter().next()) else {
            if args.has("key") {
                return None;
            }
            let all = self.parameters.iter().flat_map(|parameter| &parameter.bindings);
            return Some(Naming::Private(all.filter(|binding| !skips(binding)).cloned().collect()));
        };
        let key = self.template(&key, Of::Key, false)?;
        let whole =
            |ident: &Ident| key.template.arguments().any(|argument| argument.is_whole() && *ident == argument.root);
        let part = |ident: &Ident| key.template.arguments().find(|argument| *ident == argument.root);
        for binding in self.names.bindings() {
            match (whole(binding), skips(binding), part(binding)) {
                (true, false, _) | (false, true, _) => {}
                (false, false, in_part) if self.is_element(binding) => {
                    self.element_not_in_the_key(binding, in_part.is_some());
                }
                (true, true, _) => {
                    self.diagnostics.at(binding, format!("`{binding}` is in the key and in `skip(..)`; take it out of one"));
                }
                (false, false, Some(_)) => self.diagnostics.at(
                    binding,
                    format!("only a part of `{binding}` is in the key: calls that differ in the rest would share one entry; add `{{{binding}}}` to the key, or `skip({binding})` if that part decides"),
                ),
                (false, false, None) => self.diagnostics.at(
                    binding,
                    format!("`{binding}` is not in the key: calls that differ in it would share one entry; add `{{{binding}}}` to the key, or `skip({binding})` if the result does not depend on it"),
                ),
            }
        }
        let fixes = |generic: &Ident| {
            let of_type = self.parameters.iter().filter(|parameter| item::names(&parameter.ty, generic));
            let mut bindings = of_type.flat_map(|parameter| &parameter.bindings);
            bindings.any(|binding| {
                whole(self.batch.filter(|batch| batch.all == *binding).map_or(binding, |batch| &batch.element))
            })
        };
        for Generic { ident, .. } in self.generics {
            if !whole(ident) && !skips(ident) && !fixes(ident) {
                self.diagnostics.at(ident, format!("no argument in the key tells which `{ident}` it is, so calls with different ones would share one entry; add `{{{ident}}}` to the key, or `skip({ident})` if the result does not depend on it"));
            }
        }
        Some(Naming::Template(key))
    }

    fn check_skipped(&mut self, skipped: &[Ident], has_key: bool) {
        for (index, ident) in skipped.iter().enumerate() {
            let is_generic = self.generics.iter().any(|generic| generic.ident == *ident);
            let message = if skipped[..index].contains(ident) {
                format!("`{ident}` is skipped twice; keep one")
            } else if let Some(message) = self.skips_a_batch(ident) {
                message
            } else if ident == "self" {
                "`self` is not in the key unless a template names it; take it out of `skip`".to_owned()
            } else if is_generic && !has_key {
                format!("without `key`, every type parameter is part of the key; give a `key` to skip `{ident}`")
            } else if is_generic || self.names.is_binding(ident) {
                continue;
            } else {
                let meant = did_you_mean(&ident.to_string(), self.names.skippable().iter().map(String::as_str));
                format!("there is no argument `{ident}` to skip{meant}")
            };
            self.diagnostics.at(ident, message);
        }
    }

    fn when_before_the_result(&mut self, args: &Args) {
        let Some(when) = &args.when else { return };
        if let Some(it) = first_value(&when.value, "it") {
            let message = "`it` is the result, and `when` decides before there is one, over the arguments; for the result there is `unless`";
            self.diagnostics.at(it, message);
        }
        self.when_before_the_elements(&when.value);
    }

    fn result_after_the_arguments(&mut self, args: &Args) {
        let arguments: Vec<&Ident> = self.parameters.iter().flat_map(|parameter| &parameter.bindings).collect();
        for Keyed { name, value } in args.unless.iter().chain(&args.version) {
            let named = arguments.iter().copied().chain(self.batch.map(|batch| &batch.element)).find_map(|binding| {
                let binding = binding.to_string();
                first_value(value, &binding).filter(|_| binding != "it")
            });
            let Some(named) = named.or_else(|| first_value(value, "self")) else { continue };
            let message = if name == "unless" {
                format!(
                    "`unless` goes with the load, which may outlive this call, so it sees the result only, as `it`; for `{named}` there is `when`"
                )
            } else {
                format!(
                    "`version` is the version of the row that the body returned, so it sees the result only, as `it`; return `{named}` with it"
                )
            };
            self.diagnostics.at(named, message);
        }
    }

    fn no_argument_named_it(&mut self) {
        for binding in self.parameters.iter().flat_map(|parameter| &parameter.bindings) {
            if binding == "it" {
                self.diagnostics.at(binding, "in this attribute `it` is the result; give the argument another name");
            }
        }
    }
}

fn value<T>(keyed: Option<Keyed<T>>) -> Option<T> {
    keyed.map(|keyed| keyed.value)
}
