//! Templates: `product:{id}:stock` in parts.
//!
//! This file knows how a template is written; what its names stand for, `validate` knows.

use std::fmt::Write as _;

use syn::LitStr;

/// A template as written: segments between colons.
#[derive(Clone)]
pub(crate) struct Template {
    pub(crate) literal: LitStr,
    pub(crate) segments: Vec<Segment>,
}

/// A whole segment is literal, or it is an argument.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Segment {
    Literal(String),
    Argument(Argument),
}

/// `{filter.page}`: a name, and what is taken of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Argument {
    pub(crate) root: String,
    pub(crate) steps: Vec<Step>,
}

/// One step into a value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    Field(String),
    Index(u32),
    /// A method without arguments.
    Call(String),
}

/// What a template is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Of {
    Key,
    Tag,
}

/// The longest literal segment.
const LITERAL_MAX: usize = 64;

// === impl Of ===

impl Of {
    fn example(self) -> &'static str {
        match self {
            Of::Key => "product:{id}",
            Of::Tag => "category:{it.category}",
        }
    }

    fn why_a_head(self) -> &'static str {
        match self {
            Of::Key => "which is the scope that policies and `evict_scope` go by",
            Of::Tag => "so it would be one name with every other tag of that value",
        }
    }
}

// === impl Template ===

impl Template {
    /// Reads a template; `of` says what its head is for.
    pub(crate) fn parse(literal: &LitStr, of: Of) -> Result<Template, syn::Error> {
        let text = literal.value();
        let fail = |message: String| Err(syn::Error::new(literal.span(), message));
        if text.is_empty() {
            return fail(format!("this is empty; write a literal name and the arguments, like `{}`", of.example()));
        }
        let mut segments = Vec::new();
        for segment in split(&text) {
            match Segment::parse(segment) {
                Ok(segment) => segments.push(segment),
                Err(message) => return fail(message),
            }
        }
        if matches!(segments.first(), Some(Segment::Argument(_))) {
            return fail(format!(
                "`{text}` has no literal head, {}; begin with a name, like `{}`",
                of.why_a_head(),
                of.example()
            ));
        }
        if segments.first() == Some(&Segment::Literal("fn".to_owned())) {
            return fail(
                "a head that begins with `fn` is kept for functions without `key`; choose another name".to_owned(),
            );
        }
        Ok(Template { literal: literal.clone(), segments })
    }

    /// With `{}` for each argument: what call sites that share entries have in common.
    pub(crate) fn normalised(&self) -> String {
        let mut out = String::new();
        for (index, segment) in self.segments.iter().enumerate() {
            let colon = if index == 0 { "" } else { ":" };
            let text = match segment {
                Segment::Literal(text) => text,
                Segment::Argument(_) => "{}",
            };
            let _ = write!(out, "{colon}{text}");
        }
        out
    }

    /// The literal head, `product:stock` of `product:stock:{id}`.
    pub(crate) fn head(&self) -> String {
        let literal = |segment: &Segment| match segment {
            Segment::Literal(text) => Some(text.clone()),
            Segment::Argument(_) => None,
        };
        self.segments.iter().map_while(literal).collect::<Vec<_>>().join(":")
    }

    pub(crate) fn arguments(&self) -> impl Iterator<Item = &Argument> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Argument(argument) => Some(argument),
            Segment::Literal(_) => None,
        })
    }
}

/// Splits at the colons outside of braces.
fn split(text: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    text.split(|c: char| {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ':' && depth == 0
    })
    .collect()
}

// === impl Segment ===

impl Segment {
    fn parse(text: &str) -> Result<Segment, String> {
        if let Some(inner) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'))
            && !inner.contains(['{', '}'])
        {
            return Argument::parse(inner).map(Segment::Argument);
        }
        if text.contains(['{', '}']) {
            return Err(if text.matches('{').count() == text.matches('}').count() {
                format!("an argument is a whole segment, but `{text}` has more; put a colon between: `{}`", apart(text))
            } else {
                format!("`{text}` has a brace without its partner; an argument is written `{{id}}`")
            });
        }
        check_literal(text)?;
        Ok(Segment::Literal(text.to_owned()))
    }
}

/// `p{id}-{n}` with its parts in segments of their own.
fn apart(text: &str) -> String {
    let spaced = text.replace('{', ":{").replace('}', "}:");
    let parts = spaced.split(':').map(|part| part.trim_matches(['-', '.', '_', '/', ' ']));
    parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(":")
}

/// Says what a name in a template, or a scope, can't be.
pub(crate) fn check_literal(text: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-');
    if text.is_empty() {
        return Err("there is an empty segment here; a segment is a name or an argument".to_owned());
    }
    if let Some(odd) = text.chars().find(|c| !plain(*c)) {
        return Err(format!(
            "`{odd}` can't stand in the literal `{text}`: literals are made of `a-z`, `0-9`, `.`, `_` and `-`, so that they are \
             alike everywhere they are typed"
        ));
    }
    if text.len() > LITERAL_MAX {
        return Err(format!("the literal `{text}` is longer than {LITERAL_MAX} characters"));
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (kind, way_out) = match text {
        "true" | "false" => ("a yes or no", "write another name".to_owned()),
        "-" => ("nothing", "write a name".to_owned()),
        _ if text.starts_with('.') => ("a variant", "write it without the dot".to_owned()),
        _ if digits.chars().all(|c| c.is_ascii_digit()) => ("a number", format!("write a name, like `v{digits}`")),
        _ => return Ok(()),
    };
    Err(format!("the literal `{text}` reads as {kind}, which only an argument may; {way_out}"))
}

// === impl Argument ===

impl Argument {
    fn parse(text: &str) -> Result<Argument, String> {
        let wrong = || {
            format!(
                "`{{{text}}}` is not an argument: write a name, and of it fields or methods without arguments, like `{{id}}`, \
                 `{{filter.page}}` or `{{url.host()}}`"
            )
        };
        let mut names = text.split('.');
        let root = names.next().filter(|root| is_name(root) || is_number(root)).ok_or_else(wrong)?.to_owned();
        let steps = names.map(Step::parse).collect::<Option<Vec<_>>>().ok_or_else(wrong)?;
        Ok(Argument { root, steps })
    }

    /// Whether it is the whole of what it names: a field covers only itself.
    pub(crate) fn is_whole(&self) -> bool {
        self.steps.is_empty()
    }
}

// === impl Step ===

impl Step {
    fn parse(text: &str) -> Option<Step> {
        if let Some(name) = text.strip_suffix("()") {
            return is_name(name).then(|| Step::Call(name.to_owned()));
        }
        if let Ok(index) = text.parse() {
            return Some(Step::Index(index));
        }
        is_name(text).then(|| Step::Field(text.to_owned()))
    }
}

/// `7`, of use in `key!` only.
pub(crate) fn is_number(text: &str) -> bool {
    !text.is_empty() && text.len() < 20 && text.chars().all(|c| c.is_ascii_digit())
}

fn is_name(text: &str) -> bool {
    let name = text.strip_prefix("r#").unwrap_or(text);
    matches!(name, "self" | "Self") || syn::parse_str::<syn::Ident>(text).is_ok_and(|_| name != "_")
}

#[cfg(test)]
mod tests {
    use proc_macro2::Span;

    use super::*;

    fn parse(text: &str) -> Result<Template, String> {
        Template::parse(&LitStr::new(text, Span::call_site()), Of::Key).map_err(|error| error.to_string())
    }

    fn refused(text: &str, why: &str) {
        let message = parse(text).err().unwrap_or_else(|| panic!("`{text}` was taken"));
        assert!(message.contains(why), "`{text}`: {message}");
    }

    #[test]
    fn template_parts_are_told_apart() {
        let template = parse("product:{p.id}:stock:{it.0.name()}:{r#type}").unwrap();
        assert_eq!(template.normalised(), "product:{}:stock:{}:{}");
        assert_eq!(template.head(), "product");
        let arguments: Vec<_> = template.arguments().collect();
        assert_eq!(arguments[0].steps, [Step::Field("id".into())]);
        assert_eq!(arguments[1].steps, [Step::Index(0), Step::Call("name".into())]);
        assert!(arguments[2].is_whole());
        assert_eq!(parse("product:stock:{id}").unwrap().head(), "product:stock");
        assert_eq!(parse("categories").unwrap().head(), "categories");
    }

    #[test]
    fn template_mistakes_have_their_sentence() {
        refused("", "is empty");
        refused("{id}", "no literal head");
        refused("fn:{id}", "kept for functions");
        refused("product::{id}", "empty segment");
        refused("product:", "empty segment");
        refused("product:p{id}", "whole segment, but `p{id}` has more; put a colon between: `p:{id}`");
        refused("product:{a}-{b}", "`{a}:{b}`");
        refused("product:{id", "without its partner");
        refused("Product:{id}", "`P` can't stand");
        refused("product list:{id}", "` ` can't stand");
        refused("product:7", "reads as a number");
        refused("product:-7", "reads as a number");
        refused("product:true", "reads as a yes or no");
        refused("product:-", "reads as nothing");
        refused("product:.x", "reads as a variant");
        refused("product:{}", "is not an argument");
        refused("product:{id + 1}", "is not an argument");
        refused("product:{id.len(1)}", "is not an argument");
        refused(&format!("product:{}", "x".repeat(65)), "longer than 64");
    }

    #[test]
    fn template_literals_of_any_other_kind_pass() {
        for text in ["a", "v2", "1.5", "a-b", "a.b_c", "--", "fnord", "product:fn", "x1:{self}:{Self}"] {
            assert!(parse(text).is_ok(), "{text}");
        }
    }
}
