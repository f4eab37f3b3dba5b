//! Why a photo, or what somebody wants made of it, is refused.

use shared::error::{Code, Failure};
use shared::format::Format;
use shared::recipe::ImageName;

/// What is wrong with the bytes, or with the recipe for these bytes. None of it passes with time.
///
/// The message of the error itself is for the log; [`Self::message`] is for the person whose photo it was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImageError {
    /// There is nothing to look at.
    #[error("zero bytes")]
    Empty,
    /// The content is no image, or of a kind that is not read.
    #[error("the content is {detected}")]
    UnsupportedFormat {
        /// What the content is, to be read after "The file is".
        detected: &'static str,
    },
    /// More pixels than the configured limit.
    #[error("{width} × {height} pixels exceed the limit of {max_pixels}")]
    TooManyPixels {
        /// Width by the header, in pixels.
        width: u32,
        /// Height by the header, in pixels.
        height: u32,
        /// The limit.
        max_pixels: u64,
    },
    /// A side longer than the format's decoder takes.
    #[error("a side of {side} pixels exceeds {max_side}")]
    TooLong {
        /// The longer side by the header, in pixels.
        side: u32,
        /// The limit.
        max_side: u32,
    },
    /// A JPEG that is cheap to send and expensive to decode.
    #[error("a JPEG of {scans} scans over {width} × {height} pixels")]
    TooManyScans {
        /// Passes over the picture.
        scans: u32,
        /// Width by the header, in pixels.
        width: u32,
        /// Height by the header, in pixels.
        height: u32,
    },
    /// An animation of more frames than are kept.
    #[error("an animation of {frames} frames")]
    TooManyFrames {
        /// Number of frames.
        frames: u64,
    },
    /// Derivatives of an animation that would take too long.
    #[error("an animation of {pixels} pixels to be {done}")]
    TooMuchAnimation {
        /// What all frames have together, in all derivatives.
        pixels: u64,
        /// The limit.
        limit: u64,
        /// What is done with them.
        done: &'static str,
    },
    /// More memory than one photo may have, by the header or by the decoder's own count.
    #[error("more memory than one photo may have")]
    TooMuchMemory,
    /// Derivatives that would be longer than all of a photo's may be.
    #[error("derivatives of more than {} bytes", super::cost::MAX_OUTPUT)]
    OutputTooLarge,
    /// Derivatives that would be longer than what was foretold of them.
    #[error("derivatives of more than the {foretold} bytes that were foretold")]
    OutputUnforeseen {
        /// What they may have together, in bytes.
        foretold: usize,
    },
    /// More AVIF than there is time for.
    #[error("AVIF derivatives that take as long as {work} pixels")]
    TooMuchAvif {
        /// Their pixels, some of which count twice.
        work: u64,
    },
    /// The header or the pixels do not decode, a file cut short included.
    #[error("the {format:?} data is damaged")]
    Corrupt {
        /// What the content claims to be.
        format: Format,
        /// What the decoder says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The recipe's crop reaches beyond the photo.
    #[error("a crop down to {right}, {bottom} of {width} × {height} pixels")]
    CropOutside {
        /// Columns that the photo would need.
        right: u32,
        /// Rows that it would need.
        bottom: u32,
        /// Width of the photo, in pixels.
        width: u32,
        /// Height of the photo, in pixels.
        height: u32,
    },
    /// The recipe names a watermark image that is not configured.
    #[error("no watermark image {}", name.as_str())]
    UnknownImage {
        /// Its name.
        name: ImageName,
    },
    /// A configured watermark image does not decode.
    #[error("the watermark image {} is damaged", name.as_str())]
    DamagedImage {
        /// Its name.
        name: ImageName,
        /// What the decoder says.
        #[source]
        source: Box<Self>,
    },
    /// The output format cannot hold a picture of this size.
    #[error("{format:?} has no room for {width} × {height} pixels")]
    TooLongForFormat {
        /// The output format.
        format: Format,
        /// Width of the derivative, in pixels.
        width: u32,
        /// Height of the derivative, in pixels.
        height: u32,
    },
    /// An encoder failed on pixels of ours.
    #[error("encoding {format:?} failed")]
    Encode {
        /// The output format.
        format: Format,
        /// What the encoder says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl ImageError {
    pub(super) fn corrupt(format: Format, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Corrupt { format, source: source.into() }
    }

    pub(super) fn encode(format: Format, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Encode { format, source: source.into() }
    }

    /// The stable code of the job that fails by this.
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::Empty => Code::EmptyFile,
            Self::UnsupportedFormat { .. } => Code::UnsupportedFormat,
            Self::TooManyPixels { .. }
            | Self::TooLong { .. }
            | Self::TooManyScans { .. }
            | Self::TooManyFrames { .. }
            | Self::TooMuchAnimation { .. }
            | Self::TooMuchMemory
            | Self::OutputTooLarge
            | Self::OutputUnforeseen { .. } => Code::ImageTooLarge,
            Self::Corrupt { .. } => Code::CorruptImage,
            // Another recipe would do.
            Self::TooMuchAvif { .. }
            | Self::TooLongForFormat { .. }
            | Self::CropOutside { .. }
            | Self::UnknownImage { .. } => Code::InvalidRecipe,
            Self::Encode { .. } | Self::DamagedImage { .. } => Code::Internal,
        }
    }

    /// A sentence for a person, without internals.
    pub(crate) fn message(&self) -> String {
        match self {
            Self::Empty => "The file is empty.".into(),
            Self::UnsupportedFormat { detected } => {
                format!("The file is {detected}; JPEG, PNG, WebP, GIF, BMP and TIFF are read.")
            }
            Self::TooManyPixels { width, height, max_pixels } => {
                format!("The image has {width} × {height} pixels; at most {max_pixels} are processed.")
            }
            Self::TooLong { side, max_side } => {
                format!("The image is {side} pixels long; at most {max_side} are processed.")
            }
            Self::TooManyScans { scans, .. } => {
                format!("The JPEG is stored in {scans} scans, too many for its size.")
            }
            Self::TooManyFrames { frames } => {
                format!("The animation has {frames} frames; at most {} are kept.", super::animation::MAX_FRAMES)
            }
            Self::TooMuchAnimation { pixels, limit, done } => format!(
                "The derivatives that keep all frames of the animation have {pixels} pixels to be {done}; at most {limit} are."
            ),
            Self::TooMuchMemory => "The image takes more memory to process than one photo may have.".into(),
            Self::OutputTooLarge => {
                format!("The derivatives would have more than {} MiB.", super::cost::MAX_OUTPUT >> 20)
            }
            Self::OutputUnforeseen { foretold } => {
                format!("The derivatives would have more than {foretold} bytes, the most that was foretold of them.")
            }
            Self::TooMuchAvif { .. } => format!(
                "The AVIF derivatives would have more than {} pixels together, of which those from quality {} on count \
                 twice; resize them to fewer.",
                super::avif::MAX_WORK,
                super::encode::FULL_COLOR_QUALITY
            ),
            Self::Corrupt { format, .. } => {
                format!("The {} file is damaged or incomplete.", name(*format))
            }
            Self::CropOutside { right, bottom, width, height } => format!(
                "The crop needs a photo of at least {right} × {bottom} pixels; this one has {width} × {height}."
            ),
            Self::UnknownImage { name } => format!("There is no watermark image `{}`.", name.as_str()),
            Self::TooLongForFormat { format, width, height } => {
                format!("A {} file cannot hold {width} × {height} pixels.", name(*format))
            }
            Self::Encode { .. } | Self::DamagedImage { .. } => "The image could not be processed.".into(),
        }
    }
}

impl From<ImageError> for Failure {
    fn from(error: ImageError) -> Self {
        match error {
            ImageError::Encode { .. } | ImageError::DamagedImage { .. } => Self::permanent(error),
            _ => Self::client(error.code(), error.message()),
        }
    }
}

/// The format as people write it.
fn name(format: Format) -> &'static str {
    match format {
        Format::Jpeg => "JPEG",
        Format::Png => "PNG",
        Format::Webp => "WebP",
        Format::Gif => "GIF",
        Format::Bmp => "BMP",
        Format::Tiff => "TIFF",
        Format::Avif => "AVIF",
    }
}
