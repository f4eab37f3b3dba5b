//! `ListObjects` and `ListObjectsV2`: how a page of [`super::walk`] is asked for and written down.

use std::sync::Arc;

use s3s::dto::{
    CommonPrefix, EncodingType, ListObjectsInput, ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output,
    Object as Listed,
};

use super::bucket;
use super::error::Error;
use super::event::form_encoded;
use super::store::Store;
use super::walk::{Position, Query, page};

/// Most entries of one page, and how many it has if nobody asks, as S3 has it.
pub(crate) const MAX_KEYS: i32 = 1000;

/// How keys are written in the answer: as they are, or form-encoded, for XML cannot hold every key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Plain,
    Url,
}

impl Encoding {
    pub(crate) fn of(sent: Option<&str>) -> Result<Self, Error> {
        match sent {
            None => Ok(Self::Plain),
            Some("url") => Ok(Self::Url),
            Some(_) => Err(Error::InvalidArgument("Invalid Encoding Method specified in Request")),
        }
    }

    pub(crate) fn write(self, text: String) -> String {
        match self {
            Self::Plain => text,
            Self::Url => form_encoded(&text),
        }
    }

    pub(crate) fn prefixes(self, prefixes: Vec<String>) -> Option<Vec<CommonPrefix>> {
        let prefixes = prefixes.into_iter().map(|prefix| CommonPrefix { prefix: Some(self.write(prefix)) });
        Some(prefixes.collect::<Vec<_>>()).filter(|prefixes| !prefixes.is_empty())
    }

    fn objects(self, objects: Vec<Listed>, owned: bool) -> Vec<Listed> {
        let written = objects.into_iter().map(|mut object| {
            object.key = object.key.map(|key| self.write(key));
            object.owner = owned.then(bucket::owner);
            object
        });
        written.collect()
    }
}

/// How many entries a page may have.
pub(crate) fn page_size(asked: Option<i32>) -> Result<i32, Error> {
    match asked.unwrap_or(MAX_KEYS) {
        size if size < 0 => Err(Error::InvalidArgument("Argument maxKeys must be an integer between 0 and 2147483647")),
        size => Ok(size.min(MAX_KEYS)),
    }
}

pub(crate) async fn v1(store: &Arc<Store>, input: ListObjectsInput) -> Result<ListObjectsOutput, Error> {
    let encoding = Encoding::of(input.encoding_type.as_ref().map(EncodingType::as_str))?;
    let max_keys = page_size(input.max_keys)?;
    let marker = input.marker.unwrap_or_default();
    let query = Query {
        from: Position::after_marker(&marker, input.prefix.as_deref().unwrap_or_default(), input.delimiter.as_deref()),
        bucket: input.bucket.clone(),
        prefix: input.prefix.unwrap_or_default(),
        delimiter: input.delimiter.clone(),
        max_keys: usize::try_from(max_keys).unwrap_or_default(),
    };
    let (page, prefix) = store.blocking(move |store| Ok((page(&store.database(), &query)?, query.prefix))).await?;
    Ok(ListObjectsOutput {
        name: Some(input.bucket),
        prefix: Some(encoding.write(prefix)),
        marker: Some(encoding.write(marker)),
        max_keys: Some(max_keys),
        is_truncated: Some(page.next.is_some()),
        // Without a delimiter the last key is the marker, and S3 leaves it out.
        next_marker: page.next.map(|(last, _)| encoding.write(last)).filter(|_| input.delimiter.is_some()),
        contents: Some(encoding.objects(page.objects, true)),
        common_prefixes: encoding.prefixes(page.prefixes),
        delimiter: input.delimiter.map(|delimiter| encoding.write(delimiter)),
        encoding_type: input.encoding_type,
        ..ListObjectsOutput::default()
    })
}

pub(crate) async fn v2(store: &Arc<Store>, input: ListObjectsV2Input) -> Result<ListObjectsV2Output, Error> {
    let encoding = Encoding::of(input.encoding_type.as_ref().map(EncodingType::as_str))?;
    let max_keys = page_size(input.max_keys)?;
    let prefix = input.prefix.unwrap_or_default();
    let from = match (&input.continuation_token, &input.start_after) {
        (Some(token), _) => Position::from_token(token)?,
        (None, Some(key)) => Position::after_marker(key, &prefix, input.delimiter.as_deref()),
        (None, None) => Position::default(),
    };
    let query = Query {
        bucket: input.bucket.clone(),
        prefix,
        delimiter: input.delimiter.clone(),
        from,
        max_keys: usize::try_from(max_keys).unwrap_or_default(),
    };
    let (page, prefix) = store.blocking(move |store| Ok((page(&store.database(), &query)?, query.prefix))).await?;
    Ok(ListObjectsV2Output {
        name: Some(input.bucket),
        prefix: Some(encoding.write(prefix)),
        max_keys: Some(max_keys),
        key_count: i32::try_from(page.objects.len() + page.prefixes.len()).ok(),
        continuation_token: input.continuation_token,
        is_truncated: Some(page.next.is_some()),
        next_continuation_token: page.next.map(|(_, from)| from.token()),
        contents: Some(encoding.objects(page.objects, input.fetch_owner.unwrap_or(false))),
        common_prefixes: encoding.prefixes(page.prefixes),
        delimiter: input.delimiter.map(|delimiter| encoding.write(delimiter)),
        encoding_type: input.encoding_type,
        start_after: input.start_after.map(|key| encoding.write(key)),
        ..ListObjectsV2Output::default()
    })
}
