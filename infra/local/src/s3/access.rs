//! Who may ask: two access keys, and the rules of S3 about signatures that s3s leaves open.
//!
//! s3s verifies the signature itself, the age of the request and the expiry of a presigned URL. There are no policies
//! here: whoever holds a key may do everything.
//!
//! One of the keys is printed at every start, so a page on the internet knows it too, and the browser of whoever reads
//! that page reaches this port. The browser says where the page is from, in `Origin`, and pages from elsewhere are
//! refused what that key signed. The functions have a key that nobody knows: their presigned URLs work for any page.

use std::fmt;

use http::{HeaderMap, Uri};
use percent_encoding::percent_decode_str;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::{S3Result, s3_error};

use super::REGION;
use crate::host;

/// Longest life of a presigned URL in seconds, as S3 has it: a week.
const MAX_EXPIRES: u32 = 604_800;

/// An access key with its secret.
#[derive(Clone)]
pub(crate) struct Credentials {
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

/// The keys that open the store.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    /// Known to everybody.
    pub(crate) public: Credentials,
    /// The functions' own.
    pub(crate) own: Credentials,
}

#[async_trait::async_trait]
impl S3Auth for Keys {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        match [&self.public, &self.own].into_iter().find(|key| key.access_key == access_key) {
            Some(key) => Ok(SecretKey::from(key.secret_key.as_str())),
            None => {
                Err(s3_error!(InvalidAccessKeyId, "The AWS Access Key Id you provided does not exist in our records."))
            }
        }
    }
}

/// What has to hold for a request beyond a right signature.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    pub(crate) public_key: String,
}

#[async_trait::async_trait]
impl S3Access for Access {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let Some(credentials) = context.credentials() else {
            return Err(s3_error!(AccessDenied, "Access Denied"));
        };
        if credentials.access_key == self.public_key && host::is_foreign(context.headers()) {
            return Err(s3_error!(
                AccessDenied,
                "Pages of other origins may not sign with the key that everybody knows."
            ));
        }
        // An HTML form carries its signature among its fields, and its policy says which others it may have.
        if context.s3_op().name() == "PostObject" || is_version_2_url(context.uri()) {
            return Ok(());
        }
        match Signature::find(context.uri(), context.headers()) {
            Some(signature) => signature.check(context.headers()),
            None => Err(s3_error!(
                InvalidRequest,
                "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."
            )),
        }
    }
}

/// Whether this URL is presigned by Signature Version 2, which covers every `x-amz-*` header by itself.
///
/// S3 has retired it for new buckets, but boto3 and the AWS CLI still presign by it unless they are told otherwise.
/// In an `Authorization` header it is refused: nobody sends it, and s3s would not look at its age.
fn is_version_2_url(uri: &Uri) -> bool {
    parameter(uri, "Signature").is_some()
}

/// Whether a presigned URL's signature cannot be one, whatever was signed. s3s calls such a request malformed, where S3
/// refuses it as it does any wrong signature.
pub(crate) fn has_impossible_signature(uri: &Uri) -> bool {
    let is_hex = |signature: &str| signature.len() == 64 && signature.bytes().all(|byte| byte.is_ascii_hexdigit());
    parameter(uri, "X-Amz-Signature").is_some_and(|signature| !is_hex(&signature))
}

/// The parts of a Signature Version 4 that say what was signed, from a presigned URL or an `Authorization` header.
#[derive(Debug, PartialEq, Eq)]
struct Signature {
    credential: String,
    signed_headers: String,
    /// Only a presigned URL has it.
    expires: Option<String>,
}

impl Signature {
    fn find(uri: &Uri, headers: &HeaderMap) -> Option<Self> {
        if let Some(signed_headers) = parameter(uri, "X-Amz-SignedHeaders") {
            let expires = Some(parameter(uri, "X-Amz-Expires")?);
            return Some(Self { credential: parameter(uri, "X-Amz-Credential")?, signed_headers, expires });
        }
        let header = headers.get(http::header::AUTHORIZATION)?.to_str().ok()?;
        let fields = header.strip_prefix("AWS4-HMAC-SHA256")?;
        let field = |name| {
            let mut fields = fields.split(',').filter_map(|field| field.trim().split_once('='));
            fields.find_map(|(found, value)| (found == name).then(|| value.to_owned()))
        };
        Some(Self { credential: field("Credential")?, signed_headers: field("SignedHeaders")?, expires: None })
    }

    fn check(&self, headers: &HeaderMap) -> S3Result<()> {
        if let Some(expires) = &self.expires
            && expires.parse::<u32>().is_ok_and(|seconds| seconds > MAX_EXPIRES)
        {
            return Err(s3_error!(
                AuthorizationQueryParametersError,
                "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less \
                 than 604800 seconds"
            ));
        }
        // access key / date / region / service / aws4_request
        let scope: Vec<_> = self.credential.rsplit('/').take(3).collect();
        match scope[..] {
            [_, "s3", REGION] => {}
            [_, "s3", region] => {
                return Err(s3_error!(
                    AuthorizationHeaderMalformed,
                    "The authorization header is malformed; the region '{region}' is wrong; expecting '{REGION}'"
                ));
            }
            _ => {
                return Err(s3_error!(
                    AuthorizationHeaderMalformed,
                    "The authorization header is malformed; incorrect service. This endpoint belongs to \"s3\"."
                ));
            }
        }
        match unsigned_header(headers, &self.signed_headers) {
            Some(_) => Err(s3_error!(AccessDenied, "There were headers present in the request which were not signed")),
            None => Ok(()),
        }
    }
}

/// An `x-amz-*` header that was added after signing: it would change what the signer allowed.
fn unsigned_header<'a>(headers: &'a HeaderMap, signed: &str) -> Option<&'a str> {
    headers.keys().map(http::HeaderName::as_str).find(|name| {
        // The content's hash says what the body is, and s3s holds the body to it, signed or not.
        name.starts_with("x-amz-") && *name != "x-amz-content-sha256" && !signed.split(';').any(|one| one == *name)
    })
}

/// A parameter of the query. Names are decoded too: the signature is over what they mean, not how they are written.
fn parameter(uri: &Uri, name: &str) -> Option<String> {
    let mut pairs = uri.query()?.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(found, _)| percent_decode_str(found).eq(name.bytes()))?;
    Some(percent_decode_str(value).decode_utf8().ok()?.into_owned())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
        all.iter().map(|(name, value)| ((*name).parse().unwrap(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[track_caller]
    fn check_signature(credential: &str, signed: &str, expires: Option<&str>, sent: &HeaderMap, code: &str) {
        let signature = Signature {
            credential: credential.to_owned(),
            signed_headers: signed.to_owned(),
            expires: expires.map(str::to_owned),
        };
        let refusal = signature.check(sent).err();
        let found = refusal.as_ref().map_or("", |error| error.code().as_str());
        assert_eq!(found, code);
    }

    #[test]
    fn what_was_signed_is_found_in_the_url_and_in_the_header() {
        let uri = "/b/k?X-Amz-Credential=me%2F20240101%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Expires=300\
                   &X-Amz-SignedHeaders=content-type%3Bhost&X-Amz-Signature=00";
        let expected = Signature {
            credential: "me/20240101/us-east-1/s3/aws4_request".to_owned(),
            signed_headers: "content-type;host".to_owned(),
            expires: Some("300".to_owned()),
        };
        assert_eq!(Signature::find(&uri.parse().unwrap(), &HeaderMap::new()), Some(expected));

        let sent = headers(&[(
            "authorization",
            "AWS4-HMAC-SHA256 Credential=me/20240101/us-east-1/s3/aws4_request, \
             SignedHeaders=host;x-amz-date,Signature=00",
        )]);
        let found = Signature::find(&Uri::from_static("/b/k"), &sent).unwrap();
        assert_eq!(found.credential, "me/20240101/us-east-1/s3/aws4_request");
        assert_eq!(found.signed_headers, "host;x-amz-date");

        let other = headers(&[("authorization", "AWS5 Credential=me/20240101/us-east-1/s3/aws4_request")]);
        assert_eq!(Signature::find(&Uri::from_static("/b/k"), &other), None);
    }

    #[test]
    fn a_signature_of_another_length_is_impossible() {
        let uri = |signature: &str| format!("/b/k?X-Amz-Signature={signature}").parse().unwrap();
        let right = "0".repeat(64);
        assert!(!has_impossible_signature(&uri(&right)));
        assert!(!has_impossible_signature(&Uri::from_static("/b/k")));
        for wrong in ["", "00", &format!("{right}0"), &"x".repeat(64)] {
            assert!(has_impossible_signature(&uri(wrong)), "{wrong}");
        }
    }

    #[test]
    fn another_spelling_of_a_parameter_does_not_hide_what_was_signed() {
        let uri = "/b/k?X-Amz-Credential=c&X-Amz-Expires=1&X-Amz-Signed%48eaders=host&X-Amz-Signature=00";
        let found = Signature::find(&uri.parse().unwrap(), &HeaderMap::new());
        assert_eq!(found.unwrap().signed_headers, "host");
    }

    #[test]
    fn signature_version_2_is_taken_in_urls_only() {
        assert!(is_version_2_url(&Uri::from_static("/b/k?AWSAccessKeyId=me&Signature=c2ln&Expires=1")));
        assert!(!is_version_2_url(&Uri::from_static("/b/k?X-Amz-Signature=00")));
        let header = headers(&[("authorization", "AWS me:c2ln")]);
        assert_eq!(Signature::find(&Uri::from_static("/b/k"), &header), None);
    }

    #[test]
    fn signatures_are_for_this_region_and_service_and_not_for_longer_than_a_week() {
        let none = HeaderMap::new();
        check_signature("me/20240101/us-east-1/s3/aws4_request", "host", Some("604800"), &none, "");
        check_signature("me/20240101/us-east-1/s3/aws4_request", "host", None, &none, "");
        check_signature(
            "me/20240101/us-east-1/s3/aws4_request",
            "host",
            Some("604801"),
            &none,
            "AuthorizationQueryParametersError",
        );
        check_signature("me/20240101/eu-west-1/s3/aws4_request", "host", None, &none, "AuthorizationHeaderMalformed");
        check_signature("me/20240101/us-east-1/sts/aws4_request", "host", None, &none, "AuthorizationHeaderMalformed");
        check_signature("", "host", None, &none, "AuthorizationHeaderMalformed");
    }

    #[test]
    fn amz_headers_that_were_not_signed_are_refused() {
        let scope = "me/20240101/us-east-1/s3/aws4_request";
        let meta = headers(&[("x-amz-meta-recipe", "x"), ("accept", "*/*"), ("x-amz-content-sha256", "y")]);
        check_signature(scope, "host", Some("300"), &meta, "AccessDenied");
        check_signature(scope, "host;x-amz-meta-recipe2", Some("300"), &meta, "AccessDenied");
        check_signature(scope, "host;x-amz-meta-recipe", Some("300"), &meta, "");
    }
}
