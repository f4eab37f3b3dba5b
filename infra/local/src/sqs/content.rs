//! What a message carries: its body and attributes, what is allowed in them, and their checksums.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};

use super::error::Error;

/// Most attributes that a message may have.
const MAX_ATTRIBUTES: usize = 10;

pub(crate) type Attributes = BTreeMap<String, MessageAttribute>;

/// A message attribute: a value of type `String`, `Number` or `Binary`, each perhaps with a custom `.label`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct MessageAttribute {
    pub(crate) data_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) string_value: Option<String>,
    /// Base64, as it travels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) binary_value: Option<String>,
}

impl MessageAttribute {
    /// The value's bytes, and the mark of their kind that goes into the checksum.
    fn value(&self, name: &str) -> Result<(u8, Vec<u8>), Error> {
        let refuse = |reason: &str| Error::invalid("MessageAttributes", name, reason);
        let (mark, bytes) = match (self.data_type.split('.').next(), &self.string_value, &self.binary_value) {
            (Some("String" | "Number"), Some(text), None) => {
                check_characters(text)?;
                (1, text.clone().into_bytes())
            }
            (Some("Binary"), None, Some(text)) => {
                let bytes = BASE64_STANDARD.decode(text).map_err(|error| Error::Serialization(error.to_string()))?;
                (2, bytes)
            }
            (Some("String" | "Number" | "Binary"), ..) => return Err(refuse("The value does not fit its data type.")),
            _ => return Err(refuse("The data type must start with String, Number or Binary.")),
        };
        if bytes.is_empty() { Err(refuse("The value is empty.")) } else { Ok((mark, bytes)) }
    }
}

/// Checks body and attributes of a message for a queue that takes `limit` bytes. Says how large they are together.
pub(super) fn check(body: &str, attributes: &Attributes, limit: u32) -> Result<usize, Error> {
    if body.is_empty() {
        return Err(Error::MissingParameter("MessageBody"));
    }
    check_characters(body)?;
    if attributes.len() > MAX_ATTRIBUTES {
        return Err(Error::InvalidParameterValue(format!(
            "Number of message attributes [{}] exceeds the allowed maximum [{MAX_ATTRIBUTES}].",
            attributes.len()
        )));
    }
    let mut bytes = body.len();
    for (name, attribute) in attributes {
        check_name(name)?;
        bytes += name.len() + attribute.data_type.len() + attribute.value(name)?.1.len();
    }
    if bytes > limit as usize {
        return Err(Error::InvalidParameterValue(format!(
            "One or more parameters are invalid. Reason: Message must be shorter than {limit} bytes."
        )));
    }
    Ok(bytes)
}

fn check_name(name: &str) -> Result<(), Error> {
    let lower = name.to_ascii_lowercase();
    let allowed = (1..=256).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        && !lower.starts_with("aws.")
        && !lower.starts_with("amazon.");
    if allowed { Ok(()) } else { Err(Error::invalid("MessageAttributeName", name, "Not an allowed name.")) }
}

/// Messages are XML characters: no control characters but tab and line ends, no U+FFFE, no U+FFFF.
fn check_characters(text: &str) -> Result<(), Error> {
    let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{FFFD}' | '\u{10000}'..);
    if text.chars().all(allowed) { Ok(()) } else { Err(Error::InvalidMessageContents) }
}

/// MD5 of a message body.
pub(crate) fn md5_of_body(body: &str) -> String {
    format!("{:x}", Md5::digest(body))
}

/// MD5 of message attributes as SQS computes it, `None` for none: names in order, and each field behind its length.
pub(super) fn md5_of_attributes(attributes: &Attributes) -> Option<String> {
    if attributes.is_empty() {
        return None;
    }
    let mut digest = Md5::new();
    let field = |digest: &mut Md5, bytes: &[u8]| {
        digest.update((bytes.len() as u32).to_be_bytes());
        digest.update(bytes);
    };
    for (name, attribute) in attributes {
        field(&mut digest, name.as_bytes());
        field(&mut digest, attribute.data_type.as_bytes());
        // OK to leave out: attributes are checked before they are stored, so each has a value.
        if let Ok((mark, bytes)) = attribute.value(name) {
            digest.update([mark]);
            field(&mut digest, &bytes);
        }
    }
    Some(format!("{:x}", digest.finalize()))
}

/// Whether a request that asks for `wanted` wants the attribute `name`: by name, by `prefix.*`, or all of them.
pub(super) fn is_wanted(wanted: &[String], name: &str) -> bool {
    wanted.iter().any(|want| match want.strip_suffix(".*") {
        Some(prefix) => name.starts_with(prefix),
        None => want == "All" || want == name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(data_type: &str, string: Option<&str>, binary: Option<&str>) -> MessageAttribute {
        MessageAttribute {
            data_type: data_type.into(),
            string_value: string.map(Into::into),
            binary_value: binary.map(Into::into),
        }
    }

    fn check_refused(body: &str, name: &str, attribute: MessageAttribute, code: &str) {
        let refused = check(body, &Attributes::from([(name.to_owned(), attribute)]), 1024).unwrap_err();
        assert_eq!(refused.code(), code, "{body:?} {name:?}: {refused}");
    }

    #[test]
    fn what_aws_refuses_is_refused() {
        let text = || attribute("String", Some("x"), None);
        check_refused("", "a", text(), "MissingParameter");
        check_refused("\u{0}", "a", text(), "InvalidMessageContents");
        check_refused("\u{FFFE}", "a", text(), "InvalidMessageContents");
        check_refused(&"x".repeat(1025), "a", text(), "InvalidParameterValue");
        check_refused(&"x".repeat(1017), "a", text(), "InvalidParameterValue");
        check_refused("x", "AWS.a", text(), "InvalidParameterValue");
        check_refused("x", "a b", text(), "InvalidParameterValue");
        check_refused("x", "a", attribute("String", None, None), "InvalidParameterValue");
        check_refused("x", "a", attribute("String", Some(""), None), "InvalidParameterValue");
        check_refused("x", "a", attribute("Binary", Some("x"), None), "InvalidParameterValue");
        check_refused("x", "a", attribute("Binary", None, Some("%")), "MalformedInput");
        check_refused("x", "a", attribute("Boolean", Some("x"), None), "InvalidParameterValue");
        assert_eq!(check("é🙂\t\r\n", &Attributes::new(), 1024).unwrap(), 9);
    }

    #[test]
    fn the_checksum_of_attributes_is_the_one_that_clients_verify() {
        let timestamp = |value| ("timestamp".to_owned(), attribute("Number.java.lang.Long", Some(value), None));
        let one = Attributes::from([timestamp("1493147359900")]);
        assert_eq!(md5_of_attributes(&one).as_deref(), Some("2e2e4876d8e0bd6b8c2c8f556831c349"));
        let three = Attributes::from([
            ("id".to_owned(), attribute("String", Some("2018fc74-4f77-1a5a-1be0-c2d037d5052b"), None)),
            ("contentType".to_owned(), attribute("String", Some("application/json"), None)),
            timestamp("1602845432024"),
        ]);
        assert_eq!(md5_of_attributes(&three).as_deref(), Some("b12289320bb6e494b18b645ef562b4a9"));
        assert_eq!(md5_of_attributes(&Attributes::new()), None);
    }

    #[test]
    fn attributes_are_asked_for_by_name_prefix_or_all() {
        for (wanted, name, is) in [("All", "a", true), (".*", "a", true), ("a.*", "a.b", true), ("a", "b", false)] {
            assert_eq!(is_wanted(&[wanted.to_owned()], name), is, "{wanted} {name}");
        }
    }
}
