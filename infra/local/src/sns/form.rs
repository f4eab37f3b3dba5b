//! The parameters of the Query protocol: a form, with lists spread over numbered names.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::error::Error;

/// Attributes of a published message: name → `{"type", "value"}`.
pub(super) type Attributes = BTreeMap<String, Value>;

/// A parsed form, or query string.
#[derive(Debug)]
pub(super) struct Form(BTreeMap<String, String>);

impl Form {
    pub(super) fn parse(text: &[u8]) -> Self {
        Self(form_urlencoded::parse(text).into_owned().collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(super) fn required(&self, name: &str) -> Result<&str, Error> {
        self.get(name).ok_or_else(|| Error::InvalidParameter(format!("Invalid parameter: {name} is missing")))
    }

    /// The `MessageAttributes.entry.N.…` parameters.
    pub(super) fn attributes(&self) -> Result<Attributes, Error> {
        let mut attributes = Attributes::new();
        for number in 1.. {
            let entry = |part: &str| self.get(&format!("MessageAttributes.entry.{number}.{part}"));
            let Some(name) = entry("Name") else { break };
            let value = entry("Value.StringValue").or_else(|| entry("Value.BinaryValue"));
            let (Some(data_type), Some(value)) = (entry("Value.DataType"), value) else {
                return Err(Error::InvalidParameter(format!(
                    "Invalid parameter: the message attribute {name} lacks a type or a value"
                )));
            };
            attributes.insert(name.to_owned(), json!({ "type": data_type, "value": value }));
        }
        Ok(attributes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_gathered_from_numbered_names() {
        let form = Form::parse(
            b"MessageAttributes.entry.1.Name=status&MessageAttributes.entry.1.Value.DataType=String\
              &MessageAttributes.entry.1.Value.StringValue=A+%26+B&MessageAttributes.entry.3.Name=skipped",
        );
        let expected = Attributes::from([("status".to_owned(), json!({ "type": "String", "value": "A & B" }))]);
        assert_eq!(form.attributes().unwrap(), expected);
    }

    #[test]
    fn an_attribute_without_a_value_is_refused() {
        assert!(Form::parse(b"MessageAttributes.entry.1.Name=status").attributes().is_err());
    }
}
