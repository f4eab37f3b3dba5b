//! One derivative: its name, its steps, and how it is written.

use serde::{Deserialize, Serialize};

use super::number::Whole;
use super::{Crop, Filter, MAX_FILTERS, RecipeError, Resize, WatermarkChoice};
use crate::object::Object;

/// Quality of a lossy encoding, 1–100.
pub type Quality = Whole<1, 100>;

/// Quality where a recipe names none.
pub const DEFAULT_QUALITY: Quality = Quality::new(85).expect("it is within the range");

/// One derivative: the steps it takes, in the order crop → resize → filters → watermark → encode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Object<DerivativeFields>", into = "DerivativeFields")]
pub struct DerivativeSpec {
    /// Names the derivative in the job and in its object key.
    pub name: DerivativeName,
    /// Absent: the whole photo.
    pub crop: Option<Crop>,
    /// Absent: the size that it has.
    pub resize: Option<Resize>,
    /// At most [`MAX_FILTERS`], one after another.
    pub filters: Vec<Filter>,
    /// Absent: the configured watermark.
    pub watermark: Option<WatermarkChoice>,
    /// Absent: the source's own format.
    pub format: Option<OutputFormat>,
    /// For JPEG, WebP and AVIF; absent: [`DEFAULT_QUALITY`].
    pub quality: Option<Quality>,
    /// Whether it keeps every pixel as it is, should it be a WebP.
    pub lossless: bool,
    /// Whether it comes coarse first, should it be a JPEG.
    pub progressive: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DerivativeFields {
    name: DerivativeName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crop: Option<Object<Crop>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resize: Option<Resize>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    filters: Vec<Filter>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    watermark: Option<WatermarkChoice>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    format: Option<OutputFormat>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quality: Option<Quality>,
    #[serde(default, skip_serializing_if = "is_false")]
    lossless: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    progressive: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

impl TryFrom<Object<DerivativeFields>> for DerivativeSpec {
    type Error = RecipeError;

    fn try_from(Object(fields): Object<DerivativeFields>) -> Result<Self, RecipeError> {
        let DerivativeFields { name, crop, resize, filters, watermark, format, quality, lossless, progressive } =
            fields;
        if filters.len() > MAX_FILTERS {
            return Err(RecipeError::TooManyFilters(filters.len()));
        }
        // Where the source decides about the format, they count if it comes out so.
        let other = |wanted| format.is_some_and(|format| format != OutputFormat::Auto && format != wanted);
        if lossless && other(OutputFormat::Webp) {
            return Err(RecipeError::OtherFormat { option: "lossless", format: "webp" });
        }
        if progressive && other(OutputFormat::Jpeg) {
            return Err(RecipeError::OtherFormat { option: "progressive", format: "jpeg" });
        }
        let crop = crop.map(|Object(crop)| crop);
        Ok(Self { name, crop, resize, filters, watermark, format, quality, lossless, progressive })
    }
}

impl From<DerivativeSpec> for DerivativeFields {
    fn from(spec: DerivativeSpec) -> Self {
        let DerivativeSpec { name, crop, resize, filters, watermark, format, quality, lossless, progressive } = spec;
        let crop = crop.map(Object);
        Self { name, crop, resize, filters, watermark, format, quality, lossless, progressive }
    }
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

/// What a derivative is encoded as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutputFormat {
    /// JPEG; transparency falls on white.
    Jpeg,
    /// 8-bit PNG.
    Png,
    /// WebP.
    Webp,
    /// AVIF, which takes the encoder many times as long as any other.
    Avif,
    /// The source's format, but JPEG for a PNG without transparency.
    Auto,
}
