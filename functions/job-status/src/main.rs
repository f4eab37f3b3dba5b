//! The Lambda entry point: wiring only.

use job_status::{Config, JobStatus};
use lambda_http::{Error, run, service_fn};
use shared::ambient::Ambient;
use shared::config::Vars;
use shared::{aws, telemetry};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let vars = Vars::from_env();
    telemetry::init_json(vars.optional("RUST_LOG").as_deref(), vars.optional("DYNAMODB_TABLE"));
    let function = JobStatus::new(Config::read(vars)?, &aws::sdk_config().await, Ambient::REAL);
    run(service_fn(async |request| Ok::<_, Error>(function.handle(request).await))).await
}
