//! Calls URLs that somebody else named, with the HTTP client that the SDKs bring along.
//!
//! Follows no redirect, uses no proxy, reads no answer beyond its status, and connects to no address that is not public
//! unless told so: names are looked up here, and what they lead to is looked at before anything connects to it.

use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::Duration;

use aws_smithy_http_client::{Connector, tls};
use aws_smithy_runtime_api::client::dns::{DnsFuture, ResolveDns, ResolveDnsError};
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use http::{Request, StatusCode, Uri};

use crate::callback::is_public;

/// Longest call, from looking the name up to the head of the answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Calls URLs.
#[derive(Debug)]
pub struct Caller {
    resolver: Resolver,
    /// Made for the first call: it reads the machine's certificates, and most processes never call anybody.
    connector: OnceLock<Connector>,
}

/// Nobody answered.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// The request cannot be made of these parts.
    #[error("this is no request")]
    Request(#[from] http::Error),
    /// No connection, or none that held, or none to an address that may be called.
    #[error("no answer")]
    Connection(#[from] ConnectorError),
    /// Nothing came in time.
    #[error("no answer within {} s", TIMEOUT.as_secs())]
    TimedOut,
}

impl Caller {
    /// Connects to public addresses, and to others as well where `private` says so.
    pub fn new(private: bool) -> Self {
        Self { resolver: Resolver { private }, connector: OnceLock::new() }
    }

    fn connector(&self) -> &Connector {
        self.connector.get_or_init(|| {
            let provider = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
            Connector::builder().tls_provider(provider).build_with_resolver(self.resolver)
        })
    }

    /// POSTs `body` as JSON with these headers besides, and answers the status.
    ///
    /// `url` has to be one that [`crate::callback::CallbackHosts::check`] lets through: where it names an address, nothing
    /// is looked up here, and so nothing looked at.
    pub async fn post(&self, url: &Uri, headers: &[(&str, String)], body: String) -> Result<StatusCode, NoAnswer> {
        let mut request =
            Request::post(url).header("content-type", "application/json").header("user-agent", "Darkroom");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let request = request.body(SdkBody::from(body))?;
        let request = request.try_into().map_err(|error| ConnectorError::user(Box::new(error)))?;
        let answer = tokio::time::timeout(TIMEOUT, self.connector().call(request));
        let answer = answer.await.map_err(|_| NoAnswer::TimedOut)??;
        Ok(StatusCode::from_u16(answer.status().as_u16()).unwrap_or(StatusCode::BAD_GATEWAY))
    }
}

/// Looks names up, and leaves out what may not be connected to.
#[derive(Clone, Copy, Debug)]
struct Resolver {
    private: bool,
}

/// Where the name leads, nobody may be called.
#[derive(Debug, thiserror::Error)]
#[error("the host has no public address")]
struct NotPublic;

impl ResolveDns for Resolver {
    fn resolve_dns<'a>(&'a self, name: &'a str) -> DnsFuture<'a> {
        DnsFuture::new(async move {
            let found = tokio::net::lookup_host((name, 0)).await.map_err(ResolveDnsError::new)?;
            let allowed: Vec<IpAddr> =
                found.map(|socket| socket.ip()).filter(|address| self.private || is_public(*address)).collect();
            if allowed.is_empty() { Err(ResolveDnsError::new(NotPublic)) } else { Ok(allowed) }
        })
    }
}
