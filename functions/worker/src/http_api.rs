//! `POST /classify`: says at once what a small photo shows. Nothing is stored.

use http::{Method, StatusCode};
use lambda_http::request::LambdaRequest;
use lambda_http::{Adapter, Context, Error, LambdaEvent, Request, RequestExt, Service, service_fn};
use serde_json::Value;
use shared::access::Claims;
use shared::error::Failure;
use shared::http::{Response, json, no_route};
use shared::inline_image::{self, InlineImageError};
use shared::results;

use crate::Worker;

/// Answers the event of an HTTP API.
pub(crate) async fn handle(worker: &Worker, payload: Value, context: Context) -> Result<Value, Error> {
    let request: LambdaRequest = serde_json::from_value(payload)?;
    let answer = async |request: Request| {
        let request_id = request.lambda_context_ref().map(|context| context.request_id.clone()).unwrap_or_default();
        let outcome = route(worker, &request, &request_id).await;
        Ok::<_, Error>(worker.cors.answer(outcome, request.headers(), &request_id))
    };
    let response = Adapter::from(service_fn(answer)).call(LambdaEvent::new(request, context)).await?;
    Ok(serde_json::to_value(response)?)
}

async fn route(worker: &Worker, request: &Request, request_id: &str) -> Result<Response, Failure> {
    match (request.method(), request.raw_http_path()) {
        (&Method::POST, "/classify") => {
            worker.access.admit(request.headers(), claims(request))?;
            let image = match inline_image::read(request.body().as_ref()) {
                Ok(image) => image,
                Err(InlineImageError::Missing) => return Ok(inline_image::missing()),
                Err(InlineImageError::Refused(failure)) => return Err(failure),
            };
            let classification = worker.processor.pipeline.classify(image.bytes).await?;
            Ok(json(StatusCode::OK, &results::predictions(&classification)))
        }
        (method, path) => Ok(no_route(method, path, request_id)),
    }
}

/// The claims of the request's token, where an authorizer has verified one.
fn claims(request: &Request) -> Option<&Claims> {
    let jwt = request.request_context_ref()?.authorizer()?.jwt.as_ref()?;
    Some(&jwt.claims)
}
