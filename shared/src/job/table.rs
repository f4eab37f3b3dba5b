//! Every state of a job times everything that can happen to it: one table, to be read by people.

use std::fmt::Write as _;
use std::time::Duration;

use super::tests::{at, delivery, object, result, slot};
use super::*;

/// The lease that the processing states of the table were claimed with.
const OWNER: &str = "worker";

/// Now, in seconds: the lease of the processing states ends at 1060.
const NOW: u64 = 1000;

fn arrived() -> Job {
    let mut job = slot();
    let _ = job.arrive(object(1), at(1));
    job
}

fn queued() -> Job {
    let mut job = arrived();
    let _ = job.queued("work", at(2));
    job
}

/// Claimed at 1000 − `ago`, for a minute.
fn processing(ago: u64) -> Job {
    let mut job = queued();
    let start = NOW - ago;
    let _ = job.claim(OWNER, &delivery("work", at(2)), at(start + 60), at(start));
    job
}

fn last_attempt(ago: u64) -> Job {
    let mut job = processing(ago);
    job.attempts = MAX_ATTEMPTS;
    job
}

fn failed(code: Code) -> Job {
    let mut job = processing(10);
    let _ = job.fail(&job.lease_of(OWNER).unwrap(), code, "no", at(NOW - 5));
    job
}

fn announced(mut job: Job) -> Job {
    let _ = job.announced(job.end().unwrap(), at(NOW - 4));
    job
}

fn states() -> Vec<(&'static str, Job)> {
    let mut replaced = processing(10);
    let _ = replaced.arrive(object(2), at(NOW - 1));
    let mut released = processing(10);
    let _ = released.release(&released.lease_of(OWNER).unwrap(), Duration::from_secs(5), at(NOW - 1));
    let mut completed = processing(10);
    let _ = completed.complete(&completed.lease_of(OWNER).unwrap(), result(), at(NOW - 5));
    let mut redriven = failed(Code::RetriesExhausted);
    let _ = redriven.redrive(&delivery("work", at(NOW - 2)), at(NOW - 1));
    let mut expired = slot();
    let _ = expired.upload_is_missing(at(100_000));
    vec![
        ("PENDING, nothing uploaded", slot()),
        ("PENDING, uploaded", arrived()),
        ("PENDING, queued", queued()),
        ("PROCESSING, leased", processing(10)),
        ("PROCESSING, leased, photo replaced", replaced),
        ("PROCESSING, released", released),
        ("PROCESSING, lease just over", processing(61)),
        ("PROCESSING, lease long over", processing(90)),
        ("PROCESSING, last lease long over", last_attempt(90)),
        ("COMPLETED", completed.clone()),
        ("COMPLETED, announced", announced(completed)),
        ("FAILED CORRUPT_IMAGE", failed(Code::CorruptImage)),
        ("FAILED RETRIES_EXHAUSTED", failed(Code::RetriesExhausted)),
        ("FAILED TIMED_OUT, announced", announced(failed(Code::TimedOut))),
        ("FAILED UPLOAD_EXPIRED", expired),
        ("PENDING, redriven", redriven),
    ]
}

type Event = fn(&mut Job) -> Transition;

/// What can happen, at second 1000. `lease` is the first claim's, whatever became of it.
fn events() -> Vec<(&'static str, Event)> {
    fn lease() -> Lease {
        Lease { owner: OWNER.into(), attempt: 1, object: Some(object(1)), work_id: Some("work".into()) }
    }
    fn last_lease() -> Lease {
        Lease { attempt: MAX_ATTEMPTS, ..lease() }
    }
    fn claim(job: &mut Job, owner: &str) -> Transition {
        job.claim(owner, &delivery("work", at(2)), at(NOW + 60), at(NOW))
    }
    vec![
        ("arrive: the same", |job| job.arrive(object(1), at(NOW))),
        ("arrive: older", |job| job.arrive(object(0), at(NOW))),
        ("arrive: newer", |job| job.arrive(object(3), at(NOW))),
        ("queued", |job| job.queued("again", at(NOW))),
        ("claim by the same", |job| claim(job, OWNER)),
        ("claim by another", |job| claim(job, "another")),
        ("claim with a newer message", |job| job.claim("another", &delivery("work", at(NOW)), at(NOW + 60), at(NOW))),
        ("complete, first lease", |job| job.complete(&lease(), result(), at(NOW))),
        ("complete, fifth lease", |job| job.complete(&last_lease(), result(), at(NOW))),
        ("fail, first lease", |job| job.fail(&lease(), Code::CorruptImage, "no", at(NOW))),
        ("release, first lease", |job| job.release(&lease(), Duration::ZERO, at(NOW))),
        ("begin again, first lease", |job| job.begin_again(&lease(), "next", Duration::ZERO, at(NOW))),
        ("time out", |job| job.time_out("evidence", at(NOW))),
        ("exhaust: newest work item", |job| job.exhaust(&delivery("work", at(2)), at(NOW))),
        ("exhaust: another one", |job| job.exhaust(&delivery("other", at(2)), at(NOW))),
        ("upload missing, in time", |job| job.upload_is_missing(at(NOW))),
        ("upload missing, too late", |job| job.upload_is_missing(at(100_000))),
        ("exhaust: sent anew", |job| job.exhaust(&delivery("work", at(NOW)), at(NOW))),
        ("redrive: its message, anew", |job| job.redrive(&delivery("work", at(200_000)), at(200_001))),
        ("redrive: its message, a copy", |job| job.redrive(&delivery("work", at(2)), at(NOW))),
        ("redrive: another message", |job| job.redrive(&delivery("other", at(200_000)), at(200_001))),
        ("announced", |job| job.end().map_or(Transition::Unchanged, |end| job.announced(end, at(NOW)))),
        ("look again later", |job| job.look_again_later(at(NOW))),
        ("keep URLs", |job| job.keep_urls(&[], at(NOW))),
    ]
}

fn name(job: &Job) -> String {
    let status = job.status().as_str();
    let more = match &job.state {
        State::Processing { lease_owner, .. } => format!(" {lease_owner} {}", job.attempts),
        State::Failed { error_code, .. } => format!(" {error_code}"),
        State::Pending | State::Completed(_) => String::new(),
    };
    let due = match job.due_at {
        Some(due) if due <= at(NOW) => "due".to_owned(),
        Some(due) => format!("due in {} s", due.since(at(NOW)).as_secs()),
        None => "never due".to_owned(),
    };
    format!("{status}{more}, {due}")
}

#[test]
fn what_each_event_does_in_each_state_is_this() {
    let mut table = String::new();
    for (state, job) in states() {
        let _ = writeln!(table, "{state} ({})", name(&job));
        for (event, apply) in events() {
            let mut after = job.clone();
            match apply(&mut after) {
                Transition::Unchanged => assert_eq!(after, job, "{event} in {state}"),
                Transition::Changed => {
                    let _ = writeln!(table, "    {event:<30} → {}", name(&after));
                }
            }
        }
    }
    insta::assert_snapshot!(table);
}
