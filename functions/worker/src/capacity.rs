//! How much may be under way at once: files, memory, and work for the processor. Whoever has to wait, waits here.

use std::sync::Arc;
use std::time::Duration;

use shared::error::Failure;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::image::MEMORY_MIB;

/// Leave to go on, until it is dropped. None would mean that a semaphore was closed, which none ever is.
pub(crate) type Permit = Option<OwnedSemaphorePermit>;

/// Leave to work on a large photo, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn(#[expect(dead_code, reason = "held, not looked at")] [OwnedSemaphorePermit; 2]);

/// How long a large photo waits for its turn.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// What the worker has to give to photos.
#[derive(Debug)]
pub(crate) struct Capacity {
    /// One permit a job under way: bounds how many files are in memory before anybody knows what they will take.
    slots: Arc<Semaphore>,
    /// One permit a MiB of memory that photos at work may take together.
    memory: Arc<Semaphore>,
    /// One permit for all photos that take more than half of that.
    large: Arc<Semaphore>,
    /// One permit for the large photo at work, and one for the next.
    line: Arc<Semaphore>,
    /// One permit a core.
    cores: Arc<Semaphore>,
}

impl Capacity {
    /// Of a machine with so many cores.
    pub(crate) fn new(cores: usize) -> Self {
        Self {
            // One more than cores: the next photo is fetched while the others are worked on.
            slots: Arc::new(Semaphore::new(cores + 1)),
            memory: Arc::new(Semaphore::new(MEMORY_MIB as usize)),
            large: Arc::new(Semaphore::new(1)),
            line: Arc::new(Semaphore::new(2)),
            cores: Arc::new(Semaphore::new(cores)),
        }
    }

    /// Waits until another file may be fetched.
    pub(crate) async fn slot(&self) -> Permit {
        acquire(&self.slots, 1).await
    }

    /// Waits until there is so much memory, in bytes, beside what others have. More than there is at all never comes.
    pub(crate) async fn memory(&self, bytes: u64) -> Permit {
        acquire(&self.memory, mebibytes(bytes)).await
    }

    /// Whether two photos that take so much memory, in bytes, do not fit at once. Such photos take turns before they ask
    /// for it, so that they stand in the way of no smaller one while they wait.
    pub(crate) fn is_large(bytes: u64) -> bool {
        mebibytes(bytes) > MEMORY_MIB / 2
    }

    /// A large photo's turn, if it has come already.
    pub(crate) fn turn_now(&self) -> Option<Turn> {
        Some(Turn([self.line.clone().try_acquire_owned().ok()?, self.large.clone().try_acquire_owned().ok()?]))
    }

    /// Waits for a large photo's turn; `None` if another waits already, or if it takes too long. One in line keeps those
    /// turns coming; more would only use up the time that they have.
    pub(crate) async fn turn(&self) -> Option<Turn> {
        let place = self.line.clone().try_acquire_owned().ok()?;
        let turn = tokio::time::timeout(LONGEST_WAIT, acquire(&self.large, 1)).await.ok()??;
        Some(Turn([place, turn]))
    }

    /// Runs CPU work on a thread of its own, as soon as a core is free. A panic in it is our failure, not our end.
    pub(crate) async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let core = acquire(&self.cores, 1).await;
        let work = move || {
            let _core = core;
            work()
        };
        tokio::task::spawn_blocking(work).await.map_err(Failure::permanent)?
    }
}

/// What is left of a permit for memory when all but so many bytes are given back.
pub(crate) fn reduced(permit: Permit, bytes: u64) -> Permit {
    permit?.split(mebibytes(bytes) as usize)
}

async fn acquire(semaphore: &Arc<Semaphore>, count: u32) -> Permit {
    Arc::clone(semaphore).acquire_many_owned(count).await.ok()
}

/// Permits for so many bytes.
fn mebibytes(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(1 << 20)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    const MIB: u64 = 1 << 20;

    #[tokio::test]
    async fn a_small_photo_stands_behind_no_waiting_large_one() {
        let (capacity, large, small) = (Capacity::new(1), u64::from(MEMORY_MIB) * MIB, 20 * MIB);
        assert!(Capacity::is_large(large) && !Capacity::is_large(small));
        let at_work = (capacity.turn_now(), capacity.memory(large).await);
        let (mut next_turn, mut next_small) = (Box::pin(capacity.turn()), Box::pin(capacity.memory(small)));
        assert!(capacity.turn_now().is_none() && (&mut next_turn).now_or_never().is_none());
        assert!(matches!(capacity.turn().now_or_never(), Some(None)), "one waits already");
        assert!((&mut next_small).now_or_never().is_none(), "there is no memory");
        drop(at_work);
        let turn = next_turn.await.expect("its turn");
        let next_large = Box::pin(capacity.memory(large));
        let small = next_small.now_or_never().expect("it has waited for longer");
        assert!(next_large.now_or_never().is_none());
        drop((turn, small));
    }

    #[tokio::test]
    async fn memory_that_is_no_longer_needed_is_for_others() {
        let (capacity, all) = (Capacity::new(1), u64::from(MEMORY_MIB) * MIB);
        let rest = reduced(capacity.memory(all).await, 3 * MIB - 1);
        assert_eq!(rest.map(|permit| permit.num_permits()), Some(3));
        let permit = reduced(capacity.memory(all).await, 3 * MIB);
        assert!(capacity.memory(all - 3 * MIB).now_or_never().is_some() && permit.is_some());
    }

    #[tokio::test]
    async fn a_panic_is_a_failure_and_gives_its_core_back() {
        let capacity = Capacity::new(1);
        for _ in 0..2 {
            let outcome = capacity.compute(|| -> Result<(), Failure> { panic!("on purpose") }).await;
            assert!(matches!(outcome, Err(Failure::Permanent(_))));
        }
    }
}
