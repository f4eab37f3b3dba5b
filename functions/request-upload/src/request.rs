//! What a client may say about an upload, and what it comes to once checked.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use shared::callback::CallbackHosts;
use shared::error::{Code, Failure};
use shared::format::Format;
use shared::key;
use shared::object::Object;
use shared::recipe::Recipe;

/// Most entries of `metadata`.
const MAX_METADATA_ENTRIES: usize = 16;

/// Most bytes of `metadata`, names and values together.
const MAX_METADATA_BYTES: usize = 2048;

/// Most files in one batch.
const MAX_BATCH: usize = 100;

/// The body of `POST /uploads`, as it is sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct UploadBody {
    filename: Option<String>,
    content_type: Option<String>,
    size: Option<u64>,
    checksum_sha256: Option<String>,
    derivatives: Option<Recipe>,
    #[serde(deserialize_with = "distinct_entries")]
    metadata: BTreeMap<String, String>,
    callback_url: Option<String>,
}

/// The body of `POST /uploads/batch`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BatchBody {
    files: Vec<Object<UploadBody>>,
}

/// An upload that may be offered a slot.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) filename: Option<String>,
    pub(crate) format: Format,
    pub(crate) size: Option<u64>,
    pub(crate) checksum_sha256: Option<String>,
    pub(crate) recipe: Option<Recipe>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) callback_url: Option<String>,
}

/// What this deployment allows an upload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits<'a> {
    /// Largest photo, in bytes.
    pub(crate) max_upload_bytes: u64,
    /// Whom it may have called.
    pub(crate) callback_hosts: &'a CallbackHosts,
}

/// Refuses two entries of one name, as serde does for fields: one of them would be lost without a word.
fn distinct_entries<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    struct Entries;

    impl<'de> Visitor<'de> for Entries {
        type Value = BTreeMap<String, String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object of strings")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut entries = BTreeMap::new();
            while let Some((name, value)) = map.next_entry::<String, String>()? {
                if entries.insert(name, value).is_some() {
                    return Err(A::Error::custom("two entries have one name"));
                }
            }
            Ok(entries)
        }
    }

    deserializer.deserialize_map(Entries)
}

impl UploadBody {
    /// Checks everything that the body's shape alone does not.
    pub(crate) fn check(self, limits: Limits) -> Result<Upload, Failure> {
        let refuse = |message: String| Err(Failure::client(Code::InvalidRequest, message));
        let filename = key::given_filename(self.filename)?;
        match self.size {
            Some(0) => return refuse("size: a photo has at least one byte".to_owned()),
            Some(size) if size > limits.max_upload_bytes => {
                let message = format!("size: at most {} bytes are accepted", limits.max_upload_bytes);
                return Err(Failure::client(Code::ImageTooLarge, message));
            }
            _ => {}
        }
        if let Some(checksum) = &self.checksum_sha256
            && !BASE64_STANDARD.decode(checksum).is_ok_and(|hash| hash.len() == 32)
        {
            return refuse("checksumSha256: not the base64 of a SHA-256".to_owned());
        }
        if self.metadata.keys().any(String::is_empty) {
            return refuse("metadata: an entry without a name".to_owned());
        }
        let metadata_bytes: usize = self.metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
        if self.metadata.len() > MAX_METADATA_ENTRIES || metadata_bytes > MAX_METADATA_BYTES {
            return refuse(format!("metadata: at most {MAX_METADATA_ENTRIES} entries and {MAX_METADATA_BYTES} bytes"));
        }
        if let Some(url) = &self.callback_url
            && let Err(error) = limits.callback_hosts.check(url)
        {
            return refuse(format!("callbackUrl: {error}"));
        }
        let format = match &self.content_type {
            Some(content_type) => {
                Format::from_media_type(content_type).filter(|format| format.is_read()).ok_or_else(|| {
                    let read: Vec<_> =
                        Format::ALL.into_iter().filter(|format| format.is_read()).map(Format::media_type).collect();
                    let message = format!("contentType: one of {}", read.join(", "));
                    Failure::client(Code::UnsupportedMediaType, message)
                })?
            }
            None => {
                let named = filename.as_deref().and_then(Format::from_file_name);
                named.filter(|format| format.is_read()).unwrap_or(Format::Jpeg)
            }
        };
        Ok(Upload {
            filename,
            format,
            size: self.size,
            checksum_sha256: self.checksum_sha256,
            recipe: self.derivatives,
            metadata: self.metadata,
            callback_url: self.callback_url,
        })
    }
}

impl BatchBody {
    /// Checks every file; the first one that is refused is named by its index.
    pub(crate) fn check(self, limits: Limits) -> Result<Vec<Upload>, Failure> {
        if self.files.is_empty() || self.files.len() > MAX_BATCH {
            let message = format!("files: 1 to {MAX_BATCH} entries, not {}", self.files.len());
            return Err(Failure::client(Code::InvalidRequest, message));
        }
        let checked = self.files.into_iter().enumerate().map(|(index, Object(file))| {
            file.check(limits).map_err(|error| match error {
                // One bad entry refuses the batch, so the answer is about the request: 400, whatever the entry's.
                Failure::Client { message, .. } => {
                    Failure::client(Code::InvalidRequest, format!("files[{index}].{message}"))
                }
                other => other,
            })
        });
        checked.collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;
    use shared::http::parse_body;

    use super::*;

    /// What photos of up to 1000 bytes may ask for where one host may be called.
    fn check(json: &str) -> Result<Upload, String> {
        let body: UploadBody = serde_json::from_str(json).map_err(|error| error.to_string())?;
        let callback_hosts = CallbackHosts { hosts: vec!["hooks.test".parse().unwrap()], private: false };
        body.check(Limits { max_upload_bytes: 1000, callback_hosts: &callback_hosts })
            .map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_refused_says_where() {
        let sha = BASE64_STANDARD.encode([0; 31]);
        let entries: Vec<String> = (0..17).map(|n| format!(r#""{n}":"""#)).collect();
        for (json, part) in [
            (r#"{"size":0}"#.to_owned(), "size: "),
            (r#"{"size":1001}"#.to_owned(), "IMAGE_TOO_LARGE: size: "),
            (r#"{"size":-1}"#.to_owned(), "-1"),
            (r#"{"size":1e309}"#.to_owned(), "number out of range"),
            (r#"{"size":18446744073709551616}"#.to_owned(), "invalid type"),
            (r#"{"contentType":"image/svg+xml"}"#.to_owned(), "UNSUPPORTED_MEDIA_TYPE: contentType: "),
            (r#"{"contentType":"image/png\r\nX: 1"}"#.to_owned(), "UNSUPPORTED_MEDIA_TYPE"),
            (format!(r#"{{"checksumSha256":"{sha}"}}"#), "checksumSha256: "),
            (format!(r#"{{"metadata":{{{}}}}}"#, entries.join(",")), "metadata: "),
            (format!(r#"{{"metadata":{{"a":"{}"}}}}"#, "x".repeat(2048)), "metadata: "),
            (r#"{"metadata":{"":"x"}}"#.to_owned(), "metadata: "),
            (r#"{"metadata":{"a":"1","a":"2"}}"#.to_owned(), "two entries"),
            (r#"{"callbackUrl":"https://elsewhere.test/"}"#.to_owned(), "callbackUrl: its host"),
            (r#"{"callbackUrl":"http://hooks.test/"}"#.to_owned(), "callbackUrl: has to begin with https"),
            (r#"{"status":"COMPLETED"}"#.to_owned(), "status"),
        ] {
            let message = check(&json).unwrap_err();
            assert!(message.contains(part), "{json}: {message}");
        }
    }

    /// What is wrong with a recipe, with the path of what is wrong, is all that a client has to go by.
    #[test]
    fn a_wrong_recipe_is_refused_with_the_path_of_what_is_wrong() {
        let nine: Vec<_> = (0..9).map(|n| format!(r#"{{"name":"n{n}"}}"#)).collect();
        let blurs = vec![r#"{"blur":1}"#; 17].join(",");
        let long = "x".repeat(121);
        let recipes = [
            "{}".to_owned(),
            "[]".to_owned(),
            format!("[{}]", nine.join(",")),
            "[{}]".to_owned(),
            r#"["full"]"#.to_owned(),
            r#"[["full"]]"#.to_owned(),
            r#"[{"name":"Full"}]"#.to_owned(),
            r#"[{"name":""}]"#.to_owned(),
            r#"[{"name":"../a"}]"#.to_owned(),
            r#"[{"name":"a"},{"name":"a"}]"#.to_owned(),
            r#"[{"name":"a"},{"name":"b","resize":{"width":0}}]"#.to_owned(),
            r#"[{"name":"a","resize":{"width":8193}}]"#.to_owned(),
            r#"[{"name":"a","resize":{"width":1.5}}]"#.to_owned(),
            r#"[{"name":"a","resize":{"height":"300"}}]"#.to_owned(),
            r#"[{"name":"a","resize":{"height":-1}}]"#.to_owned(),
            r#"[{"name":"a","resize":{}}]"#.to_owned(),
            r#"[{"name":"a","resize":[300,200]}]"#.to_owned(),
            r#"[{"name":"a","resize":{"widht":300}}]"#.to_owned(),
            r#"[{"name":"a","resize":{"width":300,"fit":"cover"}}]"#.to_owned(),
            r#"[{"name":"a","resize":{"width":300,"fit":"crop"}}]"#.to_owned(),
            r##"[{"name":"a","resize":{"width":300,"height":300,"background":"#ffffff"}}]"##.to_owned(),
            r#"[{"name":"a","resize":{"width":3,"height":3,"fit":"contain","background":"white"}}]"#.to_owned(),
            r#"[{"name":"a","crop":{"x":0,"y":0,"width":0,"height":9}}]"#.to_owned(),
            r#"[{"name":"a","crop":{"x":-1,"y":0,"width":9,"height":9}}]"#.to_owned(),
            r#"[{"name":"a","crop":{"width":9,"height":9}}]"#.to_owned(),
            r#"[{"name":"a","crop":[0,0,9,9]}]"#.to_owned(),
            r#"[{"name":"a","filters":"sepia"}]"#.to_owned(),
            r#"[{"name":"a","filters":["sepia","vintage"]}]"#.to_owned(),
            r#"[{"name":"a","filters":[{"blur":101}]}]"#.to_owned(),
            r#"[{"name":"a","filters":["blur"]}]"#.to_owned(),
            r#"[{"name":"a","filters":[{"blur":1,"sharpen":1}]}]"#.to_owned(),
            r#"[{"name":"a","filters":[{}]}]"#.to_owned(),
            r#"[{"name":"a","filters":[{"sepia":1}]}]"#.to_owned(),
            r#"[{"name":"a","filters":["sepia",{"brightness":-101}]}]"#.to_owned(),
            format!(r#"[{{"name":"a","filters":[{blurs}]}}]"#),
            r#"[{"name":"a","watermark":true}]"#.to_owned(),
            r#"[{"name":"a","watermark":{"text":""}}]"#.to_owned(),
            format!(r#"[{{"name":"a","watermark":{{"text":"{long}"}}}}]"#),
            r#"[{"name":"a","watermark":{"text":"写真"}}]"#.to_owned(),
            r#"[{"name":"a","watermark":{"text":"a","image":"logo.png"}}]"#.to_owned(),
            r#"[{"name":"a","watermark":{"image":"../logo.png"}}]"#.to_owned(),
            r##"[{"name":"a","watermark":{"image":"logo.png","color":"#ff0000"}}]"##.to_owned(),
            r#"[{"name":"a","watermark":{"position":"middle"}}]"#.to_owned(),
            r#"[{"name":"a","watermark":{"opacity":1.01}}]"#.to_owned(),
            r#"[{"name":"a","watermark":{"size":"10%"}}]"#.to_owned(),
            r#"[{"name":"a","watermark":{"outline":true}}]"#.to_owned(),
            r##"[{"name":"a","watermark":{"color":"#fff"}}]"##.to_owned(),
            r#"[{"name":"a","format":"heic"}]"#.to_owned(),
            r#"[{"name":"a","quality":0}]"#.to_owned(),
            r#"[{"name":"a","quality":85.5}]"#.to_owned(),
            r#"[{"name":"a","format":"png","lossless":true}]"#.to_owned(),
            r#"[{"name":"a","format":"webp","progressive":true}]"#.to_owned(),
        ];
        let shown: Vec<_> = recipes
            .iter()
            .map(|recipe| {
                let body = format!(r#"{{"derivatives":{recipe}}}"#);
                let refused = parse_body::<UploadBody>(&http::HeaderMap::new(), body.as_bytes()).unwrap_err();
                let shortened = recipe.chars().take(100).collect::<String>();
                format!("{shortened}\n    {refused}\n")
            })
            .collect();
        insta::assert_snapshot!(shown.join("\n"));
    }

    #[test]
    fn the_type_is_taken_from_the_name_where_none_is_given() {
        assert_eq!(check("{}").unwrap().format, Format::Jpeg);
        assert_eq!(check(r#"{"filename":"a.PNG"}"#).unwrap().format, Format::Png);
        assert_eq!(check(r#"{"filename":"a.png","contentType":"image/webp"}"#).unwrap().format, Format::Webp);
        assert_eq!(check(r#"{"filename":"a.avif"}"#).unwrap().format, Format::Jpeg, "AVIF is not read");
    }

    #[test]
    fn a_batch_names_its_bad_entry() {
        let body: BatchBody = serde_json::from_str(r#"{"files":[{},{"size":0}]}"#).unwrap();
        let limits = Limits { max_upload_bytes: 1, callback_hosts: &CallbackHosts::default() };
        assert!(body.check(limits).unwrap_err().to_string().contains("files[1].size"));
        let body: BatchBody = serde_json::from_str(r#"{"files":[]}"#).unwrap();
        assert!(body.check(limits).is_err());
    }

    #[test]
    fn whom_to_call_is_kept_as_it_was_given() {
        let url = "https://hooks.test/darkroom?for=me";
        assert_eq!(check(&format!(r#"{{"callbackUrl":"{url}"}}"#)).unwrap().callback_url.as_deref(), Some(url));
        let limits = Limits { max_upload_bytes: 1, callback_hosts: &CallbackHosts::default() };
        let body: UploadBody = serde_json::from_str(&format!(r#"{{"callbackUrl":"{url}"}}"#)).unwrap();
        assert!(body.check(limits).unwrap_err().to_string().contains("callbackUrl: callbacks are not set up here"));
    }

    /// Field by field, by what each refusal says that it would have taken.
    #[test]
    fn the_description_of_the_api_has_these_fields_and_limits() {
        let all: Value = serde_json::from_str(include_str!("../../../assets/web/openapi.json")).unwrap();
        let schemas = &all["components"]["schemas"];
        let upload = &schemas["UploadRequest"];
        for (schema, refused) in [
            (upload, serde_json::from_str::<UploadBody>(r#"{"?":0}"#).unwrap_err()),
            (&schemas["BatchRequest"], serde_json::from_str::<BatchBody>(r#"{"?":0}"#).unwrap_err()),
        ] {
            let message = refused.to_string();
            let (_, known) = message.split_once("expected ").unwrap();
            let known: BTreeSet<&str> = known.split('`').skip(1).step_by(2).collect();
            assert_eq!(
                schema["properties"].as_object().unwrap().keys().map(String::as_str).collect::<BTreeSet<_>>(),
                known
            );
            assert_eq!(schema["additionalProperties"], false);
        }
        let metadata = &upload["properties"]["metadata"];
        assert_eq!(upload["properties"]["callbackUrl"]["maxLength"], shared::callback::MAX_URL_BYTES);
        assert_eq!(metadata["maxProperties"], MAX_METADATA_ENTRIES);
        assert_eq!(metadata["additionalProperties"]["maxLength"], MAX_METADATA_BYTES);
        assert_eq!(schemas["BatchRequest"]["properties"]["files"]["maxItems"], MAX_BATCH);
        assert_eq!(upload["properties"]["size"]["maximum"], shared::config::DEFAULT_MAX_UPLOAD_BYTES);
    }

    #[test]
    fn the_examples_of_the_description_are_taken() {
        let all: Value = serde_json::from_str(include_str!("../../../assets/web/openapi.json")).unwrap();
        let body = |path: &str| &all["paths"][path]["post"]["requestBody"]["content"]["application/json"];
        let examples = body("/uploads")["examples"].as_object().unwrap();
        assert!(examples.len() > 3);
        let limits = Limits {
            max_upload_bytes: shared::config::DEFAULT_MAX_UPLOAD_BYTES,
            callback_hosts: &CallbackHosts::default(),
        };
        for (name, example) in examples {
            let upload: UploadBody = serde_json::from_value(example["value"].clone()).unwrap();
            assert!(upload.check(limits).is_ok(), "{name}");
        }
        let batch: BatchBody = serde_json::from_value(body("/uploads/batch")["example"].clone()).unwrap();
        batch.check(limits).unwrap();
    }
}
