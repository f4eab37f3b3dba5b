//! What happens to the rest of a body that nobody wants to read.
//!
//! A request is often refused before its body has come in: signatures and buckets are looked at first. If the
//! connection were closed then, a client that is still sending would see it break, and never the refusal. So the rest
//! is read and thrown away, within limits, while the answer is on its way.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::EXPECT;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, SizeHint};
use s3s::{HttpRequest, StdError};
use tokio::runtime::Handle;
use tokio::time::timeout;

/// Most bytes that are read for nothing; an upload of the pipeline's is far below.
const MAX_BYTES: usize = 64 << 20;

/// Longest time for it.
const MAX_TIME: Duration = Duration::from_secs(10);

/// The request, with a body that is read to its end even if the service does not.
pub(crate) fn drained<B>(request: http::Request<B>) -> HttpRequest
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<StdError>,
{
    // A client that waits for leave to send has not sent anything yet.
    if request.headers().contains_key(EXPECT) {
        request.map(|body| s3s::Body::http_body_unsync(body.map_err(Into::into)))
    } else {
        request.map(|body| s3s::Body::http_body_unsync(Drained { body: Some(body) }.map_err(Into::into)))
    }
}

/// Drains its body when it is dropped early.
struct Drained<B: Body<Data = Bytes> + Send + Unpin + 'static> {
    /// Gone at the end.
    body: Option<B>,
}

impl<B: Body<Data = Bytes> + Send + Unpin + 'static> Body for Drained<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(context));
        if !matches!(frame, Some(Ok(_))) {
            self.body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl<B: Body<Data = Bytes> + Send + Unpin + 'static> Drop for Drained<B> {
    fn drop(&mut self) {
        if let Some(body) = self.body.take()
            && !body.is_end_stream()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(timeout(MAX_TIME, drain(body)));
        }
    }
}

async fn drain<B: Body<Data = Bytes> + Unpin>(mut body: B) {
    let mut drained = 0;
    while drained < MAX_BYTES {
        match body.frame().await {
            Some(Ok(frame)) => drained += frame.data_ref().map_or(0, Bytes::len),
            Some(Err(_)) | None => break,
        }
    }
}
