//! `darkroom redrive`: asks the Darkroom that runs on this machine to put its dead letters back to work.

use std::error::Error;
use std::io::Write as _;
use std::net::SocketAddr;

use shared::aws::WorkQueue;

use crate::stack::{self, ACCOUNT, DEAD_LETTER_QUEUE, QUEUE};

/// Puts every message of the dead-letter queue behind `aws` back into the work queue, and says how many there were.
pub(crate) async fn run(aws: SocketAddr) -> Result<(), Box<dyn Error + Send + Sync>> {
    let queue =
        WorkQueue::new(&stack::sdk_config(aws, &stack::public_key()), &format!("http://{aws}/{ACCOUNT}/{QUEUE}"));
    let dead = queue.dead_letter_queue().await.map_err(|error| format!("no queues at {aws} (--aws-addr): {error}"))?;
    let dead = dead.ok_or_else(|| format!("{QUEUE} has no dead-letter queue"))?;
    let messages = dead.depth().await?;
    if messages > 0 {
        dead.redrive().await?;
    }
    writeln!(std::io::stdout().lock(), "messages put back from {DEAD_LETTER_QUEUE} to {QUEUE}: {messages}")?;
    Ok(())
}
