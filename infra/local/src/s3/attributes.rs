//! What an object carries beside its bytes: the headers it is served with, and the user's metadata.
//!
//! Tags, storage classes, ACLs and encryption settings are accepted in requests and not kept.

use std::collections::HashMap;

use http::{HeaderName, HeaderValue};
use s3s::dto::Timestamp;
use serde::{Deserialize, Serialize};

use super::error::Error;

/// Most bytes of user metadata, names and values together, as S3 has it.
const MAX_METADATA_BYTES: usize = 2048;

/// Most bytes of a key, as S3 has it.
const MAX_KEY_BYTES: usize = 1024;

/// Headers and metadata of an object.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Attributes {
    pub(crate) content_type: Option<String>,
    pub(crate) content_disposition: Option<String>,
    pub(crate) content_encoding: Option<String>,
    pub(crate) content_language: Option<String>,
    pub(crate) cache_control: Option<String>,
    pub(crate) expires: Option<Timestamp>,
    pub(crate) metadata: HashMap<String, String>,
}

/// The attributes in one of s3s's inputs: they share the field names, but no trait.
macro_rules! sent_attributes {
    ($input:expr) => {
        $crate::s3::attributes::Attributes {
            content_type: $input.content_type.take(),
            content_disposition: $input.content_disposition.take(),
            content_encoding: $input.content_encoding.take(),
            content_language: $input.content_language.take(),
            cache_control: $input.cache_control.take(),
            expires: $input.expires.take(),
            metadata: $input.metadata.take().unwrap_or_default(),
        }
        .checked()
    };
}
pub(crate) use sent_attributes;

impl Attributes {
    /// Refuses what could not be served again. Headers were headers before, but the fields of a form can be anything.
    pub(crate) fn checked(mut self) -> Result<Self, Error> {
        self.content_encoding = self.content_encoding.as_deref().and_then(without_aws_chunked);
        let headers = [
            &self.content_type,
            &self.content_disposition,
            &self.content_encoding,
            &self.content_language,
            &self.cache_control,
        ];
        if headers.into_iter().flatten().any(|value| HeaderValue::from_str(value).is_err()) {
            return Err(Error::InvalidArgument("A header value contains characters that cannot be served."));
        }
        if self.metadata.keys().any(|name| HeaderName::from_bytes(name.as_bytes()).is_err()) {
            return Err(Error::InvalidArgument("A metadata name is no valid header name."));
        }
        let bytes: usize = self.metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
        if bytes > MAX_METADATA_BYTES {
            return Err(Error::MetadataTooLarge);
        }
        Ok(self)
    }
}

/// `aws-chunked` names the upload's framing, which is gone once the object is stored.
fn without_aws_chunked(encoding: &str) -> Option<String> {
    let kept: Vec<_> = encoding.split(',').map(str::trim).filter(|coding| *coding != "aws-chunked").collect();
    (!kept.is_empty() && kept != [""]).then(|| kept.join(", "))
}

/// A key is any text of 1 to 1024 bytes. One in the path was checked by s3s, one in a form was not.
pub(crate) fn check_key(key: &str) -> Result<(), Error> {
    match key.len() {
        0 => Err(Error::InvalidArgument("User key must have a length greater than 0.")),
        1..=MAX_KEY_BYTES => Ok(()),
        _ => Err(Error::KeyTooLong),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_encoding(sent: &str, kept: Option<&str>) {
        assert_eq!(without_aws_chunked(sent).as_deref(), kept);
    }

    #[test]
    fn the_framing_of_an_upload_is_not_an_encoding_of_the_object() {
        check_encoding("aws-chunked", None);
        check_encoding("", None);
        check_encoding("gzip", Some("gzip"));
        check_encoding("gzip,aws-chunked", Some("gzip"));
        check_encoding("aws-chunked, gzip, br", Some("gzip, br"));
    }

    #[test]
    fn what_could_not_be_served_is_refused() {
        let with_type = |value: &str| Attributes { content_type: Some(value.to_owned()), ..Attributes::default() };
        assert!(with_type("image/jpeg").checked().is_ok());
        assert!(with_type("image/jpeg\r\nx-evil: 1").checked().is_err());

        let with_meta = |name: &str, value: &str| Attributes {
            metadata: HashMap::from([(name.to_owned(), value.to_owned())]),
            ..Attributes::default()
        };
        assert!(with_meta("recipe", "Ünï").checked().is_ok());
        assert!(with_meta("a b", "c").checked().is_err());
        assert!(matches!(with_meta("a", &"x".repeat(2048)).checked(), Err(Error::MetadataTooLarge)));
    }

    #[test]
    fn keys_have_1_to_1024_bytes() {
        assert!(check_key("../x").is_ok());
        assert!(check_key(&"é".repeat(512)).is_ok());
        assert!(matches!(check_key(&"é".repeat(513)), Err(Error::KeyTooLong)));
        assert!(check_key("").is_err());
    }
}
