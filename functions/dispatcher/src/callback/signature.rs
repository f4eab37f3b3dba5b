//! Signs callbacks as Standard Webhooks has it (<https://www.standardwebhooks.com>), for which there are libraries in many
//! languages: HMAC-SHA256 over id, time and body, so that nobody can alter one, and an old one is known for what it is.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// What a secret begins with, so that one that got lost is recognised.
const PREFIX: &str = "whsec_";

/// Fewest and most bytes of a secret.
const SIZES: std::ops::RangeInclusive<usize> = 24..=64;

/// A secret that callbacks are signed with.
#[derive(Clone)]
pub(crate) struct SigningKey(Hmac<Sha256>);

/// The text is no secret. It is not repeated: it may be one all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("has to be {PREFIX} and the base64 of {} to {} bytes, or several such separated by commas", SIZES.start(), SIZES.end())]
pub(crate) struct InvalidKey;

impl SigningKey {
    /// The signature of a callback, as one of those in its header `webhook-signature`.
    fn sign(&self, id: &str, timestamp: i64, body: &str) -> String {
        let mac = self.0.clone().chain_update(format!("{id}.{timestamp}.")).chain_update(body);
        format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()))
    }
}

/// The header `webhook-signature`: a signature with each key, so that receivers go on while one is replaced by another.
pub(crate) fn header(keys: &[SigningKey], id: &str, timestamp: i64, body: &str) -> String {
    keys.iter().map(|key| key.sign(id, timestamp, body)).collect::<Vec<String>>().join(" ")
}

impl FromStr for SigningKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let encoded = text.trim().strip_prefix(PREFIX).ok_or(InvalidKey)?;
        let secret = BASE64_STANDARD.decode(encoded).map_err(|_| InvalidKey)?;
        if !SIZES.contains(&secret.len()) {
            return Err(InvalidKey);
        }
        Hmac::new_from_slice(&secret).map(Self).map_err(|_| InvalidKey)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // As docs/notifications.md has it, to the letter.
    fn is_from_darkroom(id: &str, timestamp: &str, signatures: &str, body: &[u8], secret: &str, now: i64) -> bool {
        let is_recent = timestamp.parse().is_ok_and(|then: i64| now.abs_diff(then) <= 300);
        let key = BASE64_STANDARD.decode(secret.trim_start_matches("whsec_")).unwrap_or_default();
        let Ok(mac) = Hmac::<Sha256>::new_from_slice(&key) else { return false };
        let mac = mac.chain_update(format!("{id}.{timestamp}.")).chain_update(body);
        let is_mine = |given: &str| {
            let given = given.strip_prefix("v1,").and_then(|given| BASE64_STANDARD.decode(given).ok());
            given.is_some_and(|given| mac.clone().verify_slice(&given).is_ok())
        };
        is_recent && signatures.split(' ').any(is_mine)
    }

    #[test]
    fn receivers_verify_as_the_page_tells_them() {
        let mine: String = include_str!("signature.rs").split("to the letter.\n").nth(1).unwrap().into();
        let mine = mine.split("\n\n").next().unwrap().replace("\n    ", "\n");
        let page = include_str!("../../../../docs/notifications.md");
        assert!(page.contains(mine.trim_start()), "{mine}");

        let (secret, other) = ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSx");
        let keys = [other.parse().unwrap(), secret.parse().unwrap()];
        let header = header(&keys, "id", 1000, "body");
        assert!(is_from_darkroom("id", "1000", &header, b"body", secret, 1300));
        for (id, timestamp, body, secret, now) in [
            ("ie", "1000", "body", secret, 1000),
            ("id", "1001", "body", secret, 1000),
            ("id", "1000", "bodi", secret, 1000),
            ("id", "1000", "body", "whsec_", 1000),
            ("id", "1000", "body", secret, 1301),
            ("id", &i64::MIN.to_string(), "body", secret, 1000),
        ] {
            assert!(!is_from_darkroom(id, timestamp, &header, body.as_bytes(), secret, now), "{id} {timestamp} {body}");
        }
    }

    #[test]
    fn a_signature_is_the_one_that_the_specification_shows() {
        // The example of https://github.com/standard-webhooks/standard-webhooks, whose libraries are tested with it.
        let key: SigningKey = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap();
        let (id, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", r#"{"test": 2432232314}"#);
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(header(std::slice::from_ref(&key), id, 1_614_265_330, body), expected);
        assert_eq!(header(&[key.clone(), key], id, 1_614_265_330, body), format!("{expected} {expected}"));
    }

    #[test]
    fn what_is_no_secret_is_refused_and_none_is_shown() {
        let short = format!("{PREFIX}{}", BASE64_STANDARD.encode([7; 23]));
        let long = format!("{PREFIX}{}", BASE64_STANDARD.encode([7; 65]));
        for text in ["", "secret", "whsec_", "whsec_%", &short, &long] {
            assert_eq!(text.parse::<SigningKey>().err(), Some(InvalidKey), "{text}");
        }
        let key: SigningKey = format!("{PREFIX}{}", BASE64_STANDARD.encode([7; 24])).parse().unwrap();
        assert_eq!(format!("{key:?}"), "SigningKey");
    }
}
