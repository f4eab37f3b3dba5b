//! Embedded DynamoDB: `dynoxide` behind a private port, its time-to-live sweep, and the table of jobs.
//!
//! Signatures have to be present but are not checked: who reaches the AWS endpoint may use the tables, with any
//! credentials.

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::describe_table::DescribeTableError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, CreateGlobalSecondaryIndexAction, GlobalSecondaryIndex,
    GlobalSecondaryIndexUpdate, KeySchemaElement, KeyType, Projection, ProjectionType, ScalarAttributeType,
    TimeToLiveSpecification, TimeToLiveStatus,
};
use aws_sdk_dynamodb::{Client, Error};
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use dynoxide::Database;
use http::{StatusCode, Uri, header};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;

use crate::stop::Group;

/// How often rows past their time to live are deleted.
const SWEEP_INTERVAL: Duration = Duration::from_mins(1);

/// Index over the jobs of an object key, by time of creation.
const BY_KEY: (&str, &str, &str) = ("byKey", "s3Key", "createdAt");
/// Index over the jobs of a status, in shards by time.
const BY_STATUS: (&str, &str, &str) = ("byStatus", "statusShard", "listedAt");
/// Sparse index over the jobs that belong to somebody, by owner, in shards.
const BY_OWNER: (&str, &str, &str) = ("byOwner", "ownerShard", "listedAt");
/// Sparse index over unfinished jobs, in shards, by the time at which reconcile has to look at them.
const BY_DUE: (&str, &str, &str) = ("byDue", "dueShard", "dueAt");

/// Every index, by name, partition and order; and what it holds of a row.
const INDEXES: [((&str, &str, &str), ProjectionType); 4] = [
    (BY_KEY, ProjectionType::All),
    (BY_STATUS, ProjectionType::All),
    (BY_OWNER, ProjectionType::All),
    (BY_DUE, ProjectionType::KeysOnly),
];

/// Why there is no DynamoDB.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("cannot open {path}")]
    Database { path: String, source: dynoxide::DynoxideError },
    #[error("cannot listen on a private port")]
    Listen(#[from] io::Error),
}

/// The running database, as the endpoint reaches it.
#[derive(Clone, Debug)]
pub(crate) struct DynamoDb {
    address: SocketAddr,
    client: hyper_util::client::legacy::Client<HttpConnector, Body>,
}

impl DynamoDb {
    /// Opens the database in `path`, and serves and sweeps it as one of `servers`.
    pub(crate) async fn start(path: &Path, servers: &Group) -> Result<Self, OpenError> {
        let path = path.display().to_string();
        let opened = Database::new(&path).and_then(|database| {
            // The same durability as the other stores: a kill loses nothing, a power failure may.
            database.disable_bulk_loading()?;
            Ok(database)
        });
        let database = opened.map_err(|source| OpenError::Database { path, source })?;
        let listener = private_listener().await?;
        let address = listener.local_addr()?;

        let served = database.clone();
        servers.spawn(|stop| async {
            let serving = dynoxide::server::serve_with_shutdown(listener, served, stop.cancelled_owned());
            if let Err(error) = serving.await {
                tracing::error!(error, "DynamoDB stopped");
            }
        });
        servers.spawn(|stop| async move {
            stop.run_until_cancelled(sweep(database)).await;
        });

        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { address, client })
    }

    /// Passes a request on, and its answer back.
    pub(crate) async fn forward(&self, mut request: Request) -> Response {
        let authority = self.address.to_string();
        match Uri::builder().scheme("http").authority(authority).path_and_query("/").build() {
            Ok(uri) => *request.uri_mut() = uri,
            Err(error) => return unavailable(error),
        }
        match self.client.request(request).await {
            Ok(response) => response.map(Body::new),
            Err(error) => unavailable(error),
        }
    }
}

fn unavailable(error: impl std::fmt::Display) -> Response {
    tracing::error!(%error, "DynamoDB did not answer");
    let body = r#"{"__type":"com.amazonaws.dynamodb.v20120810#InternalServerError","message":"try again"}"#;
    (StatusCode::INTERNAL_SERVER_ERROR, [(header::CONTENT_TYPE, "application/x-amz-json-1.0")], body).into_response()
}

/// A port that only the endpoint in front of it should find.
///
/// The server behind it answers any origin and any `Host`, so a page in a browser could talk to it if it guessed the
/// address. Where the system has all of 127.0.0.0/8 (Linux), the address is one of 16 million.
async fn private_listener() -> io::Result<TcpListener> {
    let [a, b, c, ..] = uuid::Uuid::new_v4().into_bytes();
    match TcpListener::bind((Ipv4Addr::new(127, a, b, c.clamp(2, 254)), 0)).await {
        Ok(listener) => Ok(listener),
        Err(_) => TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await,
    }
}

async fn sweep(database: Database) {
    loop {
        tokio::time::sleep(SWEEP_INTERVAL).await;
        let database = database.clone();
        match tokio::task::spawn_blocking(move || database.sweep_ttl()).await {
            Ok(Ok(0)) => {}
            Ok(Ok(rows)) => tracing::info!(rows, "rows past their time to live deleted"),
            Ok(Err(error)) => tracing::error!(%error, "the time-to-live sweep failed"),
            Err(error) => tracing::error!(%error, "the time-to-live sweep failed"),
        }
    }
}

/// Creates the table of jobs, if it is not there, and what indexes it lacks: the folder may be an older version's.
pub(crate) async fn ensure_table(client: &Client, table: &str) -> Result<(), Error> {
    match client.describe_table().table_name(table).send().await {
        Ok(described) => {
            let indexes = described.table.and_then(|table| table.global_secondary_indexes).unwrap_or_default();
            for (index, projection) in INDEXES {
                if !indexes.iter().any(|there| there.index_name() == Some(index.0)) {
                    add_index(client, table, index, projection).await?;
                }
            }
        }
        Err(error) if error.as_service_error().is_some_and(DescribeTableError::is_resource_not_found_exception) => {
            create_table(client, table, &INDEXES).await?;
        }
        Err(error) => return Err(error.into()),
    }
    // Looked up each time: a kill may have come between the two calls that make the table.
    let described = client.describe_time_to_live().table_name(table).send().await?;
    let status = described.time_to_live_description().and_then(|description| description.time_to_live_status());
    if !matches!(status, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)) {
        let specification = TimeToLiveSpecification::builder().enabled(true).attribute_name("expiresAt").build()?;
        client.update_time_to_live().table_name(table).time_to_live_specification(specification).send().await?;
    }
    Ok(())
}

async fn create_table(
    client: &Client,
    table: &str,
    indexes: &[((&str, &str, &str), ProjectionType)],
) -> Result<(), Error> {
    let mut request = client
        .create_table()
        .table_name(table)
        .billing_mode(BillingMode::PayPerRequest)
        .key_schema(key("jobId", KeyType::Hash)?);
    let mut attributes = BTreeSet::from(["jobId"]);
    for ((name, hash, range), projection) in indexes {
        let index = GlobalSecondaryIndex::builder()
            .index_name(*name)
            .key_schema(key(hash, KeyType::Hash)?)
            .key_schema(key(range, KeyType::Range)?)
            .projection(Projection::builder().projection_type(projection.clone()).build())
            .build()?;
        request = request.global_secondary_indexes(index);
        attributes.extend([*hash, *range]);
    }
    for attribute in attributes {
        request = request.attribute_definitions(text(attribute)?);
    }
    request.send().await?;
    Ok(())
}

/// Adds an index to a table. Rows that have its attributes are in it when this returns.
async fn add_index(
    client: &Client,
    table: &str,
    (name, hash, range): (&str, &str, &str),
    projection: ProjectionType,
) -> Result<(), Error> {
    let index = CreateGlobalSecondaryIndexAction::builder()
        .index_name(name)
        .key_schema(key(hash, KeyType::Hash)?)
        .key_schema(key(range, KeyType::Range)?)
        .projection(Projection::builder().projection_type(projection).build())
        .build()?;
    client
        .update_table()
        .table_name(table)
        .attribute_definitions(text(hash)?)
        .attribute_definitions(text(range)?)
        .global_secondary_index_updates(GlobalSecondaryIndexUpdate::builder().create(index).build())
        .send()
        .await?;
    tracing::info!(index = name, "an index was added to the table of jobs");
    Ok(())
}

fn key(attribute: &str, kind: KeyType) -> Result<KeySchemaElement, BuildError> {
    KeySchemaElement::builder().attribute_name(attribute).key_type(kind).build()
}

fn text(attribute: &str) -> Result<AttributeDefinition, BuildError> {
    AttributeDefinition::builder().attribute_name(attribute).attribute_type(ScalarAttributeType::S).build()
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::AttributeValue;

    use super::*;
    use crate::data_dir::DataDir;
    use crate::stack;

    async fn started(dir: &DataDir, servers: &Group) -> Client {
        let database = DynamoDb::start(&dir.path().join("dynamodb.sqlite"), servers).await.unwrap();
        Client::new(&stack::sdk_config(database.address, &stack::public_key()))
    }

    async fn check_indexes(client: &Client) {
        let described = client.describe_table().table_name("jobs").send().await.unwrap();
        let table = described.table.unwrap();
        let mut indexes: Vec<_> = table.global_secondary_indexes().iter().filter_map(|i| i.index_name()).collect();
        indexes.sort_unstable();
        assert_eq!(indexes, ["byDue", "byKey", "byOwner", "byStatus"]);
    }

    #[tokio::test]
    async fn the_table_is_made_once_and_outlives_the_server() {
        let dir = DataDir::ephemeral().unwrap();
        for _ in 0..2 {
            let servers = Group::default();
            let client = started(&dir, &servers).await;
            ensure_table(&client, "jobs").await.unwrap();
            check_indexes(&client).await;
            servers.token().cancel();
        }
    }

    #[tokio::test]
    async fn a_folder_from_before_there_were_owners_gets_the_index() {
        let dir = DataDir::ephemeral().unwrap();
        let servers = Group::default();
        let client = started(&dir, &servers).await;
        let older: Vec<_> = INDEXES.into_iter().filter(|(index, _)| *index != BY_OWNER).collect();
        create_table(&client, "jobs", &older).await.unwrap();
        let text = |value: &str| AttributeValue::S(value.to_owned());
        let row = |id: &str| {
            let put = client.put_item().table_name("jobs").item("jobId", text(id)).item("s3Key", text("uploads/a.jpg"));
            put.item("createdAt", text("1")).item("listedAt", text("1")).item("statusShard", text("PENDING#1"))
        };
        row("old").send().await.unwrap();

        ensure_table(&client, "jobs").await.unwrap();

        check_indexes(&client).await;
        let owned = text("PENDING#1#ann");
        row("new").item("ownerShard", owned.clone()).send().await.unwrap();
        for ((index, attribute, _), partition, rows) in [(BY_OWNER, owned, 1), (BY_STATUS, text("PENDING#1"), 2)] {
            let query = client.query().table_name("jobs").index_name(index);
            let query = query.key_condition_expression(format!("{attribute} = :partition"));
            let found = query.expression_attribute_values(":partition", partition).send().await.unwrap();
            assert_eq!(found.count(), rows, "{index}");
        }
        servers.token().cancel();
    }
}
