//! What came of a job: what the photo was, what it shows, and the derivatives that were stored.

use serde::{Deserialize, Serialize};

use crate::format::Format;

/// The photo that was processed, as its bytes say and not as its name claims.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// Object key in the uploads bucket.
    pub key: String,
    /// Size of the object.
    pub bytes: u64,
    /// Media type of [`Self::format`].
    pub content_type: String,
    /// Format, by content.
    pub format: Format,
    /// Width in pixels, upright (after EXIF orientation).
    pub width: u32,
    /// Height in pixels, upright.
    pub height: u32,
    /// `ETag` of the bytes that were processed, without quotes.
    pub e_tag: String,
}

/// What the classifier sees.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Classification {
    /// The model's name, from its `model.json`.
    pub model: String,
    /// Label of the first prediction.
    pub predicted_class: String,
    /// The five most probable labels, most probable first.
    pub predictions: Vec<Prediction>,
}

/// One label and how sure the classifier is of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// A line of the model's `labels.txt`.
    pub label: String,
    /// From 0 to 1.
    pub probability: f64,
}

/// A stored derivative.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Derivative {
    /// The recipe's name for it.
    pub name: String,
    /// Object key in the processed bucket.
    pub key: String,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Size of the object.
    pub bytes: u64,
    /// Media type.
    pub content_type: String,
    /// SHA-256 of the object, lower-case hex.
    pub sha256: String,
    /// Presigned download URL, kept so that a client and its cache see a stable one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}
