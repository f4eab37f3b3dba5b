//! Listening and serving, the same for the API and the AWS endpoint.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use chrono::Utc;
use http::{HeaderValue, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Longest that a client may take for a request's line and headers, its wait on an idle connection included.
const HEADER_TIME: Duration = Duration::from_secs(20);

/// Wait after a connection that could not be accepted: out of file descriptors, most likely.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

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
///
/// Not `axum::serve`, which waits for a request's headers for ever.
pub(crate) async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADER_TIME).auto_date_header(false);
    let connections = TaskTracker::new();
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, peer)) => {
                connections.spawn(converse(http.clone(), stream, peer, router.clone(), stop.clone()));
            }
            Err(error) => {
                tracing::error!(%error, "a connection could not be accepted");
                stop.run_until_cancelled(tokio::time::sleep(ACCEPT_PAUSE)).await;
            }
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// The `Date` of an answer.
///
/// Not hyper's, which stands still when the clock is set back, until that has caught up. The AWS SDKs take their time
/// from it, and would go on signing with one that S3 does not accept.
fn date() -> Option<HeaderValue> {
    let now = Utc::now().format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    HeaderValue::try_from(now).ok()
}

/// Answers the requests of one connection.
async fn converse(http: http1::Builder, stream: TcpStream, peer: SocketAddr, router: Router, stop: CancellationToken) {
    // OK to ignore: it merely takes longer.
    let _ = stream.set_nodelay(true);
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request: http::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        let answer = router.call(request);
        async {
            let mut answer = answer.await?;
            if let Some(date) = date() {
                answer.headers_mut().insert(header::DATE, date);
            }
            Ok::<_, Infallible>(answer)
        }
    });
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    // OK to ignore how it ended: the client went away, was too slow, or spoke no HTTP.
    let _ = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
}
