//! The page at `/` and `/status`: what this is and where the metrics are.
//!
//! Knows nothing of what is stored.

use axum::response::{IntoResponse as _, Response};
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderValue};

use super::options::Options;
use crate::telemetry::build;

/// Answers with the page.
pub(super) fn page(options: &Options) -> Response {
    let telemetry_path = escape(&options.telemetry_path);
    let version = escape(build::VERSION);
    let html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><meta name=\"robots\" \
         content=\"noindex\"><title>Tallygate</title></head>\n<body>\n<h1>Tallygate {version}</h1>\n\
         <p>An aggregating push gateway for Prometheus: what is pushed adds up.</p>\n<ul>\n\
         <li><a href=\"{telemetry_path}\">{telemetry_path}</a>: all metrics, to be scraped</li>\n\
         <li>/metrics/job/&lt;job&gt;{{/&lt;label&gt;/&lt;value&gt;}}: PUT or POST pushes to a group, DELETE \
         removes it</li>\n\
         <li><a href=\"/-/healthy\">/-/healthy</a>, <a href=\"/-/ready\">/-/ready</a>: the state of the gateway</li>\n\
         </ul>\n</body>\n</html>\n"
    );
    (StatusCode::OK, [(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))], html)
        .into_response()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_cannot_break_out_of_the_page() {
        assert_eq!(escape("/a\"><b>&"), "/a&quot;&gt;&lt;b&gt;&amp;");
    }
}
