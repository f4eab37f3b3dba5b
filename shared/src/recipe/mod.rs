//! Recipes: what derivatives somebody asks for, parsed into values that cannot be wrong.
//!
//! A recipe arrives as JSON in `POST /uploads` or in a file, is stored in the job's row as the same JSON, and is
//! carried out by the worker. Unknown fields are refused, so a misspelt option is an error and never a surprise.
//! Absent here: anything that depends on the photo (whether a watermark fits, what the source's format is).

mod color;
mod crop;
mod derivative;
mod filter;
mod font;
mod number;
mod resize;
mod watermark;

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

pub use color::Color;
pub use crop::Crop;
pub use derivative::{DEFAULT_QUALITY, DerivativeName, DerivativeSpec, OutputFormat, Quality};
pub use filter::Filter;
pub use number::{Number, Whole};
pub use resize::{Fit, Resize};
pub use watermark::{Content, ImageName, Outline, Position, Watermark, WatermarkChoice, WatermarkText};

/// Most derivatives one job may ask for.
pub const MAX_DERIVATIVES: usize = 8;

/// Longest watermark text, in characters.
pub const MAX_WATERMARK_CHARS: usize = 120;

/// Longest side that a derivative may be resized to, in pixels.
pub const MAX_SIDE: u32 = 8192;

/// Most filters of one derivative.
pub const MAX_FILTERS: usize = 16;

/// One to [`MAX_DERIVATIVES`] derivatives with distinct names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<DerivativeSpec>")]
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
    /// Neither width nor height.
    #[error("resize needs a width, a height or both")]
    NoSize,
    /// `cover`, `contain` and `fill` describe a box.
    #[error("this fit needs a width and a height")]
    NeedsBox,
    /// Only `contain` leaves something of its box.
    #[error("a background is for the fit `contain`")]
    NoBackground,
    /// The list of filters is longer than [`MAX_FILTERS`].
    #[error("a derivative takes at most {MAX_FILTERS} filters, not {0}")]
    TooManyFilters(usize),
    /// Nobody could say which lies on top.
    #[error("a watermark is a text or an image, not both")]
    TextAndImage,
    /// An image has colours of its own.
    #[error("colour and outline are for texts, not for images")]
    NoLetters,
    /// Not the name of a PNG file.
    #[error("an image is named like `logo.png`: 1 to 64 letters, digits, `-`, `_` and `.`")]
    BadImageName,
    /// An option of another format.
    #[error("`{option}` needs `\"format\": \"{format}\"`")]
    OtherFormat {
        /// The option.
        option: &'static str,
        /// The only format that has it.
        format: &'static str,
    },
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

    /// Of its derivatives those that `wanted` picks; `None` if it picks none.
    pub fn part(&self, wanted: impl Fn(&DerivativeSpec) -> bool) -> Option<Self> {
        let specs: Vec<DerivativeSpec> = self.0.iter().filter(|&spec| wanted(spec)).cloned().collect();
        (!specs.is_empty()).then_some(Self(specs))
    }

    /// The watermark images that it takes.
    pub fn image_names(&self) -> impl Iterator<Item = &ImageName> {
        self.0.iter().filter_map(|spec| match &spec.watermark {
            Some(WatermarkChoice::On(Watermark { content: Some(Content::Image(name)), .. })) => Some(name),
            _ => None,
        })
    }
}

impl TryFrom<Vec<DerivativeSpec>> for Recipe {
    type Error = RecipeError;

    fn try_from(specs: Vec<DerivativeSpec>) -> Result<Self, RecipeError> {
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
        check(r#"[{"name":"p","crop":{"x":0,"y":0,"width":1,"height":1},"format":"jpeg","progressive":true}]"#, Ok(()));
        check(
            r#"[{"name":"l","format":"webp","lossless":true},{"name":"m","lossless":true,"progressive":true}]"#,
            Ok(()),
        );
        check(r##"[{"name":"c","resize":{"width":9,"height":9,"fit":"contain","background":"#123456"}}]"##, Ok(()));
        check(r#"[{"name":"f","filters":["sepia",{"blur":0.5},{"brightness":-7.25},{"sharpen":1}]}]"#, Ok(()));
        check(r#"[{"name":"i","watermark":{"image":"logo.png","position":"tile","size":0.2}}]"#, Ok(()));
        check(
            r##"[{"name":"o","watermark":{"outline":false}},{"name":"p","watermark":{"outline":"#ff0000"}}]"##,
            Ok(()),
        );
    }

    #[test]
    fn recipes_that_do_not() {
        check("[]", Err("at least one"));
        check(r#"[{"name":"a"},{"name":"a"}]"#, Err("two derivatives"));
        check(r#"[{"name":"A"}]"#, Err("a-z"));
        check(r#"[{"name":"a","qualty":3}]"#, Err("qualty"));
        check(r#"[{"name":"a","quality":0}]"#, Err("from 1 to 100"));
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
