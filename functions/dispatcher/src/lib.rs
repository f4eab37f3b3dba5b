//! Turns objects that came into queued jobs, and keeps the promise that every job ends.
//!
//! Woken by S3 (an object came), by a clock (reconcile, sweep), by the queue of callbacks or by hand. Never reads a photo's
//! content.

mod callback;
mod config;
mod dead_letters;
mod dispatch;
mod event;
mod reconcile;
mod sweep;

use std::sync::Arc;
use std::time::Duration;

use lambda_runtime::{Error, LambdaEvent};
use serde_json::{Value, json};
use shared::ambient::Ambient;
use shared::aws::{Announcer, Bucket, CallbackQueue, Caller, JobTable, SdkConfig, Topic, WorkQueue};
use shared::time::Timestamp;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use callback::Callbacks;
pub use config::Config;
use dead_letters::DeadLetters;
use dispatch::Dispatch;
use event::Event;
use reconcile::Reconcile;
use sweep::Sweep;

/// How long before the invocation's own deadline no new round of work is begun.
const MARGIN: Duration = Duration::from_secs(15);

/// The function, ready to be woken.
#[derive(Debug)]
pub struct Dispatcher {
    ambient: Ambient,
    dispatch: Arc<Dispatch>,
    reconcile: Reconcile,
    dead_letters: Arc<DeadLetters>,
    sweep: Sweep,
    callbacks: Option<Callbacks>,
}

impl Dispatcher {
    /// Wires the function to its services.
    pub fn new(config: Config, sdk: &SdkConfig, ambient: Ambient) -> Self {
        let jobs = JobTable::new(sdk, &config.table);
        let uploads = Bucket::new(sdk, &config.upload_bucket);
        let processed = Bucket::new(sdk, &config.processed_bucket);
        let topic = config.topic_arn.map(|arn| Topic::new(sdk, &arn));
        let callback_queue = config.callback_queue_url.map(|url| CallbackQueue::new(sdk, &url));
        let callbacks = callback_queue.clone().map(|queue| Callbacks {
            ambient,
            queue,
            caller: Caller::new(config.callback_hosts.private),
            hosts: config.callback_hosts,
            keys: config.callback_keys,
            give_up_after: config.callback_retry,
        });
        let dispatch = Arc::new(Dispatch {
            ambient,
            jobs: jobs.clone(),
            queue: WorkQueue::new(sdk, &config.queue_url),
            upload_bucket: config.upload_bucket,
            job_ttl: config.job_ttl,
        });
        let announcer = Announcer::new(jobs.clone(), processed, topic, callback_queue);
        let dead_letters = Arc::new(DeadLetters {
            queue: dispatch.queue.clone(),
            jobs,
            announcer: announcer.clone(),
            dead: OnceCell::new(),
        });
        Self {
            ambient,
            reconcile: Reconcile {
                dispatch: Arc::clone(&dispatch),
                uploads: uploads.clone(),
                announcer,
                dead_letters: Arc::clone(&dead_letters),
            },
            dead_letters,
            sweep: Sweep { dispatch: Arc::clone(&dispatch), uploads },
            callbacks,
            dispatch,
        }
    }

    /// Handles one event. An error makes the invoker try again.
    pub async fn handle(&self, event: LambdaEvent<Value>) -> Result<Value, Error> {
        let now = self.ambient.now();
        let end = Timestamp::from_micros(i64::try_from(event.context.deadline)?.saturating_mul(1000));
        let deadline = Instant::now() + end.since(now).saturating_sub(MARGIN);
        match Event::parse(&event.payload)? {
            Event::Arrivals(arrivals) => {
                let queued = self.dispatch.dispatch(arrivals, now).await?;
                Ok(json!({ "queued": queued }))
            }
            Event::Reconcile => {
                let mended = self.reconcile.run(now, deadline).await?;
                let ended = self.dead_letters.run(now, deadline).await?;
                let mut found = 0;
                if self.sweep.is_under_way().await? {
                    found = self.sweep.run(now, deadline).await?;
                }
                if mended + ended + found > 0 {
                    tracing::info!(mended, ended, found, "reconciled");
                }
                Ok(json!({ "mended": mended, "ended": ended, "found": found }))
            }
            Event::Sweep => {
                let found = self.sweep.run(now, deadline).await?;
                tracing::info!(found, "swept");
                Ok(json!({ "found": found }))
            }
            Event::Callbacks(batch) => {
                let callbacks = self.callbacks.as_ref().ok_or("callbacks came, and there is no queue for them")?;
                Ok(serde_json::to_value(callbacks.deliver(batch).await)?)
            }
            Event::Nothing(why) => {
                tracing::info!("{why}: ignored");
                Ok(json!({}))
            }
        }
    }
}
