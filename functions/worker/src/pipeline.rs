//! What happens to a photo: fetch → decode → (classify ∥ render) → store.
//!
//! CPU work runs off the async threads, at most as many pieces of it at once as there are cores.

use std::sync::Arc;
use std::time::Instant;

use futures::future::try_join_all;
use sha2::{Digest, Sha256};
use shared::aws::{Bucket, Fence, FetchError, Fetched};
use shared::error::{Code, Failure};
use shared::job::{Classification, Completed, Derivative, Job, ObjectVersion, Source};
use shared::key;
use shared::message::WorkItem;
use shared::recipe::Recipe;
use shared::results;
use tokio::sync::Semaphore;

use crate::classify::Classifier;
use crate::config::Recipes;
use crate::image::{self, Photo, Rendered, Watermarker};

/// User metadata of an object that names its recipe: the header `x-amz-meta-recipe`.
const RECIPE_METADATA: &str = "recipe";

/// Why a photo did not get to its end.
#[derive(Debug)]
pub(crate) enum Interruption {
    /// Something went wrong.
    Failed(Failure),
    /// The slot's object was replaced by this version, of which no event has told yet.
    Replaced(ObjectVersion),
}

impl From<Failure> for Interruption {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Makes of an uploaded object what a completed job holds.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) uploads: Bucket,
    pub(crate) processed: Bucket,
    pub(crate) classifier: Arc<Classifier>,
    pub(crate) watermarker: Arc<Watermarker>,
    pub(crate) recipes: Recipes,
    pub(crate) max_upload_bytes: u64,
    pub(crate) max_pixels: u64,
    /// One permit a core.
    pub(crate) cores: Arc<Semaphore>,
}

impl Pipeline {
    /// Takes a job's photo all the way, and stores everything but the job's row.
    pub(crate) async fn run(&self, job: &Job, item: &WorkItem) -> Result<Completed, Interruption> {
        let started = Instant::now();
        let Fetched { bytes, e_tag, metadata } = self.fetch(job, item).await?;
        let recipe = self.recipe(job, metadata.get(RECIPE_METADATA).map(String::as_str))?;
        let fetched = Instant::now();

        let size = bytes.len() as u64;
        let photo = self.decode(bytes).await?;
        let source = Source {
            key: job.s3_key.clone(),
            bytes: size,
            content_type: photo.format().media_type().to_owned(),
            format: photo.format(),
            width: photo.width(),
            height: photo.height(),
            e_tag,
        };
        let decoded = Instant::now();

        let (input, photo) = self.prepare(photo).await?;
        let watermarker = Arc::clone(&self.watermarker);
        let (classification, rendered) = tokio::try_join!(
            self.infer(input),
            self.compute(move || image::render(photo, &recipe, &watermarker).map_err(Failure::from)),
        )?;
        let computed = Instant::now();

        let derivatives = try_join_all(rendered.into_iter().map(|rendered| self.store(job, rendered))).await?;
        let result = results::completed(job.job_id, &classification);
        self.processed.put_json(&results::results_key(job.job_id), &result, Fence::of_attempt(job)).await?;

        tracing::info!(
            job.id = %job.job_id,
            attempt = job.attempts,
            bytes = size,
            pixels = u64::from(source.width) * u64::from(source.height),
            fetch_ms = (fetched - started).as_millis() as u64,
            decode_ms = (decoded - fetched).as_millis() as u64,
            compute_ms = (computed - decoded).as_millis() as u64,
            store_ms = computed.elapsed().as_millis() as u64,
            duration_ms = started.elapsed().as_millis() as u64,
            "photo processed"
        );
        let first = derivatives.first().map(|derivative| derivative.key.as_str()).unwrap_or_default();
        Ok(Completed {
            source,
            classification,
            processed_url: format!("s3://{}/{first}", self.processed.name()),
            derivatives,
            download_url_expires_at: None,
        })
    }

    /// Says what a photo shows, and keeps nothing of it.
    pub(crate) async fn classify(&self, bytes: Vec<u8>) -> Result<Classification, Failure> {
        let (max_pixels, classifier) = (self.max_pixels, Arc::clone(&self.classifier));
        // In one piece, so that no more photos are in memory than cores are at them.
        self.compute(move || {
            let input = classifier.prepare(&Photo::decode(&bytes, max_pixels)?);
            classifier.answer(input).map_err(Failure::permanent)
        })
        .await
    }

    /// The object's bytes. Its size is checked before any of them is read.
    async fn fetch(&self, job: &Job, item: &WorkItem) -> Result<Fetched, Interruption> {
        // The row is newer than the message, if they differ.
        let object = job.object.as_ref();
        let size = object.and_then(|object| object.size).or(item.size);
        match size {
            Some(0) => return Err(Failure::from(image::ImageError::Empty).into()),
            Some(size) if size > self.max_upload_bytes => return Err(self.too_large(size).into()),
            _ => {}
        }
        let version_id = object.and_then(|object| object.version_id.as_deref()).or(item.version_id.as_deref());
        let e_tag = object.map(|object| object.e_tag.as_str()).or(item.e_tag.as_deref());
        let e_tag = e_tag.filter(|e_tag| !e_tag.is_empty());
        let fetched = self.uploads.fetch(&job.s3_key, version_id, e_tag, self.max_upload_bytes).await;
        let failure = match fetched {
            Ok(fetched) => return Ok(fetched),
            Err(FetchError::Missing) => source_missing("The uploaded file is gone."),
            Err(FetchError::TooLarge(size)) => self.too_large(size),
            Err(FetchError::Changed) if job.upload_expires_at.is_some() => {
                match self.uploads.head(&job.s3_key).await? {
                    Some(version) => return Err(Interruption::Replaced(version)),
                    None => source_missing("The uploaded file is gone."),
                }
            }
            // The newer file under a key of the client's own has a job of its own.
            Err(FetchError::Changed) => source_missing("The file was replaced before its turn."),
            Err(FetchError::Failed(failure)) => failure,
        };
        Err(failure.into())
    }

    fn too_large(&self, size: u64) -> Failure {
        let limit = self.max_upload_bytes;
        Failure::client(Code::ImageTooLarge, format!("The file has {size} bytes; at most {limit} are accepted."))
    }

    /// What is to be made: what the upload asked for, or the recipe its object names, or the default.
    fn recipe(&self, job: &Job, name: Option<&str>) -> Result<Recipe, Failure> {
        match (&job.recipe, name) {
            (Some(recipe), _) => Ok(recipe.clone()),
            (None, Some(name)) => self.recipes.named(name).cloned().ok_or_else(|| {
                Failure::client(Code::InvalidRecipe, "The upload names a recipe that is not configured.")
            }),
            (None, None) => Ok(self.recipes.default().clone()),
        }
    }

    async fn decode(&self, bytes: Vec<u8>) -> Result<Photo, Failure> {
        let max_pixels = self.max_pixels;
        self.compute(move || Photo::decode(&bytes, max_pixels).map_err(Failure::from)).await
    }

    /// What the model sees of the photo; the photo comes back, to be drawn on.
    async fn prepare(&self, photo: Photo) -> Result<(crate::classify::Input, Photo), Failure> {
        let classifier = Arc::clone(&self.classifier);
        self.compute(move || Ok((classifier.prepare(&photo), photo))).await
    }

    async fn infer(&self, input: crate::classify::Input) -> Result<Classification, Failure> {
        let classifier = Arc::clone(&self.classifier);
        self.compute(move || classifier.answer(input).map_err(Failure::permanent)).await
    }

    /// Stores a derivative. The same photo and recipe give the same bytes under the same key, so doing it twice does
    /// no harm.
    async fn store(&self, job: &Job, rendered: Rendered) -> Result<Derivative, Failure> {
        let content_type = rendered.format.media_type();
        let derivative = Derivative {
            key: key::derivative_key(job.job_id, &rendered.name, rendered.format),
            name: rendered.name,
            width: rendered.width,
            height: rendered.height,
            bytes: rendered.bytes.len() as u64,
            content_type: content_type.to_owned(),
            sha256: format!("{:x}", Sha256::digest(&rendered.bytes)),
            url: None,
        };
        let fence = Fence::of_attempt(job);
        self.processed.put_derivative(&derivative.key, content_type, fence, rendered.bytes).await?;
        Ok(derivative)
    }

    /// Runs CPU work on a thread of its own, as soon as a core is free. A panic in it is our failure, not our end.
    async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        // OK to ignore: the semaphore is never closed.
        let core = Arc::clone(&self.cores).acquire_owned().await;
        let work = move || {
            let _core = core;
            work()
        };
        tokio::task::spawn_blocking(work).await.map_err(Failure::permanent)?
    }
}

fn source_missing(message: &str) -> Failure {
    Failure::client(Code::SourceMissing, message)
}
