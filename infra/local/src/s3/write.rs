//! PUT and DELETE of objects. A copy is in [`super::copy`], an upload in parts in [`super::multipart`].

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use rusqlite::Transaction;
use s3s::dto::{
    DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject, ETag, ETagCondition,
    ObjectIdentifier, PutObjectInput, PutObjectOutput,
};
use s3s::{S3Error, S3Request, S3Response};

use super::attributes::{check_key, sent_attributes};
use super::body::{Expected, Sent, receive};
use super::bucket;
use super::checksum::{put_checksum, sent_checksum};
use super::condition::Conditions;
use super::error::Error;
use super::event::{Cause, RequestId};
use super::object::{NewObject, Object, publish};
use super::store::Store;

/// Most keys of one `DeleteObjects`, as S3 has it.
const MAX_DELETES: usize = 1000;

pub(crate) async fn put(
    store: &Arc<Store>,
    request: S3Request<PutObjectInput>,
) -> Result<S3Response<PutObjectOutput>, Error> {
    // s3s hands on the upload of an HTML form as a PUT whose method is POST.
    let cause = if request.method == Method::POST { Cause::Post } else { Cause::Put };
    let mut input = request.input;
    check_key(&input.key)?;
    let attributes = sent_attributes!(input)?;
    bucket::expect(store, &input.bucket).await?;
    let sent = Sent {
        content_length: input.content_length,
        content_md5: input.content_md5.take(),
        checksum: sent_checksum!(input)?,
        headers: &request.headers,
        trailers: request.trailing_headers,
    };
    let body = input.body.take();
    let expected = Expected::new(sent, body.as_ref())?;
    let content = receive(store, body, expected).await?;

    let conditions = Conditions {
        if_match: input.if_match.take(),
        if_none_match: input.if_none_match.take(),
        ..Conditions::default()
    };
    let request = RequestId::new();
    let headers = request_headers(&request);
    let output = store
        .blocking(move |store| {
            let etag = content.md5.clone();
            let checksum = content.checksum.clone();
            let new = NewObject {
                bucket: &input.bucket,
                key: &input.key,
                etag: &etag,
                content: &content,
                attributes: &attributes,
                checksum: checksum.as_ref(),
                upload: None,
                cause,
                conditions: &conditions,
                request: &request,
            };
            let published = store.transaction(|transaction| publish(store, transaction, &new))?;
            published.settle(store, content);
            let mut output = PutObjectOutput {
                e_tag: Some(ETag::Strong(etag)),
                checksum_type: checksum.as_ref().map(|checksum| checksum.kind().to_owned().into()),
                ..PutObjectOutput::default()
            };
            put_checksum!(output, &checksum);
            Ok(output)
        })
        .await?;
    Ok(S3Response::with_headers(output, headers))
}

/// The ids of a request in its answer; its event has the same.
pub(crate) fn request_headers(request: &RequestId) -> HeaderMap {
    [("x-amz-request-id", &request.id), ("x-amz-id-2", &request.extended)]
        .into_iter()
        .filter_map(|(name, id)| Some((HeaderName::from_static(name), HeaderValue::from_str(id).ok()?)))
        .collect()
}

pub(crate) async fn delete(store: &Arc<Store>, input: DeleteObjectInput) -> Result<DeleteObjectOutput, Error> {
    let conditions = Conditions { if_match: input.if_match, ..Conditions::default() };
    Object::check_version(input.version_id.as_deref())?;
    store
        .blocking(move |store| {
            let file = store.transaction(|transaction| {
                bucket::check(transaction, &input.bucket)?;
                let current = Object::find(transaction, &input.bucket, &input.key)?;
                conditions.allow_write(current.as_ref())?;
                remove(transaction, &input.bucket, &input.key)?;
                Ok(current.map(|object| object.file))
            })?;
            store.remove(file);
            Ok(DeleteObjectOutput::default())
        })
        .await
}

/// Deletes up to a thousand objects. A key without an object counts as deleted, as it does for S3; one that is refused
/// says so in its place and harms no other.
pub(crate) async fn delete_many(store: &Arc<Store>, input: DeleteObjectsInput) -> Result<DeleteObjectsOutput, Error> {
    let (bucket, delete) = (input.bucket, input.delete);
    if delete.objects.is_empty() || delete.objects.len() > MAX_DELETES {
        return Err(Error::MalformedXml);
    }
    store
        .blocking(move |store| {
            let (mut files, mut deleted, mut errors) = (Vec::new(), Vec::new(), Vec::new());
            store.transaction(|transaction| {
                bucket::check(transaction, &bucket)?;
                for object in delete.objects {
                    match delete_one(transaction, &bucket, &object) {
                        Ok(file) => {
                            files.extend(file);
                            deleted.push(DeletedObject { key: Some(object.key), ..DeletedObject::default() });
                        }
                        Err(error @ (Error::InvalidVersion | Error::PreconditionFailed | Error::NoSuchKey)) => {
                            errors.push(refusal(object.key, error));
                        }
                        Err(error) => return Err(error),
                    }
                }
                Ok(())
            })?;
            store.remove(files);
            Ok(DeleteObjectsOutput {
                deleted: (!delete.quiet.unwrap_or(false)).then_some(deleted),
                errors: (!errors.is_empty()).then_some(errors),
                ..DeleteObjectsOutput::default()
            })
        })
        .await
}

/// Deletes one of many objects, and gives back the file that held its bytes.
fn delete_one(transaction: &Transaction<'_>, bucket: &str, object: &ObjectIdentifier) -> Result<Option<String>, Error> {
    Object::check_version(object.version_id.as_deref())?;
    let current = Object::find(transaction, bucket, &object.key)?;
    let if_match = object.e_tag.clone().map(ETagCondition::ETag);
    Conditions { if_match, ..Conditions::default() }.allow_write(current.as_ref())?;
    remove(transaction, bucket, &object.key)?;
    Ok(current.map(|object| object.file))
}

fn refusal(key: String, error: Error) -> s3s::dto::Error {
    let error = S3Error::from(error);
    s3s::dto::Error {
        key: Some(key),
        code: Some(error.code().as_str().to_owned()),
        message: error.message().map(str::to_owned),
        ..s3s::dto::Error::default()
    }
}

fn remove(transaction: &Transaction<'_>, bucket: &str, key: &str) -> Result<(), Error> {
    transaction.prepare_cached("DELETE FROM object WHERE bucket = ?1 AND key = ?2")?.execute([bucket, key])?;
    Ok(())
}
