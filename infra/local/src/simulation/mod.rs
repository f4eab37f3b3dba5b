//! Whole lives of jobs in simulated time: the shipped handlers and SDK clients against the embedded stack, with faults.
//!
//! A run follows from its seed alone: what people upload and when, which events and messages get lost or come twice,
//! and which call to AWS meets which fault, a crash of the caller before or after it included. Time is the runtime's,
//! paused, so that hours pass in a second. Every write of a row and every notice is checked as it happens
//! (`observer`), and what must hold in the end when all is quiet (`verdict`).

mod call;
mod client;
mod fault;
mod observer;
mod surroundings;
mod turns;
mod verdict;
mod wire;
mod world;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_smithy_runtime_api::client::http::{SharedHttpConnector, http_client_fn};
use serde_json::json;
use tokio_util::sync::CancellationToken;

pub use fault::{Fault, Plan};

use crate::data_dir::DataDir;
use crate::functions::Functions;
use crate::stack::{self, DEAD_LETTER_QUEUE, QUEUE, Stack};
use crate::stop::Group;
use crate::{endpoint, gateway, sqs};
use client::Deed;
use fault::Faults;
use wire::{Connector, Wire};
use world::{Mishaps, World};

/// How long no photo can be read where that is so.
const STORE_DOWN: Duration = Duration::from_mins(10);

/// Longest run, in simulated time.
const LONGEST: Duration = Duration::from_hours(12);

/// What happens in a run besides the faults of its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// Three uploads, one of them no photo, and all goes well.
    Calm,
    /// The same, but no event of S3's ever arrives.
    EventsLost,
    /// The same, but for ten minutes no photo can be read; what fails for that is redriven.
    StoreDown,
    /// Everybody does what the seed says, and events, messages and deletes get lost or are repeated.
    Rough,
}

impl Scenario {
    /// Those in which faults are enumerated.
    pub const ENUMERATED: [Self; 3] = [Self::Calm, Self::EventsLost, Self::StoreDown];
}

/// A run to be made.
#[derive(Clone, Debug)]
pub struct Run {
    /// What all chance follows from.
    pub seed: u64,
    /// What happens.
    pub scenario: Scenario,
    /// Which calls go wrong.
    pub plan: Plan,
    /// Whether the table and the buckets heed the conditions on writes. Off, the harness has to notice.
    pub conditions: bool,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What happened, line by line; the same for the same run.
    pub history: String,
    /// What must not have happened, or must hold and does not.
    pub wrong: Vec<String>,
    /// How many calls met each fault.
    pub met: BTreeMap<Fault, u32>,
    /// `function operation` of each call, in order.
    pub calls: Vec<String>,
}

impl Run {
    /// A run in which much goes wrong, drawn by `seed`.
    pub fn rough(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let plan = Plan::Drawn { seed, probability: random.f64() * 0.15, at_most: random.u32(1..=12), until: 1800 };
        Self { seed, scenario: Scenario::Rough, plan, conditions: true }
    }

    /// A run whose calls are the same each time, up to the one that goes wrong.
    pub fn of(scenario: Scenario, plan: Plan) -> Self {
        Self { seed: 0, scenario, plan, conditions: true }
    }

    /// Makes the run. `model` is the folder of the classifier. Needs a paused single-threaded runtime of its own, and
    /// `real`, a runtime whose time runs.
    ///
    /// # Panics
    /// If the embedded stack or the functions do not come up, or a function panics.
    pub async fn make(self, model: PathBuf, real: &tokio::runtime::Handle) -> Outcome {
        surroundings::begin(self.seed);
        let memory = PathBuf::from("/dev/shm");
        let parent = if memory.is_dir() { memory } else { std::env::temp_dir() };
        let dir = DataDir::ephemeral_in(&parent).unwrap_or_else(|error| panic!("no folder for a run: {error}"));
        let servers = Arc::new(Group::default());
        let stack = {
            let (path, servers, real) = (dir.path().to_owned(), Arc::clone(&servers), real.clone());
            let opened = tokio::task::spawn_blocking(move || {
                real.block_on(Stack::open(&path, &servers, CancellationToken::new()))
            });
            opened.await.unwrap_or_else(|error| panic!("{error}")).unwrap_or_else(|error| panic!("no stack: {error}"))
        };
        let outage = (self.scenario == Scenario::StoreDown).then_some(("S3.GET", STORE_DOWN.as_secs()));
        let faults = Faults::new(self.plan.clone(), outage);
        let wire = Wire::new(stack.clone(), endpoint::router(&stack), real.clone(), faults, self.conditions);
        let wire = Arc::new(wire);
        let address = ([127, 0, 0, 1], 4566).into();
        let connector = SharedHttpConnector::new(Connector(Arc::clone(&wire)));
        let sdk = stack::sdk_config(address, &stack.functions_key)
            .into_builder()
            .http_client(http_client_fn(move |_, _| connector.clone()))
            .retry_config(RetryConfig::standard())
            .timeout_config(shared::aws::timeouts())
            .build();
        stack.create_missing(&sdk).await.unwrap_or_else(|error| panic!("no stack: {error}"));

        let vars = stack::variables(address, None).with([
            ("MODEL_DIR", model.display().to_string()),
            ("CALLBACK_HOSTS", "hooks.test".to_owned()),
            ("CALLBACK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned()),
        ]);
        let functions = Functions::new(&sdk, &vars, surroundings::AMBIENT);
        let functions = Arc::new(functions.unwrap_or_else(|error| panic!("no functions: {error}")));
        let world = Arc::new(World {
            mishaps: match self.scenario {
                Scenario::Calm | Scenario::StoreDown => Mishaps::NONE,
                Scenario::EventsLost => Mishaps { lost_events: 1.0, ..Mishaps::NONE },
                Scenario::Rough => mishaps(self.seed),
            },
            stack,
            wire,
            gateway: gateway::router(Arc::clone(&functions), address, CancellationToken::new()),
            functions,
            invocations: AtomicU32::new(0),
            rough: AtomicBool::new(true),
        });
        let redriven = live_through(&world, &sdk, self.scenario).await;
        let wrong = world.verdict(&sdk, redriven).await;
        let state = world.wire.state();
        let outcome = Outcome {
            history: state.observer.history.clone(),
            wrong,
            met: state.faults.met.clone(),
            calls: state.sites.iter().map(|(function, operation)| format!("{function:?} {operation}")).collect(),
        };
        drop(state);
        servers.token().cancel();
        outcome
    }
}

fn mishaps(seed: u64) -> Mishaps {
    let mut random = fastrand::Rng::with_seed(seed.wrapping_add(1));
    Mishaps {
        lost_events: random.f64() * 0.2,
        repeated_events: random.f64() * 0.4,
        repeated_messages: random.f64() * 0.3,
        lost_deletes: random.f64() * 0.2,
        reconcile_at_once: random.f64() * 0.5,
    }
}

/// Lets everybody act, until all is quiet; then has what failed for want of luck redriven, until it is quiet again.
/// Says whether anything was.
async fn live_through(world: &Arc<World>, sdk: &aws_config::SdkConfig, scenario: Scenario) -> bool {
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(Arc::clone(world).deliver_events());
    tasks.spawn(Arc::clone(world).poll(0));
    tasks.spawn(Arc::clone(world).poll(1));
    tasks.spawn(Arc::clone(world).tick());
    let mut random = surroundings::random("deeds", 0);
    let deeds: Vec<Deed> = if scenario == Scenario::Rough {
        let mut deeds: Vec<Deed> = (0..random.usize(1..=4)).map(|_| Deed::USUAL[random.usize(..5)]).collect();
        deeds.extend((random.u8(..) < 25).then_some(Deed::SlotUnused));
        deeds
    } else {
        vec![Deed::Slot, Deed::Direct, Deed::Bad]
    };
    let mut clients = tokio::task::JoinSet::new();
    for (number, deed) in (1..).zip(deeds) {
        clients.spawn(Arc::clone(world).act(sdk.clone(), deed, number));
    }
    while let Some(done) = clients.join_next().await {
        done.unwrap_or_else(|error| panic!("a client gave up: {error}"));
    }
    quiet(world, sdk).await;
    world.wire.turns.take("redrive").await;
    let (dead, _) = world.queue_depth(DEAD_LETTER_QUEUE).await;
    if dead > 0 {
        world.wire.state().observer.remark("dead letters are put back");
        world.wire.state().observer.redriven = true;
        world
            .sqs(
                "StartMessageMoveTask",
                json!({ "SourceArn": sqs::arn(DEAD_LETTER_QUEUE), "DestinationArn": sqs::arn(QUEUE) }),
            )
            .await;
        quiet(world, sdk).await;
    }
    tasks.shutdown().await;
    dead > 0
}

/// Waits until nothing is left to do, and nothing turns up at the next two looks of reconcile.
async fn quiet(world: &Arc<World>, sdk: &aws_config::SdkConfig) {
    let mut calm = 0;
    while calm < 3 && surroundings::elapsed() < LONGEST {
        tokio::time::sleep(Duration::from_secs(301)).await;
        if surroundings::elapsed() > Duration::from_mins(30) {
            world.rough.store(false, Ordering::Relaxed);
        }
        calm = if world.is_quiet(sdk).await { calm + 1 } else { 0 };
    }
}
