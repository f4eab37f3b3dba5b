//! Holds the API's description (`assets/web/openapi.json`) to the code: routes, codes, recipes, results.
//!
//! What the code knows is mostly read out of its own refusals: serde names all fields or variants that it would have
//! taken. So nothing needs a list of its own, and a new option fails a test until it is described. Bodies of requests and
//! jobs are compared where their types are, in request-upload and job-status; whether the running product keeps to the
//! description is tried in `infra/local/tests/test_openapi.py`.

#![expect(clippy::unwrap_used, reason = "helpers of tests, which lie outside of test functions")]

use std::collections::BTreeSet;
use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use shared::error::Code;
use shared::format::Format;
use shared::job::{Classification, Derivative, JobId, Placeholder, Prediction, Source, Status};
use shared::key::MAX_FILENAME_BYTES;
use shared::recipe::{
    Color, Crop, DEFAULT_QUALITY, DerivativeSpec, Filter, Fit, MAX_DERIVATIVES, MAX_FILTERS, MAX_SIDE,
    MAX_WATERMARK_CHARS, OutputFormat, Position, Resize, Watermark,
};
use shared::{http, results};

fn description() -> Value {
    serde_json::from_str(include_str!("../../assets/web/openapi.json")).unwrap()
}

fn schema(name: &str) -> Value {
    let mut all = description();
    let schema = all["components"]["schemas"][name].take();
    assert!(schema.is_object(), "there is no schema {name}");
    schema
}

type Names = BTreeSet<String>;

fn texts(list: &Value) -> Names {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn keys(object: &Value) -> Names {
    object.as_object().unwrap().keys().cloned().collect()
}

/// What a `T` takes, by what it says when it is given something else.
fn known<T: DeserializeOwned + Debug>(wrong: &Value) -> Names {
    let message = serde_json::from_value::<T>(wrong.clone()).unwrap_err().to_string();
    let (_, expected) = message.split_once("expected ").unwrap();
    expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn check_enum<T: DeserializeOwned + Debug>(name: &str) {
    assert_eq!(texts(&schema(name)["enum"]), known::<T>(&json!("?")), "{name}");
}

fn check_request<T: DeserializeOwned + Debug>(name: &str) {
    let schema = schema(name);
    assert_eq!(keys(&schema["properties"]), known::<T>(&json!({ "?": 0 })), "{name}");
    assert_eq!(schema["additionalProperties"], false, "{name} refuses what it does not know");
}

/// Everything is required of an answer, but for what stands in `optional`.
fn check_answer(name: &str, sample: impl Serialize, optional: &[&str]) {
    let schema = schema(name);
    let sample = keys(&serde_json::to_value(sample).unwrap());
    assert_eq!(keys(&schema["properties"]), sample, "{name}");
    let required = sample.into_iter().filter(|field| !optional.contains(&field.as_str())).collect();
    assert_eq!(texts(&schema["required"]), required, "{name}");
}

/// The ends of a described range are taken, and nothing beyond them.
fn check_range<T: DeserializeOwned>(range: &Value, step: f64, sample: impl Fn(Value) -> Value) {
    let (least, most) = (range["minimum"].as_f64().unwrap(), range["maximum"].as_f64().unwrap());
    let is_whole = range["type"] == "integer" || texts(&range["type"]).contains("integer");
    #[expect(clippy::cast_possible_truncation, reason = "the ends of ranges of whole numbers are whole")]
    let number = |value: f64| if is_whole { json!(value as i64) } else { json!(value) };
    for (value, is_taken) in [(least, true), (most, true), (least - step, false), (most + step, false)] {
        let sample = sample(number(value));
        assert_eq!(serde_json::from_value::<T>(sample.clone()).is_ok(), is_taken, "{sample}");
    }
}

#[test]
fn paths_and_methods_are_the_routes() {
    let all = description();
    let described: Names = all["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| keys(item).into_iter().map(move |method| format!("{} {path}", method.to_uppercase())))
        .collect();
    assert_eq!(described, http::ROUTES.iter().map(|(method, path)| format!("{method} {path}")).collect());
    assert_eq!(all["info"]["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn codes_are_those_that_there_are() {
    let described = &texts(&schema("ErrorCode")["enum"]) | &texts(&schema("JobErrorCode")["enum"]);
    assert_eq!(described, known::<Code>(&json!("?")));
}

/// The lists of codes anywhere below `value`.
fn code_lists(value: &Value, found: &mut Names) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("code").map(|code| texts(&code["enum"])).unwrap_or_default());
            fields.values().for_each(|value| code_lists(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| code_lists(value, found)),
        _ => {}
    }
}

#[test]
fn each_code_comes_with_its_status() {
    let all = description();
    let mut listed = Names::new();
    for operation in all["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values()) {
        for (status, response) in operation["responses"].as_object().unwrap() {
            let Some(name) = response["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) else {
                continue;
            };
            let mut codes = Names::new();
            code_lists(&all["components"]["responses"][name], &mut codes);
            for code in &codes {
                let code: Code = serde_json::from_value(json!(code)).unwrap();
                // These two are the gateway's, which has no codes of its own.
                let expected = match name {
                    "TooSlow" => "408".to_owned(),
                    "HeadersTooLarge" => "431".to_owned(),
                    _ => code.status().as_str().to_owned(),
                };
                assert_eq!(status, &expected, "{name}: {code}");
            }
            listed.extend(codes);
        }
    }
    // Answers to what is not described at all.
    listed.extend([Code::NotFound, Code::MethodNotAllowed].map(|code| code.as_str().to_owned()));
    assert_eq!(listed, texts(&schema("ErrorCode")["enum"]));
}

#[test]
fn recipes_have_the_options_that_there_are() {
    check_request::<DerivativeSpec>("DerivativeRequest");
    check_request::<Crop>("Crop");
    check_request::<Resize>("Resize");
    check_request::<Watermark>("Watermark");
    check_enum::<Fit>("Fit");
    check_enum::<OutputFormat>("OutputFormat");
    check_enum::<Position>("Position");
    let filters = &texts(&schema("PlainFilter")["enum"]) | &keys(&schema("NumberFilter")["properties"]);
    assert_eq!(filters, known::<Filter>(&json!("?")));
}

#[test]
fn recipes_have_the_limits_that_there_are() {
    let derivative = schema("DerivativeRequest")["properties"].take();
    assert_eq!(schema("Recipe")["maxItems"], MAX_DERIVATIVES);
    assert_eq!(derivative["filters"]["maxItems"], MAX_FILTERS);
    assert_eq!(schema("Watermark")["properties"]["text"]["maxLength"], MAX_WATERMARK_CHARS);
    assert_eq!(schema("UploadRequest")["properties"]["filename"]["maxLength"], MAX_FILENAME_BYTES);
    assert_eq!(schema("Resize")["properties"]["width"]["maximum"], MAX_SIDE);
    let quality = format!("absent: {}.", DEFAULT_QUALITY.get());
    assert!(derivative["quality"]["description"].as_str().unwrap().ends_with(&quality));

    check_range::<DerivativeSpec>(&derivative["quality"], 1.0, |n| json!({ "name": "a", "quality": n }));
    for name in ["width", "height"] {
        check_range::<Resize>(&schema("Resize")["properties"][name], 1.0, |n| json!({ name: n }));
    }
    for name in ["x", "y", "width", "height"] {
        let whole = json!({ "x": 1, "y": 1, "width": 1, "height": 1 });
        check_range::<Crop>(&schema("Crop")["properties"][name], 1.0, |n| {
            let mut crop = whole.clone();
            crop[name] = n;
            crop
        });
    }
    for name in ["opacity", "size", "margin"] {
        check_range::<Watermark>(&schema("Watermark")["properties"][name], 0.01, |n| json!({ name: n }));
    }
    for (name, range) in schema("NumberFilter")["properties"].as_object().unwrap() {
        check_range::<Filter>(range, 0.01, |n| json!({ name: n }));
    }
}

#[test]
fn results_have_the_fields_that_there_are() {
    let prediction = Prediction { label: "cat".into(), probability: 1.0 };
    let classification =
        Classification { model: "m".into(), predicted_class: "cat".into(), predictions: vec![prediction.clone()] };
    let key = || "k".to_owned();
    let derivative = Derivative {
        name: "full".into(),
        key: key(),
        width: 1,
        height: 1,
        bytes: 1,
        content_type: "image/jpeg".into(),
        sha256: String::new(),
        url: Some(String::new()),
    };
    let source = Source {
        key: key(),
        bytes: 1,
        content_type: "image/jpeg".into(),
        format: Format::Jpeg,
        width: 1,
        height: 1,
        e_tag: String::new(),
    };
    let placeholder = Placeholder { thumb_hash: String::new(), dominant_color: Color::WHITE };
    let older = results::completed(JobId::random(), &classification);
    check_answer("Prediction", prediction, &[]);
    check_answer("Classification", classification, &[]);
    check_answer("Derivative", derivative, &["url"]);
    check_answer("Source", source, &[]);
    check_answer("Placeholder", placeholder, &[]);
    check_answer("PercentPrediction", &older["predictions"]["top_5_predictions"][0], &[]);
    check_answer("Predictions", &older["predictions"], &[]);
    check_answer("CompletedResult", older, &[]);
}

#[test]
fn formats_and_statuses_are_those_that_there_are() {
    check_enum::<Status>("Status");
    let types = |wanted: fn(Format) -> bool| -> Names {
        Format::ALL.into_iter().filter(|format| wanted(*format)).map(|format| format.media_type().to_owned()).collect()
    };
    assert_eq!(texts(&schema("SourceType")["enum"]), types(Format::is_read));
    assert_eq!(texts(&schema("Derivative")["properties"]["contentType"]["enum"]), types(|_| true));
    let names = texts(&schema("Source")["properties"]["format"]["enum"]);
    assert_eq!(names, &known::<Format>(&json!("?")) - &Names::from(["avif".to_owned()]));
}
