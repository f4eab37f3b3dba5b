//! The web page and the API's description, compiled in, so that the binary works from any folder.

use std::net::SocketAddr;

use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, Method, Uri, header};

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Path, content type and content of a file below `assets/web/`.
macro_rules! file {
    ($name:literal, $content_type:expr) => {
        (concat!("/", $name), $content_type, include_bytes!(concat!("../../../../assets/web/", $name)))
    };
}

/// Path, content type and content of each file of the page.
const FILES: &[(&str, &str, &[u8])] = &[
    ("/", HTML, include_bytes!("../../../../assets/web/index.html")),
    file!("style.css", STYLE),
    file!("photo.css", STYLE),
    file!("recipe.css", STYLE),
    file!("favicon.svg", SVG),
    file!("api.js", SCRIPT),
    file!("app.js", SCRIPT),
    file!("compare.js", SCRIPT),
    file!("config.js", SCRIPT),
    file!("editor.js", SCRIPT),
    file!("element.js", SCRIPT),
    file!("gallery.js", SCRIPT),
    file!("job.js", SCRIPT),
    file!("photo.js", SCRIPT),
    file!("recipe.js", SCRIPT),
    file!("settings.js", SCRIPT),
    file!("tabs.js", SCRIPT),
    file!("thumbhash/thumbhash.js", SCRIPT),
    file!("turns.js", SCRIPT),
    file!("upload.js", SCRIPT),
    file!("words.js", SCRIPT),
    file!("openapi.json", "application/json"),
    ("/docs", HTML, include_bytes!("../../../../assets/web/docs/index.html")),
    file!("docs/docs.js", SCRIPT),
    file!("docs/swagger-ui-bundle.js", SCRIPT),
    file!("docs/swagger-ui.css", STYLE),
];

/// What `/docs` may load and do: nothing of anybody else's, and no script or style but the files above. Swagger UI's pictures
/// are in its style sheet.
const DOCS_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                           connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The file that a request is for, if it is for one. `aws` is where presigned URLs lead.
pub(super) fn find(method: &Method, uri: &Uri, aws: SocketAddr) -> Option<Response> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return None;
    }
    let (_, content_type, content) = FILES.iter().find(|(at, ..)| *at == uri.path())?;
    let policy = match uri.path() {
        "/docs" => DOCS_POLICY.to_owned(),
        _ => policy(uri.query().unwrap_or_default(), aws),
    };
    let headers = [
        (header::CONTENT_TYPE, (*content_type).to_owned()),
        // The page changes with the binary.
        (header::CACHE_CONTROL, "no-cache".to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
        (header::X_FRAME_OPTIONS, "DENY".to_owned()),
        (header::CONTENT_SECURITY_POLICY, policy),
    ];
    // A client or a viewer of another origin may read the description, which is no secret.
    let shared =
        (uri.path() == "/openapi.json").then_some((header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")));
    let mut response = (headers, *content).into_response();
    response.headers_mut().extend(shared);
    Some(response)
}

/// What the page may load, and whom it may talk to: itself and the embedded S3. Only a page that is opened for a
/// deployed API (`?api=`) may talk to any host with TLS, since nobody here knows where that one's S3 is.
fn policy(query: &str, aws: SocketAddr) -> String {
    let deployed = form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "api");
    let others = if deployed { " https:" } else { "" };
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: http://{aws}{others}; \
         connect-src 'self' http://{aws}{others}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'"
    )
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn aws() -> SocketAddr {
        ([127, 0, 0, 1], 4566).into()
    }

    /// Paths of the files below `folder` that a browser loads.
    fn loaded(folder: &Path, prefix: &str) -> Vec<String> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = format!("{prefix}{}", path.file_name().unwrap().to_str().unwrap());
            if path.is_dir() {
                found.extend(loaded(&path, &format!("{name}/")));
            } else if ![".d.ts", ".md", ".txt", "LICENSE", "NOTICE"].iter().any(|ending| name.ends_with(ending)) {
                found.push(name);
            }
        }
        found
    }

    #[test]
    fn every_file_of_the_page_is_served() {
        let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/web");
        let files = loaded(&web, "/");
        assert_eq!(files.len(), FILES.len(), "{files:?}");
        for file in files {
            let path = match file.as_str() {
                "/index.html" => "/",
                "/docs/index.html" => "/docs",
                other => other,
            };
            assert!(find(&Method::GET, &path.parse().unwrap(), aws()).is_some(), "{file}");
        }
    }

    #[test]
    fn nothing_else_is() {
        for (method, path) in [(Method::POST, "/"), (Method::GET, "/jobs"), (Method::GET, "/thumbhash/LICENSE.md")] {
            assert!(find(&method, &path.parse().unwrap(), aws()).is_none(), "{method} {path}");
        }
    }

    #[test]
    fn the_page_talks_to_this_machine_unless_it_was_opened_for_a_deployed_api() {
        let own = policy("", aws());
        assert!(own.contains("connect-src 'self' http://127.0.0.1:4566;"), "{own}");
        assert!(!own.contains("https:") && !own.contains("unsafe"), "{own}");
        let deployed = policy("api=https%3A%2F%2Fx.example", aws());
        assert!(deployed.contains("connect-src 'self' http://127.0.0.1:4566 https:;"), "{deployed}");
    }
}
