//! The function under an attribute: its signature is read, its body stays tokens.

use proc_macro2::{Group, TokenStream, TokenTree};
use quote::ToTokens;
use syn::parse::{Parse, ParseStream};
use syn::{
    Attribute, FnArg, GenericArgument, GenericParam, Generics, Ident, Lifetime, Pat, PathArguments, ReceiverKind,
    ReturnType, Signature, Type, TypeParamBound, Visibility, WherePredicate,
};

use crate::boxed::Boxed;

/// A function, half read.
pub(crate) struct Item {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) signature: Signature,
    /// `None` for a method that a trait only declares.
    pub(crate) body: Option<Group>,
    /// It is no `async fn`, but returns a boxed future, whose block is the body.
    pub(crate) boxed: Option<Boxed>,
}

/// An argument other than `self`.
pub(crate) struct Parameter {
    pub(crate) bindings: Vec<Ident>,
    pub(crate) pattern: Pat,
    pub(crate) ty: Type,
    pub(crate) passing: Passing,
}

/// How an argument is handed over, as far as its spelling says.
#[derive(Clone)]
pub(crate) enum Passing {
    /// By value, and nothing in it is seen to be borrowed.
    Moved,
    /// `&T`: owned by `ToOwned`.
    Lent(Box<Type>),
    /// `Option<&T>`.
    LentOption,
    /// Borrowed in a way that can't be owned: `&mut T`, a lifetime, a reference inside a type.
    Borrowed,
}

/// A parameter of the function that stands for a type or a constant.
pub(crate) struct Generic {
    pub(crate) ident: Ident,
    pub(crate) is_const: bool,
    /// It says `'static`, as far as its spelling says.
    pub(crate) is_static: bool,
}

// === impl Item ===

impl Parse for Item {
    fn parse(input: ParseStream<'_>) -> syn::Result<Item> {
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        let signature = input.parse()?;
        let body = match input.parse()? {
            TokenTree::Group(body) => Some(body),
            _ => None,
        };
        let rest: TokenStream = input.parse()?;
        if let Some(odd) = rest.into_iter().next() {
            return Err(syn::Error::new_spanned(odd, "expected the end of the function"));
        }
        let (boxed, body) = Boxed::of(&signature, body);
        Ok(Item { attributes, visibility, signature, body, boxed })
    }
}

impl Item {
    pub(crate) fn parameters(&self) -> Vec<Parameter> {
        let generics = self.generics();
        let typed = self.signature.inputs.iter().filter_map(|input| match input {
            FnArg::Typed(typed) => Some(typed),
            FnArg::Receiver(_) => None,
        });
        typed
            .map(|typed| {
                let written = match &self.boxed {
                    Some(boxed) => boxed.pattern(&typed.pat),
                    None => Some((*typed.pat).clone()),
                };
                let mut bindings = Vec::new();
                if let Some(written) = &written {
                    bindings_of(written, &mut bindings);
                }
                let pattern = written.unwrap_or_else(|| (*typed.pat).clone());
                let ty = self.elided(&typed.ty);
                let passing = match passing(&ty, &generics) {
                    // A pattern would have to be taken apart twice, once for the key and once for the body.
                    Passing::Lent(_) | Passing::LentOption if !matches!(pattern, Pat::Ident(ref it) if is_plain(it)) => {
                        Passing::Borrowed
                    }
                    passing => passing,
                };
                Parameter { bindings, pattern, ty, passing }
            })
            .collect()
    }

    /// How `self` is handed over; `None` without one.
    pub(crate) fn receiver(&self) -> Option<Passing> {
        let receiver = self.signature.receiver()?;
        Some(match &receiver.kind {
            ReceiverKind::Value => Passing::Moved,
            ReceiverKind::Reference(_, lifetime, None) if lifetime.as_ref().is_none_or(|it| self.is_elided(it)) => {
                Passing::Lent(Box::new(syn::parse_quote!(Self)))
            }
            ReceiverKind::Typed(_, ty) => passing(&self.elided(ty), &self.generics()),
            _ => Passing::Borrowed,
        })
    }

    pub(crate) fn generics(&self) -> Vec<Generic> {
        let all = &self.signature.generics;
        let generic = |param: &GenericParam| match param {
            GenericParam::Type(param) => {
                let is_static = says_static(&param.bounds) || where_says_static(all, &param.ident);
                Some(Generic { ident: param.ident.clone(), is_const: false, is_static })
            }
            GenericParam::Const(param) => Some(Generic { ident: param.ident.clone(), is_const: true, is_static: true }),
            GenericParam::Lifetime(_) => None,
        };
        all.params.iter().filter_map(generic).collect()
    }

    /// Whether a lifetime is one that the user need not have named.
    fn is_elided(&self, lifetime: &Lifetime) -> bool {
        self.boxed.as_ref().is_some_and(|boxed| boxed.is_own(lifetime))
    }

    fn elided(&self, ty: &Type) -> Type {
        self.boxed.as_ref().map_or_else(|| ty.clone(), |boxed| boxed.elided(ty))
    }

    /// The declared result; `None` for `()` left out.
    pub(crate) fn output(&self) -> Option<&Type> {
        if let Some(boxed) = &self.boxed {
            // `#[async_trait]` has written it down.
            return Some(&boxed.output).filter(|output| !matches!(output, Type::Tuple(unit) if unit.elems.is_empty()));
        }
        match &self.signature.output {
            ReturnType::Type(_, ty) => Some(ty),
            ReturnType::Default => None,
        }
    }
}

fn is_plain(pattern: &syn::PatIdent) -> bool {
    pattern.by_ref.is_none() && pattern.subpat.is_none()
}

fn says_static<'a>(bounds: impl IntoIterator<Item = &'a TypeParamBound>) -> bool {
    bounds.into_iter().any(|bound| matches!(bound, TypeParamBound::Lifetime(lifetime) if lifetime.ident == "static"))
}

fn where_says_static(generics: &Generics, ident: &Ident) -> bool {
    generics.where_clause.iter().flat_map(|clause| &clause.predicates).any(|predicate| match predicate {
        WherePredicate::Type(predicate) => {
            matches!(&predicate.bounded_ty, Type::Path(path) if path.path.is_ident(ident))
                && says_static(&predicate.bounds)
        }
        _ => false,
    })
}

/// Every name that a pattern binds.
fn bindings_of(pattern: &Pat, out: &mut Vec<Ident>) {
    match pattern {
        Pat::Ident(one) => {
            out.push(one.ident.clone());
            one.subpat.iter().for_each(|(_, inner)| bindings_of(inner, out));
        }
        Pat::Tuple(tuple) => tuple.elems.iter().for_each(|inner| bindings_of(inner, out)),
        Pat::TupleStruct(tuple) => tuple.elems.iter().for_each(|inner| bindings_of(inner, out)),
        Pat::Struct(fields) => fields.fields.iter().for_each(|field| bindings_of(&field.pat, out)),
        Pat::Slice(slice) => slice.elems.iter().for_each(|inner| bindings_of(inner, out)),
        Pat::Reference(reference) => bindings_of(&reference.pat, out),
        Pat::Paren(inner) => bindings_of(&inner.pat, out),
        Pat::Type(typed) => bindings_of(&typed.pat, out),
        // Each alternative binds the same names.
        Pat::Or(or) => or.cases.iter().take(1).for_each(|inner| bindings_of(inner, out)),
        _ => {}
    }
}

/// What the spelling of a type says about how a value of it is handed over.
fn passing(ty: &Type, generics: &[Generic]) -> Passing {
    match ty {
        Type::Paren(inner) => passing(&inner.elem, generics),
        Type::Group(inner) => passing(&inner.elem, generics),
        Type::Reference(reference) if reference.lifetime.is_none() && reference.mutability.is_none() => {
            if borrows(&reference.elem, generics) {
                Passing::Borrowed
            } else {
                Passing::Lent(bare(reference.elem.clone()))
            }
        }
        _ if option_of_reference(ty).is_some_and(|inner| !borrows(inner, generics)) => Passing::LentOption,
        _ if borrows(ty, generics) => Passing::Borrowed,
        _ => Passing::Moved,
    }
}

/// Without the parentheses that `&(dyn A + B)` needs, and the type alone does not.
fn bare(ty: Box<Type>) -> Box<Type> {
    match *ty {
        Type::Paren(inner) => bare(inner.elem),
        _ => ty,
    }
}

/// The `T` of an `Option<&T>`, by spelling; by type it is told later.
fn option_of_reference(ty: &Type) -> Option<&Type> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == "Option")?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    match (arguments.args.len(), arguments.args.first()?) {
        (1, GenericArgument::Type(Type::Reference(inner)))
            if inner.lifetime.is_none() && inner.mutability.is_none() =>
        {
            Some(&inner.elem)
        }
        _ => None,
    }
}

/// Whether a type is seen to hold a borrow, or a parameter that may stand for one.
pub(crate) fn borrows(ty: &impl ToTokens, generics: &[Generic]) -> bool {
    let mut found = false;
    scan(ty.to_token_stream(), &mut |token| {
        found |= match token {
            Token::Reference | Token::Lifetime(_) => true,
            Token::Word(word) => {
                word == "impl" || generics.iter().any(|generic| !generic.is_static && generic.ident == *word)
            }
        };
    });
    found
}

/// Whether a type holds a reference or a lifetime other than `'static`.
pub(crate) fn has_reference(ty: &impl ToTokens) -> bool {
    let mut found = false;
    scan(ty.to_token_stream(), &mut |token| found |= matches!(token, Token::Reference | Token::Lifetime(_)));
    found
}

/// Whether a type holds a reference whose lifetime has no name.
pub(crate) fn has_unnamed_reference(ty: &impl ToTokens) -> bool {
    let mut found = false;
    scan(ty.to_token_stream(), &mut |token| {
        found |= match token {
            Token::Reference => true,
            Token::Lifetime(name) => *name == "_",
            Token::Word(_) => false,
        };
    });
    found
}

/// Whether a type names a parameter.
pub(crate) fn names(ty: &impl ToTokens, ident: &Ident) -> bool {
    let mut found = false;
    scan(ty.to_token_stream(), &mut |token| found |= matches!(token, Token::Word(word) if *word == *ident));
    found
}

enum Token<'a> {
    Reference,
    Lifetime(&'a Ident),
    Word(&'a Ident),
}

/// Goes over a type's tokens; `&'static` is no borrow, and what a function type takes is not held.
fn scan(tokens: TokenStream, see: &mut impl FnMut(Token<'_>)) {
    let mut tokens = tokens.into_iter().peekable();
    let mut after_function = false;
    while let Some(token) = tokens.next() {
        let function = is_function(&token);
        match token {
            TokenTree::Group(group) if !after_function => scan(group.stream(), see),
            // Its lifetime is looked at next.
            TokenTree::Punct(punct) if punct.as_char() == '&' && !is_tick(tokens.peek()) => see(Token::Reference),
            TokenTree::Punct(punct) if punct.as_char() == '\'' => {
                if let Some(TokenTree::Ident(name)) = tokens.next()
                    && name != "static"
                {
                    see(Token::Lifetime(&name));
                }
            }
            TokenTree::Ident(word) => see(Token::Word(&word)),
            _ => {}
        }
        after_function = function;
    }
}

/// Whether a type holds a `&mut`.
pub(crate) fn has_mut_reference(ty: &impl ToTokens) -> bool {
    fn scan(tokens: TokenStream) -> bool {
        let tokens: Vec<_> = tokens.into_iter().collect();
        tokens.iter().enumerate().any(|(index, token)| match token {
            TokenTree::Group(group) => !(index > 0 && is_function(&tokens[index - 1])) && scan(group.stream()),
            TokenTree::Punct(punct) if punct.as_char() == '&' => {
                let next = tokens.get(index + if is_tick(tokens.get(index + 1)) { 3 } else { 1 });
                matches!(next, Some(TokenTree::Ident(word)) if word == "mut")
            }
            _ => false,
        })
    }
    scan(ty.to_token_stream())
}

/// The beginning of a lifetime.
fn is_tick(token: Option<&TokenTree>) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == '\'')
}

/// `fn(..)` and `Fn(..)`: what is in their parentheses is taken, not held.
fn is_function(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Ident(word) if matches!(word.to_string().as_str(), "fn" | "Fn" | "FnMut" | "FnOnce"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(text: &str) -> Item {
        syn::parse_str(text).unwrap()
    }

    fn passed(argument: &str) -> &'static str {
        let item = item(&format!("async fn f<'x, T, S: 'static>({argument}) {{}}"));
        match item.parameters().first().map(|parameter| parameter.passing.clone()).or_else(|| item.receiver()).unwrap()
        {
            Passing::Moved => "moved",
            Passing::Lent(_) => "lent",
            Passing::LentOption => "lent option",
            Passing::Borrowed => "borrowed",
        }
    }

    #[test]
    fn passing_follows_the_spelling() {
        for argument in
            ["a: u64", "mut a: Vec<u8>", "a: &'static str", "(a, b): (u8, u8)", "a: Box<dyn Fn(&str) -> u8 + Send>"]
        {
            assert_eq!(passed(argument), "moved", "{argument}");
        }
        for argument in ["self", "self: Arc<Self>", "mut self", "a: S", "a: fn(&str)"] {
            assert_eq!(passed(argument), "moved", "{argument}");
        }
        for argument in ["a: &str", "mut a: &[u8]", "&self", "self: &Self", "self: &Arc<Self>", "a: &(u8, S)"] {
            assert_eq!(passed(argument), "lent", "{argument}");
        }
        assert_eq!(passed("a: Option<&str>"), "lent option");
        for argument in [
            "a: &mut u8",
            "a: &'x str",
            "a: T",
            "a: &T",
            "a: &[&str]",
            "a: Foo<'_>",
            "a: impl Into<String>",
            "&mut self",
        ] {
            assert_eq!(passed(argument), "borrowed", "{argument}");
        }
        for argument in
            ["&'x self", "self: Pin<&mut Self>", "Page { n, .. }: &Page", "a: Option<&&str>", "a: Vec<&str>"]
        {
            assert_eq!(passed(argument), "borrowed", "{argument}");
        }
    }

    #[test]
    fn patterns_give_every_name() {
        let item =
            item("async fn f(Path(id): Path<u64>, P { x, y: (z, _), .. }: P, whole @ [a, ..]: [u8; 3], _: u8) {}");
        let names: Vec<String> =
            item.parameters().iter().flat_map(|one| &one.bindings).map(ToString::to_string).collect();
        assert_eq!(names, ["id", "x", "z", "whole", "a"]);
    }

    #[test]
    fn mutable_references_are_seen_at_any_depth() {
        for ty in ["&mut T", "&'a mut T", "Option<&mut T>", "(u8, &'_ mut [u8])"] {
            assert!(has_mut_reference(&syn::parse_str::<Type>(ty).unwrap()), "{ty}");
        }
        for ty in ["&T", "fn(&mut T)", "Box<dyn Fn(&mut T)>", "*mut T"] {
            assert!(!has_mut_reference(&syn::parse_str::<Type>(ty).unwrap()), "{ty}");
        }
    }

    #[test]
    fn a_declaration_has_no_body() {
        assert!(item("async fn f(&self);").body.is_none());
        assert!(item("pub(crate) async fn f() -> u8 { let half = typed. }").body.is_some());
    }
}
