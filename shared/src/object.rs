//! JSON objects that are taken for nothing else.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// A `T` that was written as an object.
///
/// What serde derives for a struct takes a list as well, field by field: `["cat.jpg"]` would be an upload with a file
/// name. Whatever a client or a queue sends is read through this, so that such a thing is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Point {
        x: u8,
    }

    #[test]
    fn a_list_is_no_object() {
        assert_eq!(serde_json::from_str::<Point>("[7]").unwrap(), Point { x: 7 });
        assert_eq!(serde_json::from_str::<Object<Point>>(r#"{"x":7}"#).unwrap(), Object(Point { x: 7 }));
        for json in ["[7]", "[]", "7", "null", r#""x""#, r#"{"x":7,"x":8}"#] {
            assert!(serde_json::from_str::<Object<Point>>(json).is_err(), "{json}");
        }
    }
}
