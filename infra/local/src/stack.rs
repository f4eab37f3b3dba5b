//! What stands for AWS on this machine: the four services, what has to exist in them, and how to reach them.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use shared::config::Vars;
use shared::key::{RAW_PREFIX, UPLOADS_PREFIX};
use tokio_util::sync::CancellationToken;

use crate::dynamodb::{self, DynamoDb};
use crate::own_key;
use crate::s3::{self, Credentials, EventRule};
use crate::sns::{self, Sns};
use crate::sqlite;
use crate::sqs::{self, Sqs};
use crate::stop::Group;

/// The account that everything belongs to.
pub(crate) const ACCOUNT: &str = "000000000000";
/// The region that everything is in.
pub(crate) const REGION: &str = s3::REGION;
/// The credentials that everybody may use; S3 verifies them.
pub(crate) const ACCESS_KEY: &str = "darkroom";
/// See [`ACCESS_KEY`]. No secret at all: it guards a loopback port, and is printed at every start.
pub(crate) const SECRET_KEY: &str = "darkroom-secret";

pub(crate) const UPLOAD_BUCKET: &str = "darkroom-uploads";
pub(crate) const PROCESSED_BUCKET: &str = "darkroom-processed";
pub(crate) const TABLE: &str = "darkroom-jobs";
pub(crate) const QUEUE: &str = "darkroom-queue";
pub(crate) const DEAD_LETTER_QUEUE: &str = "darkroom-dlq";
pub(crate) const CALLBACK_QUEUE: &str = "darkroom-callbacks";
pub(crate) const TOPIC: &str = "darkroom-notifications";

/// Why the stack does not come up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StackError {
    #[error(transparent)]
    S3(#[from] s3::OpenError),
    #[error(transparent)]
    DynamoDb(#[from] dynamodb::OpenError),
    #[error(transparent)]
    Sqlite(#[from] sqlite::OpenError),
    #[error("cannot keep a key for the functions")]
    Key(#[from] io::Error),
    #[error("cannot create the buckets")]
    Buckets(#[from] s3::Error),
    #[error("cannot create the table {TABLE}")]
    Table(#[from] Box<aws_sdk_dynamodb::Error>),
    #[error("cannot create the queues")]
    Queues(#[from] sqs::Error),
    #[error("cannot create the topic {TOPIC}")]
    Topic(#[from] sns::Error),
}

/// The four services.
#[derive(Clone, Debug)]
pub(crate) struct Stack {
    pub(crate) s3: Arc<s3::Store>,
    pub(crate) dynamodb: DynamoDb,
    pub(crate) sqs: Arc<Sqs>,
    pub(crate) sns: Arc<Sns>,
    /// What the functions sign with.
    pub(crate) functions_key: Credentials,
}

impl Stack {
    /// Opens what is stored in `dir`. What runs by itself is one of `servers`; long polls end with `intake` already.
    pub(crate) async fn open(dir: &Path, servers: &Group, intake: CancellationToken) -> Result<Self, StackError> {
        // There is no state machine here, so the dispatcher hears of what comes under `raw/` as well.
        let rules = [("uploads", UPLOADS_PREFIX), ("raw", RAW_PREFIX)].map(|(name, prefix)| EventRule {
            id: format!("darkroom-{name}-created"),
            bucket: UPLOAD_BUCKET.to_owned(),
            prefix: prefix.to_owned(),
        });
        let stack = Self {
            s3: s3::Store::open(dir, rules.to_vec())?,
            dynamodb: DynamoDb::start(&dir.join("dynamodb.sqlite"), servers).await?,
            sqs: Sqs::open(&dir.join("sqs.sqlite"), intake)?,
            sns: Sns::open(&dir.join("sns.sqlite"))?,
            functions_key: own_key::of(dir)?,
        };
        let sqs = Arc::clone(&stack.sqs);
        servers.spawn(|stop| async move { sqs.expire(stop).await });
        Ok(stack)
    }

    /// Creates the buckets, table, queues and topic that are not there yet.
    pub(crate) async fn create_missing(&self, sdk: &SdkConfig) -> Result<(), StackError> {
        for bucket in [UPLOAD_BUCKET, PROCESSED_BUCKET] {
            self.s3.create_bucket(bucket).await?;
        }
        dynamodb::ensure_table(&aws_sdk_dynamodb::Client::new(sdk), TABLE).await.map_err(Box::new)?;
        let two_weeks = 14 * 24 * 60 * 60;
        self.sqs.ensure_queue(DEAD_LETTER_QUEUE, &[("MessageRetentionPeriod", two_weeks.to_string())]).await?;
        let redrive = json!({ "deadLetterTargetArn": sqs::arn(DEAD_LETTER_QUEUE), "maxReceiveCount": 5 });
        // Six times the worker's timeout on Lambda, as the deployed queue has it.
        let visibility = ("VisibilityTimeout", "360".to_owned());
        self.sqs.ensure_queue(QUEUE, &[visibility, ("RedrivePolicy", redrive.to_string())]).await?;
        self.sqs.ensure_queue(CALLBACK_QUEUE, &[("MessageRetentionPeriod", two_weeks.to_string())]).await?;
        self.sns.ensure_topic(TOPIC).await?;
        Ok(())
    }
}

/// The key that everybody may use.
pub(crate) fn public_key() -> Credentials {
    Credentials { access_key: ACCESS_KEY.to_owned(), secret_key: SECRET_KEY.to_owned() }
}

/// How an SDK client with `key` reaches the stack behind `aws`. Nothing of the user's own AWS configuration gets into
/// it.
pub(crate) fn sdk_config(aws: SocketAddr, key: &Credentials) -> SdkConfig {
    let credentials = aws_credential_types::Credentials::from_keys(&key.access_key, &key.secret_key, None);
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static(REGION))
        .endpoint_url(format!("http://{aws}"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build()
}

/// The variables of the functions: the user's own, and over them the names of what is in the stack behind `aws`. `api_key`
/// is one more key that they accept.
pub(crate) fn variables(aws: SocketAddr, api_key: Option<&str>) -> Vars {
    let names = [
        ("UPLOAD_BUCKET", UPLOAD_BUCKET.to_owned()),
        ("PROCESSED_BUCKET", PROCESSED_BUCKET.to_owned()),
        ("DYNAMODB_TABLE", TABLE.to_owned()),
        ("SQS_QUEUE_URL", format!("http://{aws}/{ACCOUNT}/{QUEUE}")),
        ("NOTIFY_TOPIC_ARN", sns::arn(TOPIC)),
        ("CALLBACK_QUEUE_URL", format!("http://{aws}/{ACCOUNT}/{CALLBACK_QUEUE}")),
    ];
    // Files that ship with the sources, so that the binary runs from any folder.
    let shipped = |path: &str| format!("{}/../../{path}", env!("CARGO_MANIFEST_DIR"));
    let own = Vars::from_env();
    let files = [("MODEL_DIR", "models/efficientnet-lite0"), ("DEFAULT_RECIPE", "assets/recipes/default.json")];
    let files = files.map(|(name, path)| (name, own.optional(name).unwrap_or_else(|| shipped(path))));
    let hash = api_key.map(|key| format!("{:x}", Sha256::digest(key)));
    let others = own.optional("API_KEY_SHA256").map(|others| format!("{others},")).unwrap_or_default();
    own.with(names).with(files).with(hash.map(|hash| ("API_KEY_SHA256", others + &hash)))
}
