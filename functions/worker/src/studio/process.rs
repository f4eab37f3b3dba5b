//! One child process, seen from the worker: started, asked, and when it dies, understood.

use std::io::{self, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use memchr::memmem;
use rustix::process::Signal;

use super::ARGUMENT;
use super::limits::OUT_OF_TIME;
use crate::allocator::ARENAS;

/// Room in a pipe, in bytes: the most that Linux gives to anybody. A photo passes in fewer turns.
const PIPE: usize = 1 << 20;

/// What Rust says before it aborts for want of memory.
const NO_MEMORY: &[u8] = b"memory allocation of ";

/// How much is read of what a child process said before it died, in bytes.
const LAST_WORDS: u64 = 64 << 10;

/// A child process that waits for an order.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) child: Child,
    pub(super) orders: ChildStdin,
    pub(super) answers: ChildStdout,
}

/// Why a child process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Death {
    /// An allocation beyond its limit failed.
    OutOfMemory,
    /// Its photo took too much processor time.
    OutOfTime,
    /// Somebody killed it: the operating system short of memory, or an operator.
    Killed,
    /// A crash.
    Crashed(ExitStatus),
}

impl Process {
    /// Starts `program` as a studio.
    pub(super) fn start(program: &Path) -> io::Result<Self> {
        let mut child = Command::new(program)
            .arg0("darkroom-studio")
            .arg(ARGUMENT)
            // It reads bytes of unknown origin: it gets no credentials, nothing of the terminal, and no signal that
            // somebody sends to the worker's group. What remains tells glibc to give large allocations back at once.
            .env_clear()
            .env(ARENAS, "1")
            .env("MALLOC_MMAP_THRESHOLD_", "2097152")
            .env("MALLOC_TRIM_THRESHOLD_", "4194304")
            .process_group(0)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let orders = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let answers = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        #[cfg(target_os = "linux")]
        {
            // OK to ignore: a pipe of the usual size works as well.
            let _ = rustix::pipe::fcntl_setpipe_size(&orders, PIPE);
            let _ = rustix::pipe::fcntl_setpipe_size(&answers, PIPE);
        }
        Ok(Self { child, orders, answers })
    }

    /// Whether it still runs.
    pub(super) fn lives(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

/// Ends a child process that no longer answers, and says what it died of.
pub(super) fn bury(mut child: Child) -> Death {
    // Changes nothing about a process that is on its way out already: its status stands.
    let _ = child.kill();
    let Ok(status) = child.wait() else { return Death::Killed };
    let mut words = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        // OK to ignore: then it has said nothing.
        let _ = stderr.take(LAST_WORDS).read_to_end(&mut words);
    }
    match (status.code(), status.signal()) {
        (Some(OUT_OF_TIME), _) => Death::OutOfTime,
        (_, Some(signal)) if signal == Signal::XCPU.as_raw() => Death::OutOfTime,
        // An allocation that fails aborts, but so does a C library that finds its heap in disorder.
        (_, Some(signal)) if signal == Signal::ABORT.as_raw() && memmem::find(&words, NO_MEMORY).is_some() => {
            Death::OutOfMemory
        }
        (_, Some(signal)) if signal == Signal::KILL.as_raw() => Death::Killed,
        _ => Death::Crashed(status),
    }
}

/// Lets whoever waits for a child process end it: dropped, it kills the process that holds on to its [`Leash`].
#[derive(Debug, Default)]
pub struct Holder(Leash);

/// Where a child process at work is to be found.
#[derive(Clone, Debug, Default)]
pub struct Leash(Arc<Mutex<Hold>>);

#[derive(Debug, Default)]
struct Hold {
    child: Option<Child>,
    let_go: bool,
}

impl Holder {
    /// Where the child process is to be tied.
    pub fn leash(&self) -> Leash {
        self.0.clone()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let mut hold = self.0.hold();
        hold.let_go = true;
        if let Some(child) = &mut hold.child {
            // OK to ignore: it has ended by itself, then.
            let _ = child.kill();
        }
    }
}

impl Leash {
    /// Puts a child process on the leash; one whose holder is gone is killed.
    pub(super) fn tie(&self, mut child: Child) {
        let mut hold = self.hold();
        if hold.let_go {
            let _ = child.kill();
        }
        hold.child = Some(child);
    }

    /// Takes the child process back.
    pub(super) fn untie(&self) -> Option<Child> {
        self.hold().child.take()
    }

    /// Whether nobody waits any more.
    pub(super) fn is_let_go(&self) -> bool {
        self.hold().let_go
    }

    fn hold(&self) -> std::sync::MutexGuard<'_, Hold> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
