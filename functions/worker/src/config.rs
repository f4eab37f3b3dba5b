//! What this function is configured by.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use shared::access::Access;
use shared::config::{ConfigError, Vars};
use shared::format::Format;
use shared::recipe::{ImageName, Recipe, RecipeError, WatermarkText};

use crate::classify::{Classifier, ModelError};
use crate::image::{Header, MAX_IMAGE_SIDE};
use crate::studio::Watermarks;

/// Settings of the worker.
#[derive(Clone, Debug)]
pub struct Config {
    /// `UPLOAD_BUCKET`.
    pub upload_bucket: String,
    /// `PROCESSED_BUCKET`.
    pub processed_bucket: String,
    /// `DYNAMODB_TABLE`.
    pub table: String,
    /// `SQS_QUEUE_URL`: where messages wait longer before they come again.
    pub queue_url: String,
    /// `NOTIFY_TOPIC_ARN`; unset: nothing is published.
    pub topic_arn: Option<String>,
    /// `CALLBACK_QUEUE_URL`; unset: no application is called.
    pub callback_queue_url: Option<String>,
    /// `MODEL_DIR`, default `models/efficientnet-lite0`: the model, loaded.
    pub(crate) classifier: Arc<Classifier>,
    /// `DEFAULT_RECIPE`, default `assets/recipes/default.json`, and the files beside it.
    pub recipes: Recipes,
    /// `WATERMARK_TEXT`, default `© Darkroom`, and the PNG files beside the default recipe.
    pub watermarks: Watermarks,
    /// `MAX_UPLOAD_BYTES`, default 25 MiB.
    pub max_upload_bytes: u64,
    /// `MAX_PIXELS`, default 100 million.
    pub max_pixels: u64,
    /// `JOB_TTL_DAYS`, default 30: of jobs that the state machine makes.
    pub job_ttl: Duration,
    /// `ALLOWED_ORIGINS`, default `*`.
    pub allowed_origins: Vec<String>,
    /// `API_KEY_SHA256`, `JWT_SCOPE`, `JWT_OPERATOR_SCOPE`; unset: whoever calls is let in.
    pub access: Access,
}

/// The configured recipes: the default one, and those that an upload names in `x-amz-meta-recipe`.
#[derive(Clone, Debug)]
pub struct Recipes {
    default: Recipe,
    named: BTreeMap<String, Recipe>,
}

/// A file of recipes or watermarks that cannot be used.
#[derive(Debug, thiserror::Error)]
enum AssetError {
    #[error("cannot be read")]
    Read(#[from] std::io::Error),
    #[error("is no recipe")]
    Parse(#[from] serde_json::Error),
    #[error("cannot be named by a recipe")]
    Name(#[from] RecipeError),
    #[error("is no PNG of at most {MAX_IMAGE_SIDE} pixels a side and {} KiB", MAX_IMAGE_BYTES >> 10)]
    Image,
    #[error("names the watermark image `{0}`, which is not beside it")]
    NoImage(String),
}

/// Longest file of a watermark image, in bytes.
const MAX_IMAGE_BYTES: usize = 1 << 20;

impl Recipes {
    /// What an upload gets that asks for nothing.
    pub fn default(&self) -> &Recipe {
        &self.default
    }

    /// The recipe of the file `{name}.json` beside the default's.
    pub fn named(&self, name: &str) -> Option<&Recipe> {
        self.named.get(name)
    }

    /// Reads `default`, every other `.json` file in its folder, and every `.png` as an image for watermarks. Problems name
    /// the file.
    fn read(default: &Path) -> Result<(Self, Images), String> {
        let explain = |path: &Path, error: AssetError| {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            format!("{} {error}{cause}", path.display())
        };
        let default_recipe = read_recipe(default).map_err(|error| explain(default, error))?;
        let folder = default.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let entries = std::fs::read_dir(folder).map_err(|error| explain(folder, error.into()))?;
        let (mut named, mut images) = (BTreeMap::new(), BTreeMap::new());
        for path in entries.flatten().map(|entry| entry.path()) {
            let name = |part: Option<&OsStr>| part.and_then(OsStr::to_str).map(str::to_owned);
            match path.extension().and_then(OsStr::to_str) {
                Some("json") => {
                    let Some(name) = name(path.file_stem()) else { continue };
                    named.insert(name, read_recipe(&path).map_err(|error| explain(&path, error))?);
                }
                Some("png") => {
                    let Some(name) = name(path.file_name()) else { continue };
                    let (name, image) = read_image(name, &path).map_err(|error| explain(&path, error))?;
                    images.insert(name, image);
                }
                _ => {}
            }
        }
        let recipes = Self { default: default_recipe, named };
        let named = recipes.named.iter().map(|(name, recipe)| (folder.join(format!("{name}.json")), recipe));
        for (path, recipe) in named.chain([(default.to_owned(), &recipes.default)]) {
            if let Some(missing) = recipe.image_names().find(|name| !images.contains_key(name)) {
                return Err(explain(&path, AssetError::NoImage(missing.as_str().to_owned())));
            }
        }
        Ok((recipes, images))
    }
}

/// Images for watermarks, by their files' names.
type Images = BTreeMap<ImageName, Vec<u8>>;

fn read_recipe(path: &Path) -> Result<Recipe, AssetError> {
    Ok(serde_json::from_slice(&std::fs::read(path)?)?)
}

fn read_image(name: String, path: &Path) -> Result<(ImageName, Vec<u8>), AssetError> {
    let name = ImageName::try_from(name)?;
    let file = std::fs::read(path)?;
    let header = Header::read(&file, u64::from(MAX_IMAGE_SIDE).pow(2)).map_err(|_| AssetError::Image)?;
    let fits = header.format == Format::Png
        && header.claim.width.max(header.claim.height) <= MAX_IMAGE_SIDE
        && file.len() <= MAX_IMAGE_BYTES;
    if fits { Ok((name, file)) } else { Err(AssetError::Image) }
}

/// The problem with the model, with its causes.
fn chain(error: &ModelError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.extend([": ", &error.to_string()]);
        cause = error.source();
    }
    text
}

impl Config {
    /// Reads the settings, the recipe files and the model, or says everything that is wrong with them.
    pub fn read(mut vars: Vars) -> Result<Self, ConfigError> {
        let (upload_bucket, processed_bucket) = vars.buckets();
        let recipe_path = vars.path_or("DEFAULT_RECIPE", "assets/recipes/default.json");
        let recipes = Recipes::read(&recipe_path).map_err(|problem| vars.problem("DEFAULT_RECIPE", problem)).ok();
        let text = vars.optional("WATERMARK_TEXT").unwrap_or_else(|| "© Darkroom".to_owned());
        let text = WatermarkText::try_from(text).map_err(|error| vars.problem("WATERMARK_TEXT", error)).ok();
        let table = vars.required("DYNAMODB_TABLE");
        let queue_url = vars.required("SQS_QUEUE_URL");
        let max_upload_bytes = vars.max_upload_bytes();
        let max_pixels = vars.number_or("MAX_PIXELS", 100_000_000, 1, 1_000_000_000);
        let job_ttl = vars.job_ttl();
        let (topic_arn, allowed_origins) = (vars.optional("NOTIFY_TOPIC_ARN"), vars.allowed_origins());
        let (callback_queue_url, access) = (vars.optional("CALLBACK_QUEUE_URL"), vars.access());
        let model_dir = vars.path_or("MODEL_DIR", "models/efficientnet-lite0");
        let classifier = Classifier::load(&model_dir).map_err(|error| vars.problem("MODEL_DIR", chain(&error))).ok();
        let Some((((recipes, images), text), classifier)) = recipes.zip(text).zip(classifier) else {
            return Err(vars.into_error());
        };
        vars.finish(Self {
            upload_bucket,
            processed_bucket,
            table,
            queue_url,
            topic_arn,
            callback_queue_url,
            classifier: Arc::new(classifier),
            recipes,
            watermarks: Watermarks { text, images },
            max_upload_bytes,
            max_pixels,
            job_ttl,
            allowed_origins,
            access,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_wrong_is_reported_together() {
        let vars = Vars::new([
            ("DEFAULT_RECIPE".to_owned(), "no/such/file.json".to_owned()),
            ("WATERMARK_TEXT".to_owned(), "   ".to_owned()),
            ("MAX_PIXELS".to_owned(), "0".to_owned()),
            ("MODEL_DIR".to_owned(), "no/model".to_owned()),
            ("API_KEY_SHA256".to_owned(), "no hash".to_owned()),
        ]);
        let message = Config::read(vars).unwrap_err().to_string();
        for part in [
            "UPLOAD_BUCKET",
            "no/such/file.json cannot be read",
            "WATERMARK_TEXT",
            "MAX_PIXELS",
            "MODEL_DIR no/model/model.json cannot be read",
            "SQS_QUEUE_URL",
            "API_KEY_SHA256",
        ] {
            assert!(message.contains(part), "{part} is not in: {message}");
        }
    }
}
