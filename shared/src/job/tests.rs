//! The job's life as a whole: what holds whatever happens, in whatever order.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

const START: i64 = 1_790_000_000_000_000;

/// Everything that can happen to a job, as somebody might do it at any time.
#[derive(Clone, Debug)]
enum Event {
    Arrive(u8),
    Queued,
    Claim(u8),
    Complete(u8),
    Fail(u8),
    Release(u8),
    TimeOut,
    LookAgainLater,
    UploadMissing,
    Announced,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (0..3u8).prop_map(Event::Arrive),
        Just(Event::Queued),
        (0..3u8).prop_map(Event::Claim),
        (0..3u8).prop_map(Event::Complete),
        (0..3u8).prop_map(Event::Fail),
        (0..3u8).prop_map(Event::Release),
        Just(Event::TimeOut),
        Just(Event::LookAgainLater),
        Just(Event::UploadMissing),
        Just(Event::Announced),
    ]
}

fn at(second: u64) -> Timestamp {
    Timestamp::from_micros(START) + Duration::from_secs(second)
}

fn slot() -> Job {
    Job::awaiting_upload(JobId::random(), "b", "uploads/x/a.jpg", at(300), at(0))
}

fn object(sequencer: u8) -> ObjectVersion {
    ObjectVersion {
        e_tag: format!("e{sequencer}"),
        sequencer: Some(format!("0{sequencer}")),
        ..ObjectVersion::default()
    }
}

fn result() -> Completed {
    let source = Source {
        key: "uploads/x/a.jpg".into(),
        bytes: 1,
        content_type: "image/jpeg".into(),
        format: crate::format::Format::Jpeg,
        width: 1,
        height: 1,
        e_tag: "e".into(),
    };
    let classification = Classification { model: "m".into(), predicted_class: "cat".into(), predictions: vec![] };
    Completed {
        source,
        classification,
        derivatives: vec![],
        processed_url: "s3://p/k".into(),
        download_url_expires_at: None,
    }
}

/// Three workers, each with the last lease it was granted, which may long be stale.
struct World {
    job: Job,
    leases: [Option<Lease>; 3],
}

impl World {
    fn apply(&mut self, event: &Event, now: Timestamp) -> Transition {
        let lease_of = |worker: u8| {
            self.leases[usize::from(worker)].clone().unwrap_or(Lease { owner: "nobody".into(), attempt: 0 })
        };
        match *event {
            Event::Arrive(sequencer) => self.job.arrive(object(sequencer), now),
            Event::Queued => self.job.queued(now),
            Event::Claim(worker) => {
                let owner = format!("{worker} at {now}");
                let moved = self.job.claim(&owner, now + Duration::from_mins(1), now);
                if let Some(lease) = self.job.lease_of(&owner) {
                    self.leases[usize::from(worker)] = Some(lease);
                }
                moved
            }
            Event::Complete(worker) => self.job.complete(&lease_of(worker), result(), now),
            Event::Fail(worker) => self.job.fail(&lease_of(worker), Code::CorruptImage, "no", now),
            Event::Release(worker) => self.job.release(&lease_of(worker), Duration::ZERO, now),
            Event::TimeOut => self.job.time_out(now),
            Event::LookAgainLater => self.job.look_again_later(now),
            Event::UploadMissing => self.job.upload_is_missing(now),
            Event::Announced => self.job.announced(now),
        }
    }
}

proptest! {
    #[test]
    fn no_order_of_events_breaks_a_jobs_life(events in prop::collection::vec((event(), 0..4000u64), 1..60)) {
        let mut world = World { job: slot(), leases: [None, None, None] };
        let mut second = 0;
        for (event, pause) in events {
            second += pause;
            let before = world.job.clone();
            let moved = world.apply(&event, at(second));
            let after = &world.job;

            if moved == Transition::Unchanged {
                prop_assert_eq!(&before, after, "{:?} says it changed nothing", event);
            }
            let step = (before.status(), after.status());
            let legal = step.0 == step.1
                || matches!(step, (Status::Pending, Status::Processing | Status::Failed))
                || matches!(step, (Status::Processing, Status::Completed | Status::Failed));
            prop_assert!(legal, "{:?} went from {:?} to {:?}", event, step.0, step.1);
            if before.is_final() {
                prop_assert_eq!(&before.state, &after.state, "{:?} moved a final job", event);
                prop_assert_eq!(before.attempts, after.attempts);
            }
            // The fencing token only grows, and grows with every claim.
            let claimed = matches!(event, Event::Claim(_)) && moved == Transition::Changed;
            prop_assert_eq!(after.attempts, before.attempts + u32::from(claimed));
            // Nothing is forgotten: an unfinished or unannounced job is due some time.
            prop_assert_eq!(after.due_at.is_none(), after.is_final() && after.announced_at.is_some());
            prop_assert!(after.updated_at >= before.updated_at);
            // Somebody's end is written only by who holds the last lease.
            if let (Event::Complete(worker) | Event::Fail(worker), Transition::Changed) = (&event, moved) {
                let lease = world.leases[usize::from(*worker)].as_ref();
                prop_assert_eq!(lease.map(|lease| lease.attempt), Some(before.attempts));
            }
        }
    }

    #[test]
    fn a_row_survives_being_stored(events in prop::collection::vec((event(), 0..4000u64), 0..20)) {
        let mut world = World { job: slot(), leases: [None, None, None] };
        let mut second = 0;
        for (event, pause) in events {
            second += pause;
            let _ = world.apply(&event, at(second));
        }
        let json = serde_json::to_value(&world.job).unwrap();
        prop_assert_eq!(json["status"].as_str(), Some(world.job.status().as_str()));
        prop_assert_eq!(serde_json::from_value::<Job>(json).unwrap(), world.job);
    }
}

#[test]
fn an_older_sequencer_never_overrides_a_newer_one() {
    let mut job = slot();
    assert_eq!(job.arrive(object(2), at(1)), Transition::Changed);
    assert_eq!(job.arrive(object(1), at(2)), Transition::Unchanged);
    assert_eq!(job.object, Some(object(2)));
    let long = ObjectVersion { sequencer: Some("0200".into()), ..object(2) };
    assert!(!long.is_newer_than(&object(2)), "sequencers are padded on the right");
    let longer = ObjectVersion { sequencer: Some("0201".into()), ..object(2) };
    assert!(longer.is_newer_than(&object(2)));
}

#[test]
fn a_claim_waits_for_the_lease_to_end() {
    let mut job = slot();
    assert_eq!(job.claim("a", at(60), at(0)), Transition::Changed);
    assert_eq!(job.claim("b", at(119), at(59)), Transition::Unchanged);
    assert_eq!(job.claim("a", at(119), at(59)), Transition::Unchanged, "the answer was lost: found granted");
    assert_eq!(job.lease_of("a"), Some(Lease { owner: "a".into(), attempt: 1 }));
    assert_eq!(job.claim("b", at(120), at(60)), Transition::Changed);
    let stale = Lease { owner: "a".into(), attempt: 1 };
    assert_eq!(job.complete(&stale, result(), at(61)), Transition::Unchanged);
}

#[test]
fn a_released_job_is_claimed_at_once_and_takes_the_newest_object() {
    let mut job = slot();
    let _ = job.arrive(object(1), at(1));
    let _ = job.claim("a", at(60), at(2));
    assert_eq!(job.arrive(object(2), at(3)), Transition::Changed);
    assert_eq!(
        job.release(&Lease { owner: "a".into(), attempt: 1 }, Duration::from_secs(5), at(4)),
        Transition::Changed
    );
    assert_eq!((job.status(), job.due_at), (Status::Processing, Some(at(9) + REQUEUE_AFTER)));
    assert_eq!(job.claim("b", at(70), at(9)), Transition::Changed);
    assert_eq!((job.attempts, job.object), (2, Some(object(2))));
}

#[test]
fn an_unused_url_expires_an_hour_after_it_ended() {
    let mut job = slot();
    assert_eq!(job.due_at, Some(at(300)));
    assert_eq!(job.upload_is_missing(at(300)), Transition::Changed);
    assert_eq!((job.status(), job.due_at), (Status::Pending, Some(at(3900))));
    assert_eq!(job.upload_is_missing(at(3899)), Transition::Unchanged);
    assert_eq!(job.upload_is_missing(at(3900)), Transition::Changed);
    assert!(matches!(job.state, State::Failed { error_code: Code::UploadExpired, .. }));
}

#[test]
fn a_vanished_worker_costs_an_attempt_and_the_fifth_ends_the_job() {
    let mut job = slot();
    for attempt in 1..=MAX_ATTEMPTS {
        let start = u64::from(attempt) * 1000;
        assert_eq!(job.claim(&attempt.to_string(), at(start + 60), at(start)), Transition::Changed);
        assert_eq!(job.queued(at(start + 59)), Transition::Unchanged, "somebody is at it");
        assert_eq!(job.time_out(at(start + 69)), Transition::Unchanged, "the lease is not long gone");
        let last = attempt == MAX_ATTEMPTS;
        assert_eq!(job.time_out(at(start + 70)) == Transition::Changed, last);
    }
    assert!(matches!(job.state, State::Failed { error_code: Code::TimedOut, .. }));
}

#[test]
fn the_stored_row_is_this() {
    let id: JobId = "6f1c2b54-8f0e-4b6e-9d5b-3d1f7a90c3e2".parse().unwrap();
    let mut job = Job::awaiting_upload(id, "uploads", "uploads/x/a.jpg", at(300), at(0));
    job.filename = Some("a.jpg".into());
    job.expires_at = 1_792_592_000;
    let _ = job.arrive(object(1), at(1));
    let _ = job.claim("worker", at(60), at(2));
    insta::assert_json_snapshot!("processing", job);
    let _ = job.complete(&Lease { owner: "worker".into(), attempt: 1 }, result(), at(3));
    insta::assert_json_snapshot!("completed", job);
}
