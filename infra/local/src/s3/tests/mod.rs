//! The store as a client sees it: through the real SDK, over a socket.

mod crash;
mod events;
mod objects;
mod parts;
mod signatures;

use std::net::SocketAddr;
use std::sync::Arc;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials as SdkCredentials, Region};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::presigning::PresignedRequest;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

use super::{Credentials, EventRule, Keys, REGION, Store, drained, service};
use crate::data_dir::DataDir;

/// The bucket whose objects are announced, where they begin with `uploads/`.
pub(crate) const BUCKET: &str = "darkroom-uploads";
const OTHER_BUCKET: &str = "darkroom-processed";

const ACCESS_KEY: &str = "darkroom";
const SECRET_KEY: &str = "darkroom-secret";
const OWN_ACCESS_KEY: &str = "functions";
const OWN_SECRET_KEY: &str = "nobody-knows";

/// A store in a folder of its own, served on a free port.
pub(crate) struct Fixture {
    pub(crate) store: Arc<Store>,
    client: Client,
    address: SocketAddr,
    dir: DataDir,
}

/// The store in `dir`, as it is there.
fn open(dir: &DataDir) -> Arc<Store> {
    let rule = EventRule { id: "test".to_owned(), bucket: BUCKET.to_owned(), prefix: "uploads/".to_owned() };
    Store::open(dir.path(), vec![rule]).unwrap()
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        let dir = DataDir::ephemeral().unwrap();
        let store = open(&dir);
        store.create_bucket(BUCKET).await.unwrap();
        store.create_bucket(OTHER_BUCKET).await.unwrap();
        let address = serve(Arc::clone(&store)).await;
        Self { store, client: client(address, ACCESS_KEY, SECRET_KEY), address, dir }
    }

    pub(crate) async fn put(&self, key: &str, body: &[u8]) {
        let body = ByteStream::from(body.to_vec());
        self.client.put_object().bucket(BUCKET).key(key).body(body).send().await.unwrap();
    }

    pub(crate) async fn with_objects(&self, keys: &[&str]) {
        for key in keys {
            self.put(key, key.as_bytes()).await;
        }
    }

    async fn get(&self, key: &str) -> Result<Bytes, String> {
        let found = self.client.get_object().bucket(BUCKET).key(key).send().await.map_err(|error| code(&error))?;
        Ok(found.body.collect().await.unwrap().into_bytes())
    }

    /// Names of the events that wait, with their keys.
    async fn events(&self) -> Vec<String> {
        let events = self.store.pending_events(100).await.unwrap();
        let name = |event: &super::OutboxEvent| {
            let record = &event.body["Records"][0];
            let name = record["eventName"].as_str().unwrap().trim_start_matches("ObjectCreated:");
            format!("{name} {}", record["s3"]["object"]["key"].as_str().unwrap())
        };
        events.iter().map(name).collect()
    }

    /// How many content files there are.
    fn files(&self) -> usize {
        let shards = std::fs::read_dir(self.dir.path().join("objects")).unwrap();
        shards.map(|shard| std::fs::read_dir(shard.unwrap().path()).unwrap().count()).sum()
    }

    /// There is no object, no event, and no file.
    #[track_caller]
    fn check_empty(&self) {
        let count = |sql| self.store.database().query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(count("SELECT count(*) FROM object"), 0, "objects");
        assert_eq!(count("SELECT count(*) FROM outbox"), 0, "events");
        assert_eq!(self.files(), 0, "files");
    }

    /// Sends a request as it is, and gives back its status and body.
    async fn send(&self, request: Request<Bytes>) -> (StatusCode, String) {
        let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build_http();
        let response = client.request(request.map(Full::new)).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    fn request(&self, method: Method, path: &str) -> http::request::Builder {
        Request::builder().method(method).uri(format!("http://{}{path}", self.address))
    }
}

/// The request that a presigned URL is for.
fn presigned(presigned: &PresignedRequest) -> http::request::Builder {
    let request = Request::builder().method(presigned.method()).uri(presigned.uri());
    presigned.headers().fold(request, |request, (name, value)| request.header(name, value))
}

fn client(address: SocketAddr, access_key: &str, secret_key: &str) -> Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .endpoint_url(format!("http://{address}"))
        .credentials_provider(SdkCredentials::from_keys(access_key, secret_key, None))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(aws_sdk_s3::config::retry::RetryConfig::disabled())
        .build();
    Client::from_conf(config)
}

async fn serve(store: Arc<Store>) -> SocketAddr {
    let key = |access_key: &str, secret_key: &str| Credentials {
        access_key: access_key.to_owned(),
        secret_key: secret_key.to_owned(),
    };
    let keys = Keys { public: key(ACCESS_KEY, SECRET_KEY), own: key(OWN_ACCESS_KEY, OWN_SECRET_KEY) };
    let service = service(store, keys);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = service.clone();
            let service = service_fn(move |request| {
                let service = service.clone();
                async move { service.call(drained(request)).await }
            });
            let server = hyper::server::conn::http1::Builder::new();
            tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

/// The code of a refusal, or its status where the answer has no body.
fn code<E: ProvideErrorMetadata>(error: &SdkError<E, aws_sdk_s3::config::http::HttpResponse>) -> String {
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code).map(str::to_owned);
    let status = error.raw_response().map(|response| response.status().as_u16().to_string());
    code.or(status).unwrap_or_default()
}
