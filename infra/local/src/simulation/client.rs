//! What people do in a run: they ask for slots, upload, replace what they have uploaded, or never come back.

use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use bytes::Bytes;
use http::{Method, Request};
use serde_json::json;

use super::surroundings::random;
use super::world::World;
use crate::stack::UPLOAD_BUCKET;

/// Who asks for a slot wants to be called here. Nobody is: the calls stay in their queue, where they can be counted.
const CALLBACK_URL: &str = "https://hooks.test/";

/// One thing that somebody does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Deed {
    /// Asks for a slot and uploads into it.
    Slot,
    /// The same, and uploads another photo into it soon after.
    SlotReplaced,
    /// Asks for a slot and never comes back.
    SlotUnused,
    /// Uploads without asking.
    Direct,
    /// The same, and uploads another photo under the same key soon after.
    DirectReplaced,
    /// Uploads what is no photo.
    Bad,
}

impl Deed {
    pub(super) const USUAL: [Self; 5] = [Self::Slot, Self::SlotReplaced, Self::Direct, Self::DirectReplaced, Self::Bad];
}

impl World {
    /// Does `deed`, the `number`-th of the run.
    pub(super) async fn act(self: Arc<Self>, sdk: SdkConfig, deed: Deed, number: u64) {
        let mut random = random("client", number);
        tokio::time::sleep(Duration::from_millis(random.u64(..160_000))).await;
        let later = Duration::from_millis(random.u64(..40_000));
        let (photo, other) = (bitmap(random.u8(..), number as u8), bitmap(random.u8(..), number as u8 + 100));
        let who = format!("client {number}");
        match deed {
            Deed::Slot | Deed::SlotReplaced | Deed::SlotUnused => {
                let wishes = json!({ "filename": "a.bmp", "contentType": "image/bmp", "callbackUrl": CALLBACK_URL });
                self.wire.turns.take(&who).await;
                let Some((status, slot)) = self.api(Method::POST, "/uploads", wishes).await else { return };
                let Some(url) = slot["url"].as_str().filter(|_| status == 200) else { return };
                if matches!(deed, Deed::SlotUnused) {
                    return;
                }
                self.wire.turns.take(&who).await;
                self.put(url, photo).await;
                if matches!(deed, Deed::SlotReplaced) {
                    tokio::time::sleep(later).await;
                    self.wire.turns.take(&who).await;
                    self.put(url, other).await;
                }
            }
            Deed::Direct | Deed::DirectReplaced | Deed::Bad => {
                let key = format!("uploads/direct {number}.bmp");
                let client = aws_sdk_s3::Client::new(&sdk);
                let photo = if matches!(deed, Deed::Bad) { Bytes::from(format!("no photo {number}")) } else { photo };
                let put = |photo: Bytes| client.put_object().bucket(UPLOAD_BUCKET).key(&key).body(photo.into()).send();
                self.wire.turns.take(&who).await;
                put(photo).await.unwrap_or_else(|error| panic!("no upload: {error:?}"));
                if matches!(deed, Deed::DirectReplaced) {
                    tokio::time::sleep(later).await;
                    self.wire.turns.take(&who).await;
                    put(other).await.unwrap_or_else(|error| panic!("no upload: {error:?}"));
                }
            }
        }
    }

    /// Uploads to a presigned URL.
    async fn put(&self, url: &str, photo: Bytes) {
        let request = Request::builder()
            .method(Method::PUT)
            .uri(url)
            .header("host", "127.0.0.1:4566")
            .header("content-type", "image/bmp")
            .header("content-length", photo.len())
            .body(photo)
            .unwrap_or_default();
        let response = self.wire.serve(request).await;
        assert_eq!(response.status(), 200, "{:?}", response.body());
    }
}

/// A bitmap of 8 × 8 pixels, like no other in the run.
fn bitmap(shade: u8, number: u8) -> Bytes {
    let mut file = b"BM\xF6\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x08\0\0\0\x08\0\0\0\x01\0\x18\0".to_vec();
    file.resize(54, 0);
    file.extend((0..64_u8).flat_map(|pixel| [shade, number, pixel * 4]));
    file.into()
}
