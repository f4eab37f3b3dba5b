//! Processes photos: validates, classifies, renders derivatives, stores them, and ends the job.
//!
//! Woken by SQS with work items, by the state machine for each of its stages, and by HTTP for `POST /classify`, which answers
//! at once and stores nothing. The only crate that knows pixels and models.

mod allocator;
mod batch;
mod capacity;
mod classify;
mod config;
mod http_api;
mod image;
mod pipeline;
mod process;
mod received;
pub mod studio;
mod workflow;

use std::sync::Arc;

use aws_lambda_events::event::sqs::SqsEvent;
use lambda_runtime::{Error, LambdaEvent};
use serde_json::Value;
use shared::access::Access;
use shared::ambient::Ambient;
use shared::aws::{Announcer, Bucket, CallbackQueue, JobTable, SdkConfig, Topic, WorkQueue};
use shared::http::Cors;
use shared::time::Timestamp;

pub use allocator::restart_with_few_arenas;
use capacity::Capacity;
pub use config::{Config, Recipes};
use pipeline::Pipeline;
use process::Processor;
use studio::Studios;
pub use studio::serve_if_studio;
pub use workflow::diagnostic;

/// The function, its model loaded.
#[derive(Debug)]
pub struct Worker {
    processor: Processor,
    cors: Cors,
    access: Access,
}

/// The event is of no kind that this function knows.
#[derive(Debug, thiserror::Error)]
#[error("an event of an unknown kind")]
struct UnknownEvent;

impl Worker {
    /// Opens a studio a core, and wires the function to its services. The executable has to call [`serve_if_studio`]
    /// first.
    pub fn new(config: Config, sdk: &SdkConfig, ambient: Ambient) -> Result<Self, Error> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let jobs = JobTable::new(sdk, &config.table);
        let processed = Bucket::new(sdk, &config.processed_bucket);
        let topic = config.topic_arn.as_ref().map(|arn| Topic::new(sdk, arn));
        let queue = WorkQueue::new(sdk, &config.queue_url);
        let (allowed_origins, access) = (config.allowed_origins, config.access);
        let program = studio::this_program()?;
        let studios = Studios::open(program, cores, config.watermarks, config.classifier.view(), config.max_pixels)?;
        let pipeline = Pipeline {
            uploads: Bucket::new(sdk, &config.upload_bucket),
            processed: processed.clone(),
            classifier: config.classifier,
            studios: Arc::new(studios),
            recipes: config.recipes,
            max_upload_bytes: config.max_upload_bytes,
            max_pixels: config.max_pixels,
            capacity: Capacity::new(cores),
        };
        let callbacks = config.callback_queue_url.as_ref().map(|url| CallbackQueue::new(sdk, url));
        let announcer = Announcer::new(jobs.clone(), processed, topic, callbacks);
        let processor = Processor { announcer, ambient, job_ttl: config.job_ttl, jobs, queue, pipeline };
        Ok(Self { processor, cors: Cors::new(allowed_origins), access })
    }

    /// Handles one event.
    pub async fn handle(&self, event: LambdaEvent<Value>) -> Result<Value, Error> {
        let LambdaEvent { payload, context } = event;
        if payload.pointer("/requestContext/http").is_some() {
            return http_api::handle(self, payload, context).await;
        }
        let deadline = Timestamp::from_micros(i64::try_from(context.deadline)?.saturating_mul(1000));
        if payload.get("stage").is_some() {
            // Boxed: as a part of this future it would nest deeper than the compiler goes.
            return Ok(Box::pin(workflow::handle(&self.processor, payload, deadline)).await?);
        }
        if payload.get("Records").is_some() {
            let batch: SqsEvent = serde_json::from_value(payload)?;
            let response = batch::handle(&self.processor, batch, deadline).await;
            return Ok(serde_json::to_value(response)?);
        }
        Err(UnknownEvent.into())
    }
}
