//! The walk over a bucket's keys, in the order of their bytes, that every listing is made of.
//!
//! It steps over a whole common prefix at once, so a listing by folder costs as many steps as it has entries.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, params};
use s3s::dto::{ETag, Object as Listed, ObjectStorageClass};

use super::bucket;
use super::error::Error;
use super::object::{read_checksum, timestamp};

/// What to list.
pub(crate) struct Query {
    pub(crate) bucket: String,
    pub(crate) prefix: String,
    pub(crate) delimiter: Option<String>,
    /// Where the walk starts.
    pub(crate) from: Position,
    pub(crate) max_keys: usize,
}

/// One page of a listing.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) objects: Vec<Listed>,
    pub(crate) prefixes: Vec<String>,
    /// The page's last entry, and where the walk goes on; `None` if there is no more.
    pub(crate) next: Option<(String, Position)>,
}

/// A place between keys: the least bytes that a key may have to be still ahead.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position(Vec<u8>);

impl Position {
    /// Right before the first key that begins with `prefix`.
    pub(crate) fn at(prefix: &str) -> Self {
        Self(prefix.as_bytes().to_vec())
    }

    /// Right after `key`: no text sorts between it and itself with a zero byte.
    pub(crate) fn after(key: &str) -> Self {
        Self([key.as_bytes(), &[0]].concat())
    }

    /// Right after everything that begins with `prefix`: no UTF-8 has the byte 0xFF.
    pub(crate) fn past(prefix: &str) -> Self {
        Self([prefix.as_bytes(), &[0xFF]].concat())
    }

    pub(crate) fn token(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(&self.0)
    }

    pub(crate) fn from_token(token: &str) -> Result<Self, Error> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(token);
        bytes.map(Self).map_err(|_| Error::InvalidArgument("The continuation token provided is incorrect"))
    }

    /// Where to go on after a marker that the client chose. One that is a common prefix was the last entry of a page.
    pub(crate) fn after_marker(marker: &str, prefix: &str, delimiter: Option<&str>) -> Self {
        match common_prefix(marker, prefix, delimiter) {
            Some(common) if common == marker => Self::past(marker),
            _ => Self::after(marker),
        }
    }
}

/// As SQLite's text, though it need not be UTF-8: a bound is compared with keys byte by byte, never stored.
impl ToSql for Position {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(&self.0)))
    }
}

/// The part of `key` up to the first delimiter behind the prefix, by which a listing rolls keys up.
pub(crate) fn common_prefix<'a>(key: &'a str, prefix: &str, delimiter: Option<&str>) -> Option<&'a str> {
    let delimiter = delimiter.filter(|delimiter| !delimiter.is_empty())?;
    let rest = key.strip_prefix(prefix)?;
    let found = rest.find(delimiter)?;
    Some(&key[..prefix.len() + found + delimiter.len()])
}

/// Walks the objects of a bucket from a position to the end of the page.
pub(crate) fn page(database: &Connection, query: &Query) -> Result<Page, Error> {
    bucket::check(database, &query.bucket)?;
    let mut page = Page::default();
    if query.max_keys == 0 {
        return Ok(page);
    }
    let mut select = database.prepare_cached(
        "SELECT key, size, etag, modified_at, checksum FROM object
         WHERE bucket = ?1 AND key >= ?2 AND key < ?3 ORDER BY key",
    )?;
    let mut from = query.from.clone().max(Position::at(&query.prefix));
    let end = Position::past(&query.prefix);
    let mut last = String::new();
    'walk: loop {
        let mut rows = select.query(params![query.bucket, from, end])?;
        while let Some(row) = rows.next()? {
            if page.objects.len() + page.prefixes.len() == query.max_keys {
                page.next = Some((last, from));
                break 'walk;
            }
            let key: String = row.get(0)?;
            if let Some(common) = common_prefix(&key, &query.prefix, query.delimiter.as_deref()) {
                page.prefixes.push(common.to_owned());
                from = Position::past(common);
                common.clone_into(&mut last);
                continue 'walk;
            }
            from = Position::after(&key);
            last.clone_from(&key);
            let checksum = read_checksum(row, 4)?;
            page.objects.push(Listed {
                key: Some(key),
                size: Some(row.get(1)?),
                e_tag: Some(ETag::Strong(row.get(2)?)),
                last_modified: Some(timestamp(row.get(3)?)),
                checksum_algorithm: checksum.as_ref().map(|sum| vec![sum.algorithm.name().to_owned().into()]),
                checksum_type: checksum.as_ref().map(|sum| sum.kind().to_owned().into()),
                storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
                ..Listed::default()
            });
        }
        break;
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{BUCKET, Fixture};
    use super::*;

    const KEYS: [&str; 10] =
        ["../x", "a.jpg", "a.jpg/child", "a/1", "a/2", "a/b/3", "b\u{0}\n<&>", "c d+e%20", "\u{fffd}/x", "\u{1f4f7}/y"];

    /// Pages through the bucket and writes down each page, prefixes in brackets.
    async fn listed(prefix: &str, delimiter: Option<&str>, start_after: Option<&str>, max_keys: usize) -> Vec<String> {
        let fixture = Fixture::new().await;
        fixture.with_objects(&KEYS).await;
        let mut from = start_after.map_or_else(Position::default, |key| Position::after_marker(key, prefix, delimiter));
        let mut pages = Vec::new();
        loop {
            let query = Query {
                bucket: BUCKET.to_owned(),
                prefix: prefix.to_owned(),
                delimiter: delimiter.map(str::to_owned),
                from,
                max_keys,
            };
            let page = page(&fixture.store.database(), &query).unwrap();
            let objects = page.objects.into_iter().filter_map(|object| object.key);
            let prefixes = page.prefixes.into_iter().map(|prefix| format!("[{prefix}]"));
            pages.push(objects.chain(prefixes).collect::<Vec<_>>().join(" "));
            match page.next {
                Some((_, next)) => from = Position::from_token(&next.token()).unwrap(),
                None => return pages,
            }
        }
    }

    #[tokio::test]
    async fn keys_are_listed_in_the_order_of_their_bytes() {
        assert_eq!(listed("", None, None, 1000).await, [KEYS.join(" ")]);
        assert_eq!(listed("a", None, None, 1000).await, ["a.jpg a.jpg/child a/1 a/2 a/b/3"]);
        assert_eq!(listed("nothing", None, None, 1000).await, [""]);
    }

    #[tokio::test]
    async fn a_delimiter_rolls_keys_up() {
        assert_eq!(
            listed("", Some("/"), None, 1000).await,
            ["a.jpg b\u{0}\n<&> c d+e%20 [../] [a.jpg/] [a/] [\u{fffd}/] [\u{1f4f7}/]"]
        );
        assert_eq!(listed("a/", Some("/"), None, 1000).await, ["a/1 a/2 [a/b/]"]);
        assert_eq!(listed("a", Some("jpg"), None, 1000).await, ["a/1 a/2 a/b/3 [a.jpg]"]);
        assert_eq!(listed("a/", Some(""), None, 1000).await, ["a/1 a/2 a/b/3"]);
    }

    #[tokio::test]
    async fn pages_follow_each_other_without_gap_or_repetition() {
        assert_eq!(
            listed("", Some("/"), None, 3).await,
            ["a.jpg [../] [a.jpg/]", "b\u{0}\n<&> c d+e%20 [a/]", "[\u{fffd}/] [\u{1f4f7}/]"]
        );
        assert_eq!(listed("", None, None, 1).await, KEYS);
        assert_eq!(listed("", None, None, 5).await.len(), 2, "a full last page is not followed by an empty one");
    }

    #[tokio::test]
    async fn a_listing_starts_after_a_key() {
        assert_eq!(listed("a/", None, Some("a/1"), 1000).await, ["a/2 a/b/3"]);
        assert_eq!(listed("", Some("/"), Some("a/"), 1000).await[0].split(' ').next(), Some("b\u{0}\n<&>"));
        assert_eq!(listed("a/", None, Some("zzz"), 1000).await, [""]);
        assert_eq!(listed("a/", None, Some("A"), 1000).await, ["a/1 a/2 a/b/3"]);
    }

    #[test]
    fn a_made_up_token_is_refused() {
        assert!(Position::from_token("no token!").is_err());
    }
}
