//! Listening and serving, the same for the API and the AWS endpoint.

use std::io;
use std::net::SocketAddr;

use axum::Router;
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// An address that cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} (choose another address with {option})")]
pub(crate) struct ListenError {
    address: SocketAddr,
    option: &'static str,
    source: io::Error,
}

/// Listens on `address`, which `option` has set, and says where that is: a port of 0 becomes a free one.
pub(crate) async fn listen(
    address: SocketAddr,
    option: &'static str,
) -> Result<(TcpListener, SocketAddr), ListenError> {
    let bound = async {
        let listener = TcpListener::bind(address).await?;
        let bound = listener.local_addr()?;
        Ok((listener, bound))
    };
    bound.await.map_err(|source| ListenError { address, option, source })
}

/// Serves until `stop`, then finishes the requests that are under way.
pub(crate) async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let listener = listener.tap_io(|stream| {
        // OK to ignore: it merely takes longer.
        let _ = stream.set_nodelay(true);
    });
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    if let Err(error) = axum::serve(listener, service).with_graceful_shutdown(stop.cancelled_owned()).await {
        tracing::error!(%error, "a server stopped");
    }
}
