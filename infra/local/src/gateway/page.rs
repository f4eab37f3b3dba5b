//! The web page and the API's description, compiled in, so that the binary works from any folder.

use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, Method, header};

/// Path, content type and content of each file of the page.
const FILES: [(&str, &str, &[u8]); 6] = [
    ("/", "text/html; charset=utf-8", include_bytes!("../../../../assets/web/index.html")),
    ("/openapi.json", "application/json", include_bytes!("../../../../assets/web/openapi.json")),
    ("/docs", "text/html; charset=utf-8", include_bytes!("../../../../assets/web/docs/index.html")),
    ("/docs/docs.js", "text/javascript; charset=utf-8", include_bytes!("../../../../assets/web/docs/docs.js")),
    (
        "/docs/swagger-ui-bundle.js",
        "text/javascript; charset=utf-8",
        include_bytes!("../../../../assets/web/docs/swagger-ui-bundle.js"),
    ),
    ("/docs/swagger-ui.css", "text/css; charset=utf-8", include_bytes!("../../../../assets/web/docs/swagger-ui.css")),
];

/// What `/docs` may load and do: nothing of anybody else's, and no script or style but the files above. Swagger UI's pictures
/// are in its style sheet.
const DOCS_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                           connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The file at `path`, if the request is for one.
pub(super) fn find(method: &Method, path: &str) -> Option<Response> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return None;
    }
    let (_, content_type, content) = FILES.iter().find(|(at, ..)| *at == path)?;
    let headers = [
        (header::CONTENT_TYPE, *content_type),
        // The page changes with the binary.
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ];
    let policy = (path == "/docs").then_some((header::CONTENT_SECURITY_POLICY, DOCS_POLICY));
    // A client or a viewer of another origin may read the description, which is no secret.
    let shared = (path == "/openapi.json").then_some((header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"));
    let mut response = (headers, *content).into_response();
    let more = policy.into_iter().chain(shared);
    response.headers_mut().extend(more.map(|(name, value)| (name, HeaderValue::from_static(value))));
    Some(response)
}
