//! The schedules of EventBridge: reconcile and sweep, both by the dispatcher.
//!
//! On AWS reconcile runs every five minutes. Here it runs every ten seconds: somebody is watching.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::functions::{Function, Functions};

/// A rule of the schedule.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    action: &'static str,
    interval: Duration,
}

/// Looks after jobs whose event, lease or notice got lost.
pub(crate) const RECONCILE: Rule = Rule { action: "reconcile", interval: Duration::from_secs(10) };

/// Looks for objects without a job.
pub(crate) const SWEEP: Rule = Rule { action: "sweep", interval: Duration::from_hours(24) };

/// Invokes the dispatcher at once and then at each interval, until `stop`. Never two at a time; what falls due
/// meanwhile (a laptop was asleep) is made up for once.
pub(crate) async fn run(rule: Rule, functions: Arc<Functions>, stop: CancellationToken) {
    let mut interval = tokio::time::interval(rule.interval);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(interval.tick()).await.is_some() {
        // The rules of the deployed schedule have this constant input too.
        let event = json!({ "action": rule.action });
        if let Err(error) = functions.invoke(Function::Dispatcher, event).await {
            tracing::error!(%error, action = rule.action, "a scheduled run failed");
        }
    }
}
