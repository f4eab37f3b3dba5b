//! Changes to a derivative's pixels.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::number::Number;

/// A change to all pixels. Those of colours are the CSS functions of the same names, in sRGB: see
/// <https://www.w3.org/TR/filter-effects-1/#ShorthandEquivalents>.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Filter {
    /// Shades of grey.
    Grayscale,
    /// Brown, as old prints are.
    Sepia,
    /// The negative.
    Invert,
    /// A Gaussian blur of this standard deviation, in pixels of the derivative.
    Blur(Number<0, 100>),
    /// An unsharp mask: so much of what a blur by one pixel takes away is added once more.
    Sharpen(Number<0, 10>),
    /// So many percent more light: -100 is black, 100 twice as bright.
    Brightness(Number<-100, 100>),
    /// So many percent further from middle grey: -100 is grey, 100 twice as far.
    Contrast(Number<-100, 100>),
    /// So many percent more colour: -100 is shades of grey, 100 twice as colourful.
    Saturation(Number<-100, 100>),
}

/// The names by themselves.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Name {
    Grayscale,
    Sepia,
    Invert,
    Blur,
    Sharpen,
    Brightness,
    Contrast,
    Saturation,
}

fn parse<E: Error>(name: &str) -> Result<Name, E> {
    Name::deserialize(StrDeserializer::new(name))
}

// Not derived: of a name without its number, or two filters in one object, that would say nothing that helps.
impl<'de> Deserialize<'de> for Filter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FilterVisitor)
    }
}

struct FilterVisitor;

impl<'de> Visitor<'de> for FilterVisitor {
    type Value = Filter;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(r#"a filter's name, or an object like {"blur": 2}"#)
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Filter, E> {
        match parse(name)? {
            Name::Grayscale => Ok(Filter::Grayscale),
            Name::Sepia => Ok(Filter::Sepia),
            Name::Invert => Ok(Filter::Invert),
            Name::Blur | Name::Sharpen | Name::Brightness | Name::Contrast | Name::Saturation => {
                Err(E::custom(format_args!(r#"`{name}` takes a number, as in {{"{name}": 2}}"#)))
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Filter, A::Error> {
        let one = || A::Error::custom("one filter an object, so that their order is the list's");
        // As a string, since that is how the path of an error gets to know it.
        let name: String = map.next_key()?.ok_or_else(|| A::Error::invalid_length(0, &self))?;
        let filter = match parse(&name)? {
            Name::Blur => Filter::Blur(map.next_value()?),
            Name::Sharpen => Filter::Sharpen(map.next_value()?),
            Name::Brightness => Filter::Brightness(map.next_value()?),
            Name::Contrast => Filter::Contrast(map.next_value()?),
            Name::Saturation => Filter::Saturation(map.next_value()?),
            Name::Grayscale | Name::Sepia | Name::Invert => {
                return Err(A::Error::custom("this filter takes no number: its name alone is enough"));
            }
        };
        if map.next_key::<String>()?.is_some() { Err(one()) } else { Ok(filter) }
    }
}
