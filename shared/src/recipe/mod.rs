//! Recipes: what derivatives somebody asks for, parsed into values that cannot be wrong.
//!
//! A recipe arrives as JSON in `POST /uploads` or in a file, is stored in the job's row as the same JSON, and is
//! carried out by the worker. Unknown fields are refused, so a misspelt option is an error and never a surprise.
//! Absent here: anything that depends on the photo (whether a watermark fits, what the source's format is).

mod font;
mod resize;
mod watermark;

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

pub use font::FONT;
pub use resize::{Fit, Resize};
pub use watermark::{Color, Fraction, Position, Watermark, WatermarkChoice, WatermarkText};

use crate::object::Object;

/// Most derivatives one job may ask for.
pub const MAX_DERIVATIVES: usize = 8;

/// Longest watermark text, in characters.
pub const MAX_WATERMARK_CHARS: usize = 120;

/// Longest side that a derivative may be resized to, in pixels.
pub const MAX_SIDE: u32 = 8192;

/// JPEG and WebP quality where a recipe names none, 1–100.
pub const DEFAULT_QUALITY: u8 = 85;

/// One to [`MAX_DERIVATIVES`] derivatives with distinct names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Object<DerivativeSpec>>")]
pub struct Recipe(Vec<DerivativeSpec>);

/// Why a recipe is refused. The message is shown to the client.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum RecipeError {
    /// The list is empty.
    #[error("a recipe needs at least one derivative")]
    Empty,
    /// The list is longer than [`MAX_DERIVATIVES`].
    #[error("a job makes at most {MAX_DERIVATIVES} derivatives, not {0}")]
    TooMany(usize),
    /// Two derivatives would be stored under one name.
    #[error("two derivatives are named `{0}`")]
    DuplicateName(DerivativeName),
    /// Not 1–32 of `a-z`, `0-9` and `-`.
    #[error("a derivative's name is 1 to 32 of a-z, 0-9 and `-`")]
    BadName,
    /// A number outside its range.
    #[error("must be from {min} to {max}")]
    OutOfRange {
        /// Smallest allowed value.
        min: f64,
        /// Largest allowed value.
        max: f64,
    },
    /// Neither width nor height.
    #[error("resize needs a width, a height or both")]
    NoSize,
    /// `cover`, `contain` and `fill` describe a box.
    #[error("this fit needs a width and a height")]
    NeedsBox,
    /// Empty or longer than [`MAX_WATERMARK_CHARS`].
    #[error("a watermark's text is 1 to {MAX_WATERMARK_CHARS} characters without control characters")]
    BadText,
    /// The font cannot write the text.
    #[error("the watermark's font has no letter for {0:?}")]
    MissingGlyph(char),
    /// Not `#rrggbb`.
    #[error("a colour is written as #rrggbb")]
    BadColor,
}

impl Recipe {
    /// The derivatives in the order they were asked for; the first one is the job's `downloadUrl`.
    pub fn derivatives(&self) -> &[DerivativeSpec] {
        &self.0
    }
}

impl TryFrom<Vec<Object<DerivativeSpec>>> for Recipe {
    type Error = RecipeError;

    fn try_from(specs: Vec<Object<DerivativeSpec>>) -> Result<Self, RecipeError> {
        let specs: Vec<DerivativeSpec> = specs.into_iter().map(|Object(spec)| spec).collect();
        if specs.is_empty() {
            return Err(RecipeError::Empty);
        }
        if specs.len() > MAX_DERIVATIVES {
            return Err(RecipeError::TooMany(specs.len()));
        }
        let mut names = HashSet::new();
        if let Some(twin) = specs.iter().find(|spec| !names.insert(&spec.name)) {
            return Err(RecipeError::DuplicateName(twin.name.clone()));
        }
        Ok(Self(specs))
    }
}

/// One derivative: the steps it takes, in the order resize → watermark → encode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DerivativeSpec {
    /// Names the derivative in the job and in its object key.
    pub name: DerivativeName,
    /// Absent: the source's own size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resize: Option<Resize>,
    /// Absent: the configured watermark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watermark: Option<WatermarkChoice>,
    /// Absent: the source's own format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<OutputFormat>,
    /// For JPEG and WebP; absent: [`DEFAULT_QUALITY`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<Quality>,
}

/// A derivative's name: 1–32 of `a-z`, `0-9` and `-`, safe in an object key as it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct DerivativeName(String);

impl DerivativeName {
    /// The name as it stands in keys and answers.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for DerivativeName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for DerivativeName {
    type Error = RecipeError;

    fn try_from(name: String) -> Result<Self, RecipeError> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if (1..=32).contains(&name.len()) && name.bytes().all(plain) {
            Ok(Self(name))
        } else {
            Err(RecipeError::BadName)
        }
    }
}

/// Quality of a lossy encoding, 1–100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32")]
pub struct Quality(u8);

impl Quality {
    /// The number itself.
    pub fn get(self) -> u8 {
        self.0
    }
}

impl Default for Quality {
    fn default() -> Self {
        Self(DEFAULT_QUALITY)
    }
}

impl TryFrom<u32> for Quality {
    type Error = RecipeError;

    fn try_from(value: u32) -> Result<Self, RecipeError> {
        in_range(f64::from(value), 1.0, 100.0).map(|_| Self(value as u8))
    }
}

/// What a derivative is encoded as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutputFormat {
    /// Baseline JPEG; transparency falls on white.
    Jpeg,
    /// 8-bit PNG.
    Png,
    /// Lossy WebP.
    Webp,
    /// The source's format, but JPEG for a PNG without transparency.
    Auto,
}

fn in_range(value: f64, min: f64, max: f64) -> Result<f64, RecipeError> {
    if (min..=max).contains(&value) { Ok(value) } else { Err(RecipeError::OutOfRange { min, max }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expected: Result<(), &str>) {
        match (serde_json::from_str::<Recipe>(json), expected) {
            (Ok(recipe), Ok(())) => {
                let again: Recipe = serde_json::from_str(&serde_json::to_string(&recipe).unwrap()).unwrap();
                assert_eq!(again, recipe, "{json} changes on a round trip");
            }
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{json}: {error}"),
            (got, _) => panic!("{json}: {got:?}"),
        }
    }

    #[test]
    fn recipes_that_hold() {
        check(r#"[{"name":"full"}]"#, Ok(()));
        check(r#"[{"name":"a","watermark":false},{"name":"b","quality":1}]"#, Ok(()));
        check(r#"[{"name":"web","resize":{"width":1600},"format":"webp"}]"#, Ok(()));
        check(r#"[{"name":"t","resize":{"width":64,"height":64,"fit":"cover"}}]"#, Ok(()));
        check(
            r##"[{"name":"w","watermark":{"text":"© me","position":"top-left","opacity":0.5,"color":"#ff8800"}}]"##,
            Ok(()),
        );
        // Read as its neighbour by a parser that is content with nearly.
        check(r#"[{"name":"w","watermark":{"opacity":0.9438593066879417}}]"#, Ok(()));
        let tiny: Recipe = serde_json::from_str(r#"[{"name":"w","watermark":{"size":1e-131,"margin":-0.0}}]"#).unwrap();
        let json = serde_json::to_string(&tiny).unwrap();
        assert!(json.contains(r#""size":0.0,"margin":0.0"#), "no table keeps such a number: {json}");
    }

    #[test]
    fn recipes_that_do_not() {
        check("[]", Err("at least one"));
        check(r#"[{"name":"a"},{"name":"a"}]"#, Err("two derivatives"));
        check(r#"[{"name":"A"}]"#, Err("a-z"));
        check(r#"[{"name":"a","qualty":3}]"#, Err("qualty"));
        check(r#"[{"name":"a","quality":0}]"#, Err("1 to 100"));
        check(r#"[["a"]]"#, Err("expected an object"));
        check(r#"[{"name":"a","resize":[64,64]}]"#, Err("expected an object"));
        check(r#"[{"name":"a","resize":{}}]"#, Err("width"));
        check(r#"[{"name":"a","resize":{"width":9000}}]"#, Err("8192"));
        check(r#"[{"name":"a","resize":{"width":9,"fit":"cover"}}]"#, Err("needs a width and a height"));
        check(r#"[{"name":"a","watermark":true}]"#, Err("false for no watermark"));
        check(r#"[{"name":"a","watermark":["x"]}]"#, Err("false for no watermark"));
        check(r#"[{"name":"a","watermark":{"opactiy":1}}]"#, Err("opactiy"));
        check(r#"[{"name":"a","watermark":{"text":"写真"}}]"#, Err("'写'"));
        check(r#"[{"name":"a","format":"svg"}]"#, Err("svg"));
        let nine: Vec<_> = (0..9).map(|n| format!(r#"{{"name":"n{n}"}}"#)).collect();
        check(&format!("[{}]", nine.join(",")), Err("at most 8"));
    }
}
