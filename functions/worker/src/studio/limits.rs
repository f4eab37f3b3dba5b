//! What a studio may take for one photo, enforced by the kernel and a watchdog: estimates can be wrong, these cannot.
//!
//! Memory is limited on Linux only (`RLIMIT_DATA`, which counts what is allocated, touched or not); elsewhere the
//! estimate from the photo's header is all there is. Processor time is read by a thread, which ends the process with a
//! status that says so; should even that thread not get its turn, the kernel's own limit in whole seconds follows.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, getppid, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

use super::message::Budget;
use crate::image::spare;

/// Exit status of a studio whose photo took too much processor time.
pub(super) const OUT_OF_TIME: i32 = 86;

/// How often the clock is read while a photo is worked on.
const PULSE: Duration = Duration::from_millis(25);

/// Memory that a studio may keep between two photos, in bytes: what the C library's allocator does not give back, since
/// something small stands behind it. Some of it serves the next photo, but nobody knows how much.
const KEPT: u64 = 8 << 20;

/// What the kernel's limit leaves to the watchdog, in seconds.
const GRACE: u64 = 2;

/// Ends the process when the photo at work has used up its time, or when nobody is left to ask for it.
pub(super) struct Watchdog {
    /// The process's clock at which it ends; none between photos.
    deadline: Arc<(Mutex<Option<Duration>>, Condvar)>,
    /// Memory that the process had before its first photo, in bytes, where that can be known.
    at_first: Option<u64>,
}

impl Watchdog {
    pub(super) fn start() -> std::io::Result<Self> {
        let deadline = Arc::<(Mutex<Option<Duration>>, Condvar)>::default();
        let watched = Arc::clone(&deadline);
        let parent = getppid();
        thread::Builder::new().name("watchdog".into()).stack_size(128 << 10).spawn(move || watch(&watched, parent))?;
        Ok(Self { deadline, at_first: data_size() })
    }

    /// Sets the limits for one photo; they last until the guard is dropped.
    ///
    /// That of memory is the same whatever photos came before, but for what is held of their pictures, which this one may not
    /// have a use for.
    pub(super) fn limit(&self, budget: Budget) -> Limited<'_> {
        limit_memory(self.at_first.map(|at_first| at_first + KEPT + spare::held() as u64 + budget.memory));
        let deadline = processor_time() + budget.time;
        limit_processor(Some(deadline.as_secs() + 1 + GRACE));
        self.set(Some(deadline));
        Limited(self)
    }

    /// Whether so little was kept of the photos so far that the next one can have all that it may.
    pub(super) fn is_ready(&self) -> bool {
        let kept = data_size().zip(self.at_first).map_or(0, |(now, at_first)| now.saturating_sub(at_first));
        kept <= KEPT + spare::held() as u64
    }

    fn set(&self, deadline: Option<Duration>) {
        let (lock, changed) = &*self.deadline;
        *lock.lock().unwrap_or_else(PoisonError::into_inner) = deadline;
        changed.notify_one();
    }
}

/// Limits in force.
pub(super) struct Limited<'a>(&'a Watchdog);

impl Drop for Limited<'_> {
    fn drop(&mut self) {
        self.0.set(None);
        limit_processor(None);
        limit_memory(None);
    }
}

fn watch((lock, changed): &(Mutex<Option<Duration>>, Condvar), parent: Option<Pid>) {
    let mut deadline = lock.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        deadline = match *deadline {
            None => changed.wait(deadline).unwrap_or_else(PoisonError::into_inner),
            Some(end) if processor_time() >= end || getppid() != parent => std::process::exit(OUT_OF_TIME),
            Some(_) => changed.wait_timeout(deadline, PULSE).unwrap_or_else(PoisonError::into_inner).0,
        };
    }
}

/// Processor time of this process so far, all threads together.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Writable private memory of this process, in bytes: what `RLIMIT_DATA` is compared with.
fn data_size() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmData:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib << 10)
}

/// Sets the soft limit; none lifts it.
fn limit_memory(bytes: Option<u64>) {
    if cfg!(target_os = "linux") {
        set(Resource::Data, bytes);
    }
}

fn limit_processor(seconds: Option<u64>) {
    set(Resource::Cpu, seconds);
}

fn set(resource: Resource, value: Option<u64>) {
    let maximum = getrlimit(resource).maximum;
    let current = value.map_or(maximum, |value| Some(maximum.map_or(value, |maximum| value.min(maximum))));
    // OK to ignore: a soft limit below the hard one is always allowed.
    let _ = setrlimit(resource, Rlimit { current, maximum });
}

/// Keeps a crash from writing the process's memory to a disk.
pub(super) fn leave_no_core() {
    // OK to ignore: lowering a limit is always allowed.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}
