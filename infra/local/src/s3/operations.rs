//! Which function answers which S3 operation. Every operation that is not here is answered `NotImplemented`.

use std::sync::Arc;

use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput, CompleteMultipartUploadOutput,
    CopyObjectInput, CopyObjectOutput, CreateBucketInput, CreateBucketOutput, CreateMultipartUploadInput,
    CreateMultipartUploadOutput, DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput,
    GetBucketLocationInput, GetBucketLocationOutput, GetObjectInput, GetObjectOutput, GetObjectTaggingInput,
    GetObjectTaggingOutput, HeadBucketInput, HeadBucketOutput, HeadObjectInput, HeadObjectOutput, ListBucketsInput,
    ListBucketsOutput, ListMultipartUploadsInput, ListMultipartUploadsOutput, ListObjectsInput, ListObjectsOutput,
    ListObjectsV2Input, ListObjectsV2Output, ListPartsInput, ListPartsOutput, PutObjectInput, PutObjectOutput,
    UploadPartCopyInput, UploadPartCopyOutput, UploadPartInput, UploadPartOutput,
};
use s3s::{S3, S3Request, S3Response, S3Result};

use super::object::Object;
use super::store::Store;
use super::{REGION, bucket, complete, copy, list, multipart, read, uploads, write};

/// The operations over one store.
#[derive(Debug, Clone)]
pub(crate) struct Operations(pub(crate) Arc<Store>);

type Request<T> = S3Request<T>;
type Answer<T> = S3Result<S3Response<T>>;

#[async_trait::async_trait]
impl S3 for Operations {
    async fn create_bucket(&self, request: Request<CreateBucketInput>) -> Answer<CreateBucketOutput> {
        let name = request.input.bucket;
        self.0.create_bucket(&name).await?;
        Ok(S3Response::new(CreateBucketOutput { location: Some(format!("/{name}")) }))
    }

    async fn head_bucket(&self, request: Request<HeadBucketInput>) -> Answer<HeadBucketOutput> {
        bucket::expect(&self.0, &request.input.bucket).await?;
        Ok(S3Response::new(HeadBucketOutput { bucket_region: Some(REGION.to_owned()), ..HeadBucketOutput::default() }))
    }

    async fn list_buckets(&self, request: Request<ListBucketsInput>) -> Answer<ListBucketsOutput> {
        Ok(S3Response::new(bucket::list(&self.0, request.input).await?))
    }

    async fn get_bucket_location(&self, request: Request<GetBucketLocationInput>) -> Answer<GetBucketLocationOutput> {
        bucket::expect(&self.0, &request.input.bucket).await?;
        // S3's oldest region is the one without a name here.
        Ok(S3Response::new(GetBucketLocationOutput::default()))
    }

    async fn put_object(&self, request: Request<PutObjectInput>) -> Answer<PutObjectOutput> {
        Ok(write::put(&self.0, request).await?)
    }

    async fn get_object(&self, request: Request<GetObjectInput>) -> Answer<GetObjectOutput> {
        Ok(S3Response::new(read::get(&self.0, request.input).await?))
    }

    async fn head_object(&self, request: Request<HeadObjectInput>) -> Answer<HeadObjectOutput> {
        Ok(read::head(&self.0, request.input).await?)
    }

    async fn delete_object(&self, request: Request<DeleteObjectInput>) -> Answer<DeleteObjectOutput> {
        Ok(S3Response::new(write::delete(&self.0, request.input).await?))
    }

    async fn delete_objects(&self, request: Request<DeleteObjectsInput>) -> Answer<DeleteObjectsOutput> {
        Ok(S3Response::new(write::delete_many(&self.0, request.input).await?))
    }

    async fn copy_object(&self, request: Request<CopyObjectInput>) -> Answer<CopyObjectOutput> {
        Ok(copy::object(&self.0, request).await?)
    }

    /// No object has tags. The AWS CLI asks before it copies a large one.
    async fn get_object_tagging(&self, request: Request<GetObjectTaggingInput>) -> Answer<GetObjectTaggingOutput> {
        let input = request.input;
        self.0.blocking(move |store| Object::get(&store.database(), &input.bucket, &input.key)).await?;
        Ok(S3Response::new(GetObjectTaggingOutput::default()))
    }

    async fn list_objects(&self, request: Request<ListObjectsInput>) -> Answer<ListObjectsOutput> {
        Ok(S3Response::new(list::v1(&self.0, request.input).await?))
    }

    async fn list_objects_v2(&self, request: Request<ListObjectsV2Input>) -> Answer<ListObjectsV2Output> {
        Ok(S3Response::new(list::v2(&self.0, request.input).await?))
    }

    async fn create_multipart_upload(
        &self,
        request: Request<CreateMultipartUploadInput>,
    ) -> Answer<CreateMultipartUploadOutput> {
        Ok(S3Response::new(multipart::create(&self.0, request.input).await?))
    }

    async fn upload_part(&self, request: Request<UploadPartInput>) -> Answer<UploadPartOutput> {
        Ok(S3Response::new(multipart::upload_part(&self.0, request).await?))
    }

    async fn upload_part_copy(&self, request: Request<UploadPartCopyInput>) -> Answer<UploadPartCopyOutput> {
        Ok(S3Response::new(copy::part(&self.0, request.input).await?))
    }

    async fn list_parts(&self, request: Request<ListPartsInput>) -> Answer<ListPartsOutput> {
        Ok(S3Response::new(uploads::list_parts(&self.0, request.input).await?))
    }

    async fn list_multipart_uploads(
        &self,
        request: Request<ListMultipartUploadsInput>,
    ) -> Answer<ListMultipartUploadsOutput> {
        Ok(S3Response::new(uploads::list_uploads(&self.0, request.input).await?))
    }

    async fn complete_multipart_upload(
        &self,
        request: Request<CompleteMultipartUploadInput>,
    ) -> Answer<CompleteMultipartUploadOutput> {
        Ok(complete::complete(&self.0, request.input).await?)
    }

    async fn abort_multipart_upload(
        &self,
        request: Request<AbortMultipartUploadInput>,
    ) -> Answer<AbortMultipartUploadOutput> {
        Ok(S3Response::new(multipart::abort(&self.0, request.input).await?))
    }
}
