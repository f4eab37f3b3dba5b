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
    Exhaust(u8),
    Redrive(u8, u64),
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
        (0..3u8).prop_map(Event::Exhaust),
        ((0..3u8), (0..4000u64)).prop_map(|(work, ago)| Event::Redrive(work, ago)),
        Just(Event::LookAgainLater),
        Just(Event::UploadMissing),
        Just(Event::Announced),
    ]
}

pub(super) fn at(second: u64) -> Timestamp {
    Timestamp::from_micros(START) + Duration::from_secs(second)
}

pub(super) fn delivery(work_id: &str, sent_at: Timestamp) -> Delivery {
    Delivery { work_id: Some(work_id.to_owned()), sent_at }
}

/// The lease of `owner`, who claimed the job as the first.
fn first_lease(owner: &str, object: Option<ObjectVersion>) -> Lease {
    Lease { owner: owner.into(), attempt: 1, object, work_id: Some("w".into()) }
}

pub(super) fn slot() -> Job {
    Job::awaiting_upload(JobId::random(), "b", "uploads/x/a.jpg", at(300), at(0))
}

pub(super) fn object(sequencer: u8) -> ObjectVersion {
    ObjectVersion {
        e_tag: format!("e{sequencer}"),
        sequencer: Some(format!("0{sequencer}")),
        ..ObjectVersion::default()
    }
}

pub(super) fn result() -> Completed {
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
        placeholder: Some(Placeholder { thumb_hash: "aGFzaA==".into(), dominant_color: Color([1, 2, 3]) }),
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
            let nobody = Lease { owner: "nobody".into(), attempt: 0, object: None, work_id: None };
            self.leases[usize::from(worker)].clone().unwrap_or(nobody)
        };
        match *event {
            Event::Arrive(sequencer) => self.job.arrive(object(sequencer), now),
            Event::Queued => self.job.queued("work 0", now),
            Event::Claim(worker) => {
                let owner = format!("{worker} at {now}");
                let delivery = delivery(&format!("work {worker}"), now);
                let moved = self.job.claim(&owner, &delivery, now + Duration::from_mins(1), now);
                if let Some(lease) = self.job.lease_of(&owner) {
                    self.leases[usize::from(worker)] = Some(lease);
                }
                moved
            }
            Event::Complete(worker) => self.job.complete(&lease_of(worker), result(), now),
            Event::Fail(worker) => self.job.fail(&lease_of(worker), Code::CorruptImage, "no", now),
            Event::Release(worker) => self.job.release(&lease_of(worker), Duration::ZERO, now),
            Event::TimeOut => self.job.time_out("work 0", now),
            Event::Exhaust(work) => self.job.exhaust(&delivery(&format!("work {work}"), now), now),
            Event::Redrive(work, ago) => {
                self.job.redrive(&delivery(&format!("work {work}"), now - Duration::from_secs(ago)), now)
            }
            Event::LookAgainLater => self.job.look_again_later(now),
            Event::UploadMissing => self.job.upload_is_missing(now),
            Event::Announced => self.job.end().map_or(Transition::Unchanged, |end| self.job.announced(end, now)),
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
            let redriven = matches!(event, Event::Redrive(..)) && moved == Transition::Changed;
            let legal = step.0 == step.1
                || matches!(step, (Status::Pending, Status::Processing | Status::Failed))
                || matches!(step, (Status::Processing, Status::Completed | Status::Failed))
                || (redriven && step == (Status::Failed, Status::Pending));
            prop_assert!(legal, "{:?} went from {:?} to {:?}", event, step.0, step.1);
            if before.is_final() && !redriven {
                prop_assert_eq!(&before.state, &after.state, "{:?} moved a final job", event);
                prop_assert_eq!(before.attempts, after.attempts);
            }
            if redriven {
                let code = match before.state {
                    State::Failed { error_code, .. } => Some(error_code),
                    _ => None,
                };
                prop_assert!(matches!(code, Some(Code::RetriesExhausted | Code::TimedOut)), "{:?} redriven", code);
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
fn a_version_that_was_found_without_its_event_is_newer_than_what_it_replaces() {
    let mut job = slot();
    let found = ObjectVersion { sequencer: None, ..object(2) };
    let _ = job.arrive(object(1), at(1));
    assert_eq!(job.arrive(found, at(2)), Transition::Changed);
    assert_eq!(job.arrive(object(1), at(3)), Transition::Unchanged, "a late copy of the older one's event");
    assert_eq!(job.arrive(object(2), at(4)), Transition::Changed, "its own event knows its place");
    assert_eq!((job.object.clone(), job.arrive(object(2), at(5))), (Some(object(2)), Transition::Unchanged));
    assert_eq!(job.arrive(object(3), at(6)), Transition::Changed);
}

#[test]
fn an_attempt_without_a_turn_does_not_count_and_those_that_failed_do() {
    let mut job = slot();
    for attempt in 1..=3 * MAX_ATTEMPTS {
        let start = u64::from(attempt) * 1000;
        let owner = attempt.to_string();
        let _ = job.claim(&owner, &delivery("w", at(start)), at(start + 60), at(start));
        let lease = job.lease_of(&owner).unwrap();
        // Every third time the worker vanishes.
        if attempt % 3 != 0 {
            let moved = job.begin_again(&lease, "next", Duration::from_secs(5), at(start + 1));
            assert_eq!((moved, job.work_id.as_deref()), (Transition::Changed, Some("next")));
            let again = job.begin_again(&lease, "next", Duration::from_secs(5), at(start + 2));
            assert_eq!(again, Transition::Unchanged, "it counts once");
        }
        assert_eq!(job.is_spent(), attempt == 3 * MAX_ATTEMPTS);
    }
    assert_eq!(job.time_out("e", at(99_000)), Transition::Changed);
}

#[test]
fn a_newer_version_has_all_its_attempts_before_it() {
    let mut job = slot();
    let _ = job.arrive(object(1), at(1));
    job.attempts = MAX_ATTEMPTS - 1;
    let _ = job.claim("a", &delivery("w", at(1)), at(60), at(2));
    assert!(job.is_spent());
    let lease = job.lease_of("a").unwrap();
    let _ = job.arrive(object(2), at(3));
    assert_eq!(job.begin_again(&lease, "next", Duration::ZERO, at(4)), Transition::Changed);
    assert_eq!((job.is_spent(), job.earlier_attempts), (false, MAX_ATTEMPTS));
    assert_eq!(job.exhaust(&delivery("w", at(1)), at(99)), Transition::Unchanged, "the old message says nothing now");
}

#[test]
fn a_dead_letter_that_was_redriven_meanwhile_ends_nothing() {
    let mut job = slot();
    let _ = job.claim("a", &delivery("w", at(1)), at(60), at(2));
    let _ = job.fail(&first_lease("a", None), Code::RetriesExhausted, "no", at(3));
    let _ = job.redrive(&delivery("w", at(8)), at(9));
    assert_eq!(job.exhaust(&delivery("w", at(1)), at(10)), Transition::Unchanged);
    assert_eq!(job.exhaust(&delivery("w", at(8)), at(10)), Transition::Changed, "it is dead once more");
}

#[test]
fn a_claim_waits_for_the_lease_to_end() {
    let mut job = slot();
    let work = delivery("w", at(0));
    assert_eq!(job.claim("a", &work, at(60), at(0)), Transition::Changed);
    assert_eq!(job.claim("b", &work, at(119), at(59)), Transition::Unchanged);
    assert_eq!(job.claim("a", &work, at(119), at(59)), Transition::Unchanged, "the answer was lost: found granted");
    assert_eq!(job.lease_of("a"), Some(first_lease("a", None)));
    assert_eq!(job.claim("b", &work, at(120), at(60)), Transition::Changed);
    assert_eq!(job.complete(&first_lease("a", None), result(), at(61)), Transition::Unchanged);
}

#[test]
fn a_photo_replaced_while_it_is_processed_does_not_end_the_job() {
    let mut job = slot();
    let work = delivery("w", at(1));
    let _ = job.arrive(object(1), at(1));
    let _ = job.claim("a", &work, at(60), at(2));
    assert_eq!(job.arrive(object(2), at(3)), Transition::Changed);
    let lease = first_lease("a", Some(object(1)));
    assert_eq!(job.complete(&lease, result(), at(4)), Transition::Unchanged);
    assert_eq!(job.fail(&lease, Code::CorruptImage, "no", at(4)), Transition::Unchanged);
    assert_eq!(job.release(&lease, Duration::from_secs(5), at(4)), Transition::Changed);
    assert_eq!((job.status(), job.due_at), (Status::Processing, Some(at(9) + RETRY_GRACE)));
    assert_eq!(job.claim("b", &work, at(70), at(9)), Transition::Changed);
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
        let work = delivery("w", at(start));
        assert_eq!(job.claim(&attempt.to_string(), &work, at(start + 60), at(start)), Transition::Changed);
        assert_eq!(job.queued("w", at(start + 59)), Transition::Unchanged, "somebody is at it");
        assert_eq!(job.time_out("e", at(start + 69)), Transition::Unchanged, "the lease is not long gone");
        let last = attempt == MAX_ATTEMPTS;
        assert_eq!(job.time_out("e", at(start + 70)) == Transition::Changed, last);
    }
    assert!(matches!(job.state, State::Failed { error_code: Code::TimedOut, .. }));
}

#[test]
fn a_redrive_takes_the_message_that_the_job_failed_with_sent_anew() {
    let mut job = slot();
    let _ = job.claim("a", &delivery("w", at(1)), at(60), at(2));
    let _ = job.fail(&first_lease("a", None), Code::RetriesExhausted, "no", at(3));
    let failed = job.clone();
    assert_eq!(job.redrive(&delivery("w", at(1)), at(9)), Transition::Unchanged, "a late copy");
    assert_eq!(job.redrive(&delivery("x", at(8)), at(9)), Transition::Unchanged, "queued while the job failed");
    assert_eq!(job, failed);
    assert_eq!(job.redrive(&delivery("w", at(8)), at(9)), Transition::Changed);
    assert_eq!((job.status(), job.attempts), (Status::Pending, 1));
    assert_eq!(job.claim("late", &delivery("w", at(1)), at(70), at(10)), Transition::Unchanged, "a late copy");
    let mut by_hand = failed.clone();
    assert_eq!(by_hand.redrive(&Delivery { work_id: None, sent_at: at(8) }, at(9)), Transition::Changed);

    let _ = job.claim("b", &delivery("w", at(8)), at(70), at(10));
    assert_eq!(job.attempts, 2);
    let lease = job.lease_of("b").unwrap();
    let _ = job.fail(&lease, Code::CorruptImage, "no", at(11));
    assert_eq!(job.redrive(&delivery("w", at(20)), at(21)), Transition::Unchanged, "a bad photo stays bad");
}

#[test]
fn an_announcement_counts_for_the_end_that_it_tells_of() {
    let mut job = slot();
    let _ = job.claim("a", &delivery("w", at(1)), at(60), at(2));
    let _ = job.fail(&first_lease("a", None), Code::RetriesExhausted, "no", at(3));
    let failed = job.end().unwrap();
    let _ = job.redrive(&delivery("w", at(8)), at(9));
    assert_eq!(job.announced(failed, at(10)), Transition::Unchanged, "redriven meanwhile");
    let _ = job.claim("b", &delivery("w", at(8)), at(70), at(10));
    let _ = job.complete(&job.lease_of("b").unwrap(), result(), at(11));
    assert_eq!(job.announced(failed, at(12)), Transition::Unchanged, "and completed");
    assert_eq!((job.announced_at, job.due_at), (None, Some(at(11) + ANNOUNCE_AFTER)));
    assert_eq!(job.announced(job.end().unwrap(), at(13)), Transition::Changed);
}

#[test]
fn a_job_fails_with_the_work_item_that_its_worker_holds() {
    let mut job = slot();
    let _ = job.arrive(object(1), at(1));
    let _ = job.claim("a", &delivery("w", at(1)), at(60), at(2));
    let lease = job.lease_of("a").unwrap();
    assert_eq!(job.queued("x", at(70)), Transition::Changed, "the lease is over");
    assert_eq!(
        job.fail(&lease, Code::RetriesExhausted, "no", at(71)),
        Transition::Changed,
        "but nobody has claimed since"
    );
    assert_eq!(job.redrive(&delivery("w", at(80)), at(81)), Transition::Changed);
}

#[test]
fn a_dead_letter_ends_the_job_it_is_the_newest_work_item_of_once_nobody_is_at_it() {
    let mut job = slot();
    let _ = job.arrive(object(1), at(1));
    let _ = job.queued("old", at(1));
    let _ = job.queued("new", at(2));
    assert_eq!(job.exhaust(&delivery("old", at(1)), at(3)), Transition::Unchanged);
    let _ = job.claim("a", &delivery("new", at(2)), at(60), at(4));
    assert_eq!(job.exhaust(&delivery("new", at(2)), at(69)), Transition::Unchanged, "somebody may be at it");
    assert_eq!(job.exhaust(&delivery("new", at(2)), at(70)), Transition::Changed);
    assert!(matches!(job.state, State::Failed { error_code: Code::RetriesExhausted, .. }));
}

#[test]
fn the_stored_row_is_this() {
    let id: JobId = "6f1c2b54-8f0e-4b6e-9d5b-3d1f7a90c3e2".parse().unwrap();
    let mut job = Job::awaiting_upload(id, "uploads", "uploads/x/a.jpg", at(300), at(0));
    job.filename = Some("a.jpg".into());
    job.owner = Some("ann".into());
    job.expires_at = 1_792_592_000;
    let _ = job.arrive(object(1), at(1));
    let _ = job.claim("worker", &delivery("work", at(1)), at(60), at(2));
    insta::assert_json_snapshot!("processing", job);
    let _ = job.complete(&first_lease("worker", Some(object(1))), result(), at(3));
    insta::assert_json_snapshot!("completed", job);
}

#[test]
fn a_message_waited_since_it_was_sent_if_it_says_when() {
    let waited = |sent| Delivery::of_message(None, sent).waited(Timestamp::from_micros(1_795_000_000_000_000));
    assert_eq!(waited(Some("1794999998500")), Some(Duration::from_millis(1500)));
    assert_eq!(waited(Some("1795000000001")), Some(Duration::ZERO), "clocks differ");
    assert_eq!((waited(None), waited(Some("yesterday"))), (None, None));
}
