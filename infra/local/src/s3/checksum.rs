//! The checksums that a client may send with a body, and the object keeps.
//!
//! MD5 is not among them: it is always computed, for the entity tag.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Sha1, Sha256};
use serde::{Deserialize, Serialize};

use super::error::Error;

/// One of S3's checksum algorithms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

/// A checksum, as S3 writes it: base64, and for a composite one the number of parts after a hyphen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checksum {
    pub(crate) algorithm: Algorithm,
    pub(crate) value: String,
    /// The checksum of the parts' checksums instead of the whole content.
    pub(crate) composite: bool,
}

impl Algorithm {
    /// By the name used in `x-amz-checksum-algorithm`.
    pub(crate) fn named(name: &str) -> Result<Self, Error> {
        match name {
            "CRC32" => Ok(Self::Crc32),
            "CRC32C" => Ok(Self::Crc32c),
            "CRC64NVME" => Ok(Self::Crc64Nvme),
            "SHA1" => Ok(Self::Sha1),
            "SHA256" => Ok(Self::Sha256),
            _ => Err(Error::InvalidRequest("Checksum algorithm provided is unsupported.")),
        }
    }

    /// The algorithm whose checksum travels in this header or trailer, if it is a checksum at all.
    pub(crate) fn of_header(name: &str) -> Option<Result<Self, Error>> {
        let name = name.strip_prefix("x-amz-checksum-")?;
        Some(Self::named(&name.to_ascii_uppercase()))
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    pub(crate) fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    /// Whether a multipart object's checksum is of its parts' checksums, where the client does not say.
    pub(crate) fn composite_by_default(self) -> bool {
        self != Self::Crc64Nvme
    }

    pub(crate) fn hasher(self) -> ChecksumHasher {
        let mut hasher = ChecksumHasher::default();
        match self {
            Self::Crc32 => hasher.crc32 = Some(Crc32::new()),
            Self::Crc32c => hasher.crc32c = Some(Crc32c::new()),
            Self::Crc64Nvme => hasher.crc64nvme = Some(Crc64Nvme::new()),
            Self::Sha1 => hasher.sha1 = Some(Sha1::new()),
            Self::Sha256 => hasher.sha256 = Some(Sha256::new()),
        }
        hasher
    }

    /// What `hasher`, made by [`Self::hasher`], has come to.
    pub(crate) fn finish(self, hasher: ChecksumHasher) -> Checksum {
        let sums = hasher.finalize();
        let value = match self {
            Self::Crc32 => sums.checksum_crc32,
            Self::Crc32c => sums.checksum_crc32c,
            Self::Crc64Nvme => sums.checksum_crc64nvme,
            Self::Sha1 => sums.checksum_sha1,
            Self::Sha256 => sums.checksum_sha256,
        };
        Checksum { algorithm: self, value: value.unwrap_or_default(), composite: false }
    }

    /// The checksum of the parts' checksums.
    pub(crate) fn composite<'a>(self, parts: impl IntoIterator<Item = &'a str>) -> Checksum {
        let mut hasher = self.hasher();
        let mut count = 0;
        for part in parts {
            // OK to skip what does not decode: the values are our own, and a wrong sum only fails a comparison.
            hasher.update(&BASE64_STANDARD.decode(part).unwrap_or_default());
            count += 1;
        }
        let Checksum { value, .. } = self.finish(hasher);
        Checksum { algorithm: self, value: format!("{value}-{count}"), composite: true }
    }
}

impl Checksum {
    /// Picks the one checksum among those a request could carry.
    pub(crate) fn only_one(sent: [(Algorithm, Option<String>); 5]) -> Result<Option<(Algorithm, String)>, Error> {
        let mut sent = sent.into_iter().filter_map(|(algorithm, value)| Some((algorithm, value?)));
        match (sent.next(), sent.next()) {
            (one, None) => Ok(one),
            _ => Err(Error::InvalidRequest(
                "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
            )),
        }
    }

    pub(crate) fn kind(&self) -> &'static str {
        if self.composite { "COMPOSITE" } else { "FULL_OBJECT" }
    }
}

/// The checksum in one of s3s's inputs: they share five field names, but no trait.
macro_rules! sent_checksum {
    ($input:expr) => {{
        use $crate::s3::checksum::{Algorithm, Checksum};
        Checksum::only_one([
            (Algorithm::Crc32, $input.checksum_crc32.take()),
            (Algorithm::Crc32c, $input.checksum_crc32c.take()),
            (Algorithm::Crc64Nvme, $input.checksum_crc64nvme.take()),
            (Algorithm::Sha1, $input.checksum_sha1.take()),
            (Algorithm::Sha256, $input.checksum_sha256.take()),
        ])
    }};
}

/// Writes a checksum into one of s3s's outputs: they share five field names, but no trait.
macro_rules! put_checksum {
    ($output:expr, $checksum:expr) => {
        if let Some(checksum) = $checksum {
            use $crate::s3::checksum::Algorithm;
            let value = Some(checksum.value.clone());
            match checksum.algorithm {
                Algorithm::Crc32 => $output.checksum_crc32 = value,
                Algorithm::Crc32c => $output.checksum_crc32c = value,
                Algorithm::Crc64Nvme => $output.checksum_crc64nvme = value,
                Algorithm::Sha1 => $output.checksum_sha1 = value,
                Algorithm::Sha256 => $output.checksum_sha256 = value,
            }
        }
    };
}

pub(crate) use {put_checksum, sent_checksum};

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(algorithm: Algorithm, content: &[u8], value: &str) {
        let mut hasher = algorithm.hasher();
        hasher.update(content);
        assert_eq!(algorithm.finish(hasher).value, value);
        assert_eq!(Algorithm::named(algorithm.name()).unwrap(), algorithm);
        assert_eq!(Algorithm::of_header(algorithm.header()).unwrap().unwrap(), algorithm);
    }

    #[test]
    fn checksums_are_those_of_the_published_check_values() {
        // The catalogue's check value of each is over "123456789".
        check(Algorithm::Crc32, b"123456789", "y/Q5Jg==");
        check(Algorithm::Crc32c, b"123456789", "4waSgw==");
        check(Algorithm::Crc64Nvme, b"123456789", "rosUhgp5mIg=");
        check(Algorithm::Sha1, b"", "2jmj7l5rSw0yVb/vlWAYkK/YBwk=");
        check(Algorithm::Sha256, b"", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    }

    #[test]
    fn two_checksums_in_one_request_are_refused() {
        let sent = |second: Option<&str>| {
            Checksum::only_one([
                (Algorithm::Crc32, Some("a".to_owned())),
                (Algorithm::Sha1, second.map(str::to_owned)),
                (Algorithm::Crc32c, None),
                (Algorithm::Crc64Nvme, None),
                (Algorithm::Sha256, None),
            ])
        };
        assert_eq!(sent(None).unwrap(), Some((Algorithm::Crc32, "a".to_owned())));
        assert!(sent(Some("b")).is_err());
    }

    #[test]
    fn a_composite_checksum_names_the_number_of_its_parts() {
        let sum = Algorithm::Crc32.composite(["y/Q5Jg==", "y/Q5Jg=="]);
        assert!(sum.value.ends_with("==-2"), "{}", sum.value);
        assert_eq!(sum.kind(), "COMPOSITE");
    }
}
