//! A function that returns a boxed future: what `#[async_trait]` makes of an `async fn` before we see it, or one by hand.
//!
//! It is taken apart into what an `async fn` has: the result, the body, and the arguments by the names that the user wrote.
//! Only the emission puts the box around again. So the cache is asked when the future is first polled, as in an `async fn`: a
//! future that is made now and awaited later does not answer with what was true when it was made.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::parse::Parser;
use syn::{
    AngleBracketedGenericArguments, GenericArgument, GenericParam, Lifetime, Pat, PathArguments, PathSegment,
    ReturnType, Signature, Type, TypeParamBound,
};

/// The box around a function's future.
pub(crate) struct Boxed {
    /// What the future gives.
    pub(crate) output: Type,
    pub(crate) is_send: bool,
    /// For how long it may borrow; `None` for nothing borrowed at all.
    pub(crate) bound: Option<Lifetime>,
    /// Lifetimes of the function itself that the body does not name: a reference with one is like one without.
    pub(crate) own: Vec<Ident>,
    /// Arguments that the body takes apart at its head.
    pub(crate) apart: Vec<Apart>,
}

/// `let Path(id) = { let __arg1 = __arg1; __arg1 };`
pub(crate) struct Apart {
    argument: Ident,
    pub(crate) pattern: Pat,
    pub(crate) statement: TokenStream,
}

// === impl Boxed ===

impl Boxed {
    /// Takes a function apart, if it returns a boxed future: the box, and the body that is left.
    pub(crate) fn of(signature: &Signature, body: Option<Group>) -> (Option<Boxed>, Option<Group>) {
        let ReturnType::Type(_, declared) = &signature.output else { return (None, body) };
        let Some((output, is_send, bound)) = future_of(declared) else { return (None, body) };
        if signature.asyncness.is_some() {
            return (None, body);
        }
        let own = signature.generics.params.iter().filter_map(|param| match param {
            GenericParam::Lifetime(param) => Some(param.lifetime.ident.clone()),
            _ => None,
        });
        let named = body.as_ref().map(Group::stream).unwrap_or_default();
        let own: Vec<_> = own.filter(|own| !names_lifetime(named.clone(), own)).collect();
        let mut apart = Vec::new();
        let body = body.map(|body| match block_of(&body) {
            Some(block) => {
                let mut left = Group::new(Delimiter::Brace, take_apart(block.stream(), &mut apart));
                left.set_span(block.span());
                left
            }
            None => {
                let future = Ident::new("__cache_future", Span::mixed_site());
                let declared = erased(declared.to_token_stream(), &|lifetime| own.contains(lifetime));
                let left = quote! {
                    #[allow(clippy::redundant_closure_call, reason = "generated: the body may return early")]
                    let #future = (move || -> #declared #body)();
                    #future.await
                };
                Group::new(Delimiter::Brace, left)
            }
        });
        (Some(Boxed { output, is_send, bound, own, apart }), body)
    }

    /// The pattern of an argument as the user wrote it; `None` for one that binds nothing.
    pub(crate) fn pattern(&self, pattern: &Pat) -> Option<Pat> {
        let Pat::Ident(name) = pattern else { return Some(pattern.clone()) };
        match self.apart.iter().find(|apart| apart.argument == name.ident) {
            Some(apart) => Some(apart.pattern.clone()),
            None if is_positional(&name.ident) => None,
            None => Some(pattern.clone()),
        }
    }

    /// A type without lifetimes of the function's own where it is, or holds in an `Option`, a reference.
    pub(crate) fn elided(&self, ty: &Type) -> Type {
        let mut ty = ty.clone();
        self.elide(&mut ty);
        ty
    }

    fn elide(&self, ty: &mut Type) {
        match ty {
            Type::Paren(inner) => self.elide(&mut inner.elem),
            Type::Group(inner) => self.elide(&mut inner.elem),
            Type::Reference(reference) if reference.lifetime.as_ref().is_some_and(|it| self.is_own(it)) => {
                reference.lifetime = None;
            }
            Type::Path(path) => {
                let last = path.path.segments.last_mut().filter(|last| last.ident == "Option");
                let Some(PathArguments::AngleBracketed(arguments)) = last.map(|last| &mut last.arguments) else {
                    return;
                };
                if let Some(GenericArgument::Type(inner @ Type::Reference(_))) = arguments.args.first_mut() {
                    self.elide(inner);
                }
            }
            _ => {}
        }
    }

    pub(crate) fn is_own(&self, lifetime: &Lifetime) -> bool {
        self.own.contains(&lifetime.ident)
    }
}

/// What is in a `Pin<Box<dyn Future<Output = R> + Send + 'a>>`, or a `BoxFuture<'a, R>`: the result, whether it is `Send`, and
/// the lifetime.
fn future_of(ty: &Type) -> Option<(Type, bool, Option<Lifetime>)> {
    let (last, arguments) = last_of(ty)?;
    if last.ident == "BoxFuture" || last.ident == "LocalBoxFuture" {
        let mut arguments = arguments.args.iter();
        return match (arguments.next(), arguments.next()) {
            (Some(GenericArgument::Lifetime(bound)), Some(GenericArgument::Type(output))) => {
                let bound = (bound.ident != "static").then(|| bound.clone());
                Some((output.clone(), last.ident == "BoxFuture", bound))
            }
            _ => None,
        };
    }
    let boxed = only_type(arguments).filter(|_| last.ident == "Pin")?;
    let (last, arguments) = last_of(boxed).filter(|(last, _)| last.ident == "Box")?;
    debug_assert!(last.ident == "Box");
    let Type::TraitObject(object) = bare(only_type(arguments)?) else { return None };
    let (mut output, mut is_send, mut lifetime) = (None, false, None);
    for bound in &object.bounds {
        match bound {
            TypeParamBound::Trait(bound) => {
                let last = bound.path.segments.last()?;
                is_send |= last.ident == "Send";
                output = output.or_else(|| output_of(last));
            }
            TypeParamBound::Lifetime(bound) if bound.ident != "static" => lifetime = Some(bound.clone()),
            _ => {}
        }
    }
    Some((output?, is_send, lifetime))
}

/// The `R` of a `Future<Output = R>`.
fn output_of(future: &PathSegment) -> Option<Type> {
    let PathArguments::AngleBracketed(arguments) = &future.arguments else { return None };
    arguments.args.iter().filter(|_| future.ident == "Future").find_map(|argument| match argument {
        GenericArgument::AssocType(output) if output.ident == "Output" => Some(output.ty.clone()),
        _ => None,
    })
}

fn last_of(ty: &Type) -> Option<(&PathSegment, &AngleBracketedGenericArguments)> {
    let Type::Path(path) = bare(ty) else { return None };
    let last = path.path.segments.last()?;
    match &last.arguments {
        PathArguments::AngleBracketed(arguments) => Some((last, arguments)),
        _ => None,
    }
}

fn only_type(arguments: &AngleBracketedGenericArguments) -> Option<&Type> {
    match (arguments.args.len(), arguments.args.first()?) {
        (1, GenericArgument::Type(ty)) => Some(ty),
        _ => None,
    }
}

fn bare(ty: &Type) -> &Type {
    match ty {
        Type::Paren(inner) => bare(&inner.elem),
        Type::Group(inner) => bare(&inner.elem),
        other => other,
    }
}

// === the body ===

/// The block of a body that is `Box::pin(async move { .. })` and nothing else.
fn block_of(body: &Group) -> Option<Group> {
    let tokens: Vec<_> = body.stream().into_iter().collect();
    let [path @ .., TokenTree::Group(arguments)] = &tokens[..] else { return None };
    let mut words = Vec::new();
    for token in path {
        match token {
            TokenTree::Ident(word) => words.push(word.to_string()),
            TokenTree::Punct(colon) if colon.as_char() == ':' => {}
            _ => return None,
        }
    }
    let is_pin = matches!(&words[..], [.., first, last] if first == "Box" && last == "pin");
    let mut arguments: Vec<_> = arguments.stream().into_iter().filter(|_| is_pin).collect();
    arguments.retain(|token| !matches!(token, TokenTree::Ident(word) if word == "move"));
    match &arguments[..] {
        [TokenTree::Ident(word), TokenTree::Group(block)]
            if word == "async" && block.delimiter() == Delimiter::Brace =>
        {
            Some(block.clone())
        }
        _ => None,
    }
}

/// Takes the statements out of a block that take an argument apart: its parts are in the key.
fn take_apart(block: TokenStream, apart: &mut Vec<Apart>) -> TokenStream {
    let mut left = Vec::<TokenTree>::new();
    let mut tokens = block.into_iter();
    while let Some(token) = tokens.next() {
        let is_let = matches!(&token, TokenTree::Ident(word) if word == "let");
        let in_condition = matches!(left.last(), Some(TokenTree::Ident(word)) if word == "if" || word == "while");
        left.push(token);
        if !is_let || in_condition {
            continue;
        }
        let start = left.len() - 1;
        for token in tokens.by_ref() {
            let is_end = matches!(&token, TokenTree::Punct(end) if end.as_char() == ';');
            left.push(token);
            if is_end {
                break;
            }
        }
        if let Some(found) = Apart::parse(&left[start..]) {
            left.truncate(start);
            apart.push(found);
        }
    }
    left.into_iter().collect()
}

// === impl Apart ===

impl Apart {
    fn parse(statement: &[TokenTree]) -> Option<Apart> {
        let [_, pattern @ .., TokenTree::Punct(_), TokenTree::Group(value), TokenTree::Punct(_)] = statement else {
            return None;
        };
        let value: Vec<_> = value.stream().into_iter().collect();
        let [_, TokenTree::Ident(first), _, _, _, TokenTree::Ident(argument)] = &value[..] else { return None };
        if first != argument || !is_positional(argument) {
            return None;
        }
        let pattern = Pat::parse_multi_with_leading_vert.parse2(pattern.iter().cloned().collect()).ok()?;
        Some(Apart { argument: argument.clone(), pattern, statement: statement.iter().cloned().collect() })
    }
}

/// `__arg1`, which `#[async_trait]` calls an argument whose pattern is no name.
fn is_positional(argument: &Ident) -> bool {
    let name = argument.to_string();
    name.strip_prefix("__arg").is_some_and(|number| number.parse::<usize>().is_ok())
}

// === lifetimes ===

/// Whether tokens name a lifetime.
fn names_lifetime(tokens: TokenStream, wanted: &Ident) -> bool {
    let mut after_tick = false;
    tokens.into_iter().any(|token| {
        let found = match &token {
            TokenTree::Ident(name) => after_tick && name == wanted,
            TokenTree::Group(group) => names_lifetime(group.stream(), wanted),
            _ => false,
        };
        after_tick = matches!(&token, TokenTree::Punct(tick) if tick.as_char() == '\'');
        found
    })
}

/// Tokens with `'_` for some lifetimes.
fn erased(tokens: TokenStream, which: &dyn Fn(&Ident) -> bool) -> TokenStream {
    let mut after_tick = false;
    let erase = |token| {
        let new = match token {
            TokenTree::Ident(name) if after_tick && which(&name) => TokenTree::Ident(Ident::new("_", name.span())),
            TokenTree::Group(old) => {
                let mut new = Group::new(old.delimiter(), erased(old.stream(), which));
                new.set_span(old.span());
                TokenTree::Group(new)
            }
            other => other,
        };
        after_tick = matches!(&new, TokenTree::Punct(tick) if tick.as_char() == '\'');
        new
    };
    tokens.into_iter().map(erase).collect()
}

/// Tokens as before `#[async_trait]` gave every lifetime a name.
pub(crate) fn as_written(tokens: TokenStream) -> TokenStream {
    erased(tokens, &|name| name.to_string().strip_prefix("life").is_some_and(|number| number.parse::<usize>().is_ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apart(function: &str) -> (Option<Boxed>, String) {
        let function: syn::ItemFn = syn::parse_str(function).unwrap();
        let body: Group = syn::parse2(function.block.to_token_stream()).unwrap();
        let (boxed, body) = Boxed::of(&function.sig, Some(body));
        (boxed, body.unwrap().to_string())
    }

    #[test]
    fn boxed_futures_are_told_by_spelling() {
        let told = |ty: &str| {
            let future = future_of(&syn::parse_str(ty).unwrap());
            future.map(|(output, is_send, bound)| {
                (output.to_token_stream().to_string(), is_send, bound.map(|bound| bound.ident.to_string()))
            })
        };
        let lent = |name: &str| Some(name.to_owned());
        assert_eq!(
            told(
                "::core::pin::Pin<Box<dyn ::core::future::Future<Output = Vec<u8>> + ::core::marker::Send + 'async_trait>>"
            ),
            Some(("Vec < u8 >".to_owned(), true, lent("async_trait")))
        );
        assert_eq!(told("Pin<Box<dyn Future<Output = u8> + '_>>"), Some(("u8".to_owned(), false, lent("_"))));
        assert_eq!(told("Pin<Box<(dyn Send + Future<Output = u8>)>>"), Some(("u8".to_owned(), true, None)));
        assert_eq!(told("futures::future::BoxFuture<'a, u8>"), Some(("u8".to_owned(), true, lent("a"))));
        assert_eq!(told("LocalBoxFuture<'static, u8>"), Some(("u8".to_owned(), false, None)));
        for other in
            ["Pin<Box<dyn Stream<Item = u8>>>", "Box<dyn Future<Output = u8>>", "Pin<&mut u8>", "BoxFuture<u8>"]
        {
            assert_eq!(told(other), None, "{other}");
        }
    }

    #[test]
    fn block_is_the_body_and_what_it_takes_apart_is_an_argument() {
        let (boxed, body) = apart(
            "fn f<'life0, 'async_trait>(&'life0 self, __arg1: Path<u64>, n: u8) -> Pin<Box<dyn Future<Output = u8> + Send + 'async_trait>> {
                Box::pin(async move {
                    if let ::core::option::Option::Some(__ret) = ::core::option::Option::None::<u8> { return __ret; }
                    let __self = self;
                    let Path(id) = { let __arg1 = __arg1; __arg1 };
                    let n = n;
                    let __ret: u8 = { let x = { let y = y; y }; x };
                    __ret
                })
            }",
        );
        let boxed = boxed.unwrap();
        assert!(
            body.contains("let __self = self ;") && body.contains("let y = y") && !body.contains("__arg1"),
            "{body}"
        );
        assert_eq!(boxed.apart.len(), 1);
        assert_eq!(boxed.pattern(&syn::parse_quote!(__arg1)), Some(syn::parse_quote!(Path(id))));
        assert_eq!(boxed.pattern(&syn::parse_quote!(__arg2)), None);
        assert_eq!(boxed.pattern(&syn::parse_quote!(n)), Some(syn::parse_quote!(n)));
    }

    #[test]
    fn lifetimes_of_the_function_count_as_elided_unless_the_body_names_them() {
        let lifetimes = |body: &str| {
            let (boxed, _) =
                apart(&format!("fn f<'a>(x: &'a str) -> Pin<Box<dyn Future<Output = u8> + 'a>> {{ {body} }}"));
            let boxed = boxed.unwrap();
            boxed.elided(&syn::parse_quote!(Option<&'a str>)).to_token_stream().to_string()
        };
        assert_eq!(lifetimes("Box::pin(async { 1 })"), "Option < & str >");
        assert_eq!(lifetimes("Box::pin(async { let y: &'a str = x; 1 })"), "Option < & 'a str >");
    }

    #[test]
    fn body_of_another_form_is_called() {
        let (_, body) =
            apart("fn f<'a>(x: &'a str) -> BoxFuture<'a, u8> { if x.is_empty() { return ready(1).boxed(); } g(x) }");
        assert!(body.contains("(move || -> BoxFuture < '_ , u8 > { if x"), "{body}");
    }
}
