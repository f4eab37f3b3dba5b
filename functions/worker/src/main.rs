//! The Lambda entry point: wiring only.

use lambda_runtime::{Error, run, service_fn};
use shared::ambient::Ambient;
use shared::config::Vars;
use shared::{aws, telemetry};
use worker::{Config, Worker};

fn main() -> Result<(), Error> {
    if worker::serve_if_studio() {
        return Ok(());
    }
    let vars = Vars::from_env();
    worker::restart_with_few_arenas(&vars);
    serve(vars)
}

// What takes time is done by studios and by threads of its own; for the rest, one thread less to be woken.
#[tokio::main(flavor = "current_thread")]
async fn serve(vars: Vars) -> Result<(), Error> {
    telemetry::init_json(vars.optional("RUST_LOG").as_deref(), vars.optional("DYNAMODB_TABLE"));
    let function = Worker::new(Config::read(vars)?, &aws::sdk_config().await, Ambient::REAL)?;
    run(service_fn(async |event| function.handle(event).await)).await
}
