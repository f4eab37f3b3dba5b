//! What happens to a photo: fetch → survey → decode → (classify ∥ render) → store. By the queue all of it happens at once
//! ([`Pipeline::run`]), by the state machine in steps ([`Pipeline::see`], [`Pipeline::make`], [`Pipeline::finish`]).
//!
//! Pixels are worked on in [`crate::studio`]. How much of that may be under way at once is for [`crate::capacity`] to say.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use serde::{Deserialize, Serialize};
use shared::aws::{Bucket, Fence, FetchError, Fetched};
use shared::error::{Code, Failure};
use shared::job::{Classification, Completed, Derivative, Job, ObjectVersion, Placeholder, Source};
use shared::key;
use shared::message::WorkItem;
use shared::recipe::{DerivativeName, Recipe};
use shared::results;
use tokio::sync::oneshot;

use crate::capacity::{Capacity, Permit, Turn, reduced};
use crate::classify::Classifier;
use crate::config::Recipes;
use crate::image::{Cost, Header, ImageError};
use crate::studio::{Holder, Part, Print, Studios, Taken};

/// User metadata of an object that names its recipe: the header `x-amz-meta-recipe`.
const RECIPE_METADATA: &str = "recipe";

/// Why a photo did not get to its end.
#[derive(Debug)]
pub(crate) enum Interruption {
    /// Something went wrong.
    Failed(Failure),
    /// The slot's object was replaced by this version, of which no event has told yet.
    Replaced(ObjectVersion),
    /// Other large photos come first.
    Busy,
}

/// There is a large photo at work, and another one waits.
#[derive(Debug, thiserror::Error)]
#[error("too many large photos at once")]
pub(crate) struct Busy;

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
    pub(crate) studios: Arc<Studios>,
    pub(crate) recipes: Recipes,
    pub(crate) max_upload_bytes: u64,
    pub(crate) max_pixels: u64,
    pub(crate) capacity: Capacity,
}

impl Pipeline {
    /// Takes a job's photo all the way, and stores everything but the job's row. `waited`: how long it was in the queue.
    pub(crate) async fn run(
        &self,
        job: &Job,
        item: &WorkItem,
        waited: Option<Duration>,
        slot: Permit,
    ) -> Result<Completed, Interruption> {
        let started = Instant::now();
        let admitted = self.admit(job, item, slot).await?;
        let (bytes, fetched) = (admitted.surveyed.file.len() as u64, Instant::now());
        let Seen { photo, prints, permits } = self.develop_and_classify(job, admitted, Part::All).await?;
        let pixels = u64::from(photo.source.width) * u64::from(photo.source.height);
        let computed = Instant::now();
        let derivatives = self.store_all(job, prints).await?;
        let completed = self.finish(job, photo, derivatives).await?;
        drop(permits);
        tracing::info!(
            job.id = %job.job_id,
            attempt = job.attempts,
            bytes,
            pixels,
            queue_ms = waited.map(|waited| waited.as_millis() as u64),
            fetch_ms = (fetched - started).as_millis() as u64,
            compute_ms = (computed - fetched).as_millis() as u64,
            store_ms = computed.elapsed().as_millis() as u64,
            duration_ms = started.elapsed().as_millis() as u64,
            "photo processed"
        );
        Ok(completed)
    }

    /// Decodes a job's photo and says what it shows; with what is to be made of it.
    pub(crate) async fn see(&self, job: &Job, item: &WorkItem, slot: Permit) -> Result<(Photo, Recipe), Interruption> {
        let admitted = self.admit(job, item, slot).await?;
        let recipe = admitted.surveyed.recipe.clone();
        let recipe = recipe.ok_or_else(|| Failure::permanent("a job without a recipe"))?;
        let Seen { photo, .. } = self.develop_and_classify(job, admitted, Part::Only(Vec::new())).await?;
        Ok((photo, recipe))
    }

    /// Makes and stores some of a job's derivatives.
    pub(crate) async fn make(
        &self,
        job: &Job,
        item: &WorkItem,
        slot: Permit,
        names: Vec<DerivativeName>,
    ) -> Result<Vec<Derivative>, Interruption> {
        let Admitted { surveyed, permits: _permits, .. } = self.admit(job, item, slot).await?;
        let _memory = self.capacity.memory(surveyed.cost.total).await;
        let (sender, _) = oneshot::channel();
        let prints = self.develop(surveyed, Part::Only(names), sender).await?;
        Ok(self.store_all(job, prints).await?)
    }

    /// Stores the result object of a job whose derivatives are stored, and answers what its row is to hold.
    pub(crate) async fn finish(
        &self,
        job: &Job,
        photo: Photo,
        derivatives: Vec<Derivative>,
    ) -> Result<Completed, Failure> {
        let Photo { source, classification, placeholder } = photo;
        let result = results::completed(job.job_id, &classification);
        self.processed.put_json(&results::results_key(job.job_id), &result, Fence::of_attempt(job)).await?;
        let first = derivatives.first().map(|derivative| derivative.key.as_str()).unwrap_or_default();
        Ok(Completed {
            source,
            classification,
            placeholder: Some(placeholder),
            processed_url: format!("s3://{}/{first}", self.processed.name()),
            derivatives,
            download_url_expires_at: None,
        })
    }

    /// Says what a photo shows, and keeps nothing of it.
    pub(crate) async fn classify(&self, bytes: Vec<u8>) -> Result<Classification, Failure> {
        let surveyed = self.survey(bytes, None).await?;
        let _turn = if Capacity::is_large(surveyed.cost.total) {
            Some(self.capacity.turn().await.ok_or_else(|| Failure::transient("other photos come first", Busy))?)
        } else {
            None
        };
        let _memory = self.capacity.memory(surveyed.cost.total).await;
        let (sender, view) = oneshot::channel();
        self.develop(surveyed, Part::All, sender).await?;
        let taken = view.await.map_err(Failure::permanent)?;
        Ok(self.infer(taken).await?.1)
    }

    /// Fetches the job's photo, once it may be worked on: that holds until the permits are dropped.
    async fn admit(&self, job: &Job, item: &WorkItem, slot: Permit) -> Result<Admitted, Interruption> {
        let (surveyed, e_tag) = self.fetch_and_survey(job, item).await?;
        if !Capacity::is_large(surveyed.cost.total) {
            return Ok(Admitted { surveyed, e_tag, permits: (slot, None) });
        }
        if let Some(turn) = self.capacity.turn_now() {
            return Ok(Admitted { surveyed, e_tag, permits: (slot, Some(turn)) });
        }
        // While it waits its slot is for somebody else, and there is no file in memory that nobody works on.
        drop((surveyed, slot));
        let turn = self.capacity.turn().await.ok_or(Interruption::Busy)?;
        let slot = self.capacity.slot().await;
        let (surveyed, e_tag) = self.fetch_and_survey(job, item).await?;
        Ok(Admitted { surveyed, e_tag, permits: (slot, Some(turn)) })
    }

    /// The job's photo, and what is to be made of it.
    async fn fetch_and_survey(&self, job: &Job, item: &WorkItem) -> Result<(Surveyed, String), Interruption> {
        let Fetched { bytes, e_tag, metadata } = self.fetch(job, item).await?;
        let recipe = self.recipe(job, metadata.get(RECIPE_METADATA).map(String::as_str))?;
        Ok((self.survey(bytes, Some(recipe)).await?, e_tag))
    }

    /// Has an admitted photo developed while the classifier looks at it.
    async fn develop_and_classify(&self, job: &Job, admitted: Admitted, part: Part) -> Result<Seen, Interruption> {
        let Admitted { surveyed, e_tag, permits } = admitted;
        let (bytes, format) = (surveyed.file.len() as u64, surveyed.header.format);
        let memory = self.capacity.memory(surveyed.cost.total).await;
        let (sender, view) = oneshot::channel();
        let classify = async {
            match view.await {
                Ok(taken) => self.infer(taken).await.map(Some),
                // The studio's own failure says why nothing came.
                Err(_) => Ok(None),
            }
        };
        let (prints, taken) = tokio::try_join!(self.develop(surveyed, part, sender), classify)?;
        let (taken, classification) =
            taken.ok_or_else(|| Failure::permanent("a photo was developed, but not taken"))?;
        let source = Source {
            key: job.s3_key.clone(),
            bytes,
            content_type: format.media_type().to_owned(),
            format,
            width: taken.width,
            height: taken.height,
            e_tag,
        };
        // Of the photo, only the derivatives are left.
        let kept = prints.iter().map(|print| print.bytes.len() as u64).sum();
        let photo = Photo { source, classification, placeholder: taken.placeholder };
        Ok(Seen { photo, prints, permits: (permits, reduced(memory, kept)) })
    }

    /// The object's bytes. Its size is checked before any of them is read.
    async fn fetch(&self, job: &Job, item: &WorkItem) -> Result<Fetched, Interruption> {
        // The row is newer than the message, if they differ.
        let object = job.object.as_ref();
        let size = object.and_then(|object| object.size).or(item.size);
        match size {
            Some(0) => return Err(Failure::from(ImageError::Empty).into()),
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

    /// Reads the header, and refuses what would take too much.
    async fn survey(&self, file: Vec<u8>, recipe: Option<Recipe>) -> Result<Surveyed, Failure> {
        let (max_pixels, view) = (self.max_pixels, self.classifier.view());
        self.capacity
            .compute(move || {
                let header = Header::read(&file, max_pixels)?;
                let cost = header.cost(&file, recipe.as_ref(), &view)?;
                Ok(Surveyed { file, recipe, header, cost })
            })
            .await
    }

    /// Has the photo decoded, which `sender` hears of, and rendered. Dropped, it ends the studio that is at it.
    async fn develop(
        &self,
        surveyed: Surveyed,
        part: Part,
        sender: oneshot::Sender<Taken>,
    ) -> Result<Vec<Print>, Failure> {
        let studios = Arc::clone(&self.studios);
        let holder = Holder::default();
        let leash = holder.leash();
        let Surveyed { file, recipe, cost, .. } = surveyed;
        self.capacity
            .compute(move || {
                let taken = |taken| {
                    // OK to ignore: nobody waits for the photo any more.
                    let _ = sender.send(taken);
                };
                studios.develop(file, recipe, part, &cost, &leash, taken)
            })
            .await
    }

    async fn infer(&self, taken: Taken) -> Result<(Taken, Classification), Failure> {
        let classifier = Arc::clone(&self.classifier);
        self.capacity
            .compute(move || {
                let classification =
                    classifier.answer(classifier.prepare(&taken.cropped)).map_err(Failure::permanent)?;
                Ok((taken, classification))
            })
            .await
    }

    async fn store_all(&self, job: &Job, prints: Vec<Print>) -> Result<Vec<Derivative>, Failure> {
        try_join_all(prints.into_iter().map(|print| self.store(job, print))).await
    }

    /// Stores a derivative. The same photo and recipe give the same bytes under the same key, so doing it twice does
    /// no harm.
    async fn store(&self, job: &Job, print: Print) -> Result<Derivative, Failure> {
        let content_type = print.format.media_type();
        let derivative = Derivative {
            key: key::derivative_key(job.job_id, &print.name, print.format),
            name: print.name,
            width: print.width,
            height: print.height,
            bytes: print.bytes.len() as u64,
            content_type: content_type.to_owned(),
            sha256: print.sha256,
            url: None,
        };
        let fence = Fence::of_attempt(job);
        self.processed.put_derivative(&derivative.key, content_type, fence, print.bytes).await?;
        Ok(derivative)
    }
}

fn source_missing(message: &str) -> Failure {
    Failure::client(Code::SourceMissing, message)
}

/// What is known of a photo besides what was made of it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Photo {
    source: Source,
    classification: Classification,
    placeholder: Placeholder,
}

/// A photo that may be worked on, until the permits are dropped.
struct Admitted {
    surveyed: Surveyed,
    e_tag: String,
    permits: Permits,
}

/// Leave to have a file in memory; and that of a large photo.
type Permits = (Permit, Option<Turn>);

/// A photo that was developed; the last of the permits is for what was made of it.
struct Seen {
    photo: Photo,
    prints: Vec<Print>,
    permits: (Permits, Permit),
}

/// A photo whose header has been read.
struct Surveyed {
    file: Vec<u8>,
    recipe: Option<Recipe>,
    header: Header,
    cost: Cost,
}
