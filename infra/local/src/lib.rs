//! The whole pipeline on this machine, in one process: what the binary `darkroom` runs.
//!
//! What stands for AWS listens on one address, the HTTP API and the web page on another, both on loopback. The
//! functions in between are the very ones that are deployed; they reach the stack through the AWS SDKs.

mod banner;
mod cli;
mod client;
mod clock;
mod data_dir;
mod dynamodb;
mod endpoint;
mod functions;
mod gateway;
mod host;
mod notifier;
mod own_key;
mod queue_mapping;
mod redrive;
mod s3;
mod server;
pub mod simulation;
mod sns;
mod sqlite;
mod sqs;
mod stack;
mod steady;
mod stop;
mod wall_clock;

use std::error::Error;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use clap::Parser as _;

use banner::Banner;
use cli::{Command, Options, Serve};
use client::End;
use data_dir::DataDir;
use functions::Functions;
use shared::ambient::Ambient;
use shared::config::Vars;
use stack::Stack;
use stop::{Group, Signals};

/// What is logged unless `RUST_LOG` says otherwise. The embedded S3 and DynamoDB tell of each request that they refuse, of
/// which the client hears anyway; the S3 client of each object that came in parts.
const LOG_FILTER: &str = "info,s3s=off,dynoxide=error,aws_sdk_s3=error";

/// Runs `darkroom` as its command line asks, until it is stopped.
pub fn run_from_command_line() -> ExitCode {
    let options = Options::parse();
    let asked = Vars::from_env().optional("RUST_LOG").unwrap_or_default();
    shared::telemetry::init_text(&format!("{LOG_FILTER},{asked}"));
    let outcome = tokio::runtime::Runtime::new().map_err(Into::into).and_then(|runtime| {
        let outcome = runtime.block_on(run(options));
        // Whatever still runs had its time to finish.
        runtime.shutdown_background();
        outcome
    });
    match outcome {
        Ok(end) => end.into(),
        Err(error) => {
            report(error.as_ref());
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<End, Box<dyn Error + Send + Sync>> {
    match options.command {
        Some(Command::Upload(options)) => client::upload(options).await,
        Some(Command::Jobs(options)) => client::jobs(options).await,
        Some(Command::Redrive { aws_addr }) => redrive::run(aws_addr).await.map(|()| End::Complete),
        None => serve(options.serve).await.map(|()| End::Complete),
    }
}

async fn serve(options: Serve) -> Result<(), Box<dyn Error + Send + Sync>> {
    let started = Instant::now();
    let api_key = cli::given_or_set(options.api_key)?;
    let data_dir = if options.ephemeral { DataDir::ephemeral()? } else { DataDir::open(options.data_dir)? };
    let (api_listener, api) = server::listen(options.api_addr, "--api-addr").await?;
    let (aws_listener, aws) = server::listen(options.aws_addr, "--aws-addr").await?;
    let (intake, servers) = (Group::default(), Group::default());

    let stack = Stack::open(data_dir.path(), &servers, intake.token()).await?;
    servers.spawn(|stop| server::serve(aws_listener, endpoint::router(&stack), stop));
    let sdk = stack::sdk_config(aws, &stack.functions_key);
    stack.create_missing(&sdk).await?;
    let functions = Arc::new(Functions::new(&sdk, &stack::variables(aws, api_key.as_deref()), Ambient::REAL)?);

    let api_router = gateway::router(Arc::clone(&functions), aws, intake.token());
    intake.spawn(|stop| server::serve(api_listener, api_router, stop));
    intake.spawn(|stop| notifier::run(stack.s3, Arc::clone(&functions), stop));
    for mapping in [queue_mapping::PHOTOS, queue_mapping::CALLBACKS] {
        intake.spawn(|stop| queue_mapping::run(mapping, Arc::clone(&stack.sqs), Arc::clone(&functions), stop));
    }
    intake.spawn(|stop| clock::run(clock::RECONCILE, Arc::clone(&functions), stop));
    intake.spawn(|stop| clock::run(clock::SWEEP, functions, stop));

    // Before the banner: who reads it may want to stop at once.
    let mut signals = Signals::new()?;
    let kept = (!options.ephemeral).then(|| data_dir.path().to_owned());
    let banner = Banner { api, aws, api_key, data_dir: kept, took: started.elapsed() };
    // OK to ignore: everything runs, whether or not somebody reads this.
    let _ = write!(std::io::stdout().lock(), "{banner}");

    signals.next().await;
    stop::in_order([&intake, &servers], &mut signals).await;
    Ok(())
}

/// Says in one line why there is no start, from the outermost to the innermost cause.
fn report(error: &dyn Error) {
    let mut line = format!("darkroom: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        line.extend([": ", &error.to_string()]);
        cause = error.source();
    }
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
