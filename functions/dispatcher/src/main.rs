//! The Lambda entry point: wiring only.

use dispatcher::{Config, Dispatcher};
use lambda_runtime::{Error, run, service_fn};
use shared::ambient::Ambient;
use shared::config::Vars;
use shared::{aws, telemetry};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let vars = Vars::from_env();
    telemetry::init_json(vars.optional("RUST_LOG").as_deref(), vars.optional("DYNAMODB_TABLE"));
    let function = Dispatcher::new(Config::read(vars)?, &aws::sdk_config().await, Ambient::REAL);
    run(service_fn(async |event| function.handle(event).await)).await
}
