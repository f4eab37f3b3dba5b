//! Stopping in order: first what takes in work, then the servers that this work needs.

use std::io;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long work under way may take to finish.
const GRACE: Duration = Duration::from_secs(25);

/// Tasks that stop together.
#[derive(Debug, Default)]
pub(crate) struct Group {
    tasks: TaskTracker,
    token: CancellationToken,
}

impl Group {
    /// Runs a task, which has to end soon after the token that it gets is cancelled.
    pub(crate) fn spawn<F: Future<Output = ()> + Send + 'static>(&self, task: impl FnOnce(CancellationToken) -> F) {
        self.tasks.spawn(task(self.token.clone()));
    }

    /// What is cancelled when the group has to stop.
    pub(crate) fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    async fn stop(&self) {
        self.token.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Stops one group after the other. Another signal, or the end of [`GRACE`], cuts that short.
pub(crate) async fn in_order(groups: [&Group; 2], signals: &mut Signals) {
    tracing::info!("stopping; a second signal stops at once");
    let stopped = async {
        for group in groups {
            group.stop().await;
        }
    };
    tokio::select! {
        () = stopped => {}
        () = signals.next() => tracing::warn!("stopped at once"),
        () = tokio::time::sleep(GRACE) => tracing::warn!("stopped though something still ran"),
    }
}

/// The signals that ask for a stop: `SIGINT` and `SIGTERM`. Before there is one of these, they kill the process.
#[derive(Debug)]
pub(crate) struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(windows)]
    interrupt: tokio::signal::windows::CtrlC,
}

impl Signals {
    #[cfg(unix)]
    pub(crate) fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    #[cfg(windows)]
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { interrupt: tokio::signal::windows::ctrl_c()? })
    }

    /// Waits for the next signal.
    pub(crate) async fn next(&mut self) {
        #[cfg(unix)]
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
        #[cfg(windows)]
        self.interrupt.recv().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_under_way_is_finished_and_then_its_servers_stop() {
        let (intake, servers) = (Group::default(), Group::default());
        let server = servers.token();
        intake.spawn(|token| async move {
            token.cancelled().await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            assert!(!server.is_cancelled());
        });
        let (done, finished) = tokio::sync::oneshot::channel();
        servers.spawn(|token| async move {
            token.cancelled().await;
            done.send(()).unwrap();
        });
        in_order([&intake, &servers], &mut Signals::new().unwrap()).await;
        finished.await.unwrap();
    }
}
