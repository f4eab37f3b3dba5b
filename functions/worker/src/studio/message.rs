//! What the worker asks of a studio, and what it is told.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use shared::error::Code;
use shared::format::Format;
use shared::job::Placeholder;
use shared::recipe::{DerivativeName, ImageName, Recipe, WatermarkText};

use crate::image::View;

/// One photo's work. The file follows in a frame of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Order {
    /// Length of the file, in bytes.
    pub bytes: usize,
    /// What to make of it; nothing: only the classifier's view is wanted.
    pub recipe: Option<Recipe>,
    /// Which of the recipe's derivatives are made.
    pub part: Part,
    /// Names and lengths, in bytes, of the watermark images that the recipe names. Their files follow the photo's.
    pub images: Vec<(ImageName, usize)>,
    /// Drawn where the recipe names neither a text nor an image.
    pub watermark_text: WatermarkText,
    /// What the classifier looks at.
    pub view: View,
    /// Most pixels of the photo.
    pub max_pixels: u64,
    /// What it may cost.
    pub budget: Budget,
}

/// Which derivatives of a recipe are made. How the photo is decoded follows from all of them, so a derivative is the same
/// whichever others are made beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Part {
    /// All of them.
    All,
    /// Those of these names.
    Only(Vec<DerivativeName>),
}

impl Order {
    /// What is to be made, if anything is.
    pub(super) fn wanted(&self) -> Option<Cow<'_, Recipe>> {
        let recipe = self.recipe.as_ref()?;
        match &self.part {
            Part::All => Some(Cow::Borrowed(recipe)),
            Part::Only(names) => recipe.part(|spec| names.contains(&spec.name)).map(Cow::Owned),
        }
    }
}

/// What a photo may cost a studio. Beyond either of the first two the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Budget {
    /// Memory besides what the process takes at rest, in bytes.
    pub memory: u64,
    /// Processor time.
    pub time: Duration,
    /// Length of all derivatives together, in bytes.
    pub output: usize,
}

/// A studio's words, in the order: `Taken`, `Made` for each derivative; or at any point one of the others, the last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Answer {
    /// The photo is decoded; what the classifier looks at follows in a frame.
    Taken {
        /// Width in pixels, upright.
        width: u32,
        /// Height in pixels, upright.
        height: u32,
        /// What stands for the photo until it is loaded.
        placeholder: Placeholder,
    },
    /// A derivative is made; its bytes follow in a frame.
    Made {
        /// What it is encoded as.
        format: Format,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// The photo, or what is asked of it, is refused.
    Refused {
        /// The job's code.
        code: Code,
        /// A sentence for a person.
        message: String,
        /// What the log should know.
        detail: String,
    },
    /// Our own failure.
    Failed {
        /// What the log should know.
        detail: String,
    },
}

/// A studio's last word about a photo, when it has let go of all that was the photo's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Rest {
    /// Whether the next photo finds it as a new one would be. Otherwise it is of no more use.
    pub ready: bool,
}
