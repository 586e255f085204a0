//! The page at `/` and `/status`: what this is, where the metrics are, and which groups there are.

use std::fmt::Write as _;

use axum::response::{IntoResponse as _, Response};
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderValue};

use super::error::Error;
use super::options::Options;
use super::time::rfc3339;
use crate::gateway::{Gateway, GroupView, Snapshot};
use crate::telemetry::build;

/// How many groups the page lists.
const GROUPS_MAX: usize = 1_000;

/// Answers with the page.
pub(super) async fn page(gateway: &Gateway, options: &Options) -> Response {
    let gateway = gateway.clone();
    let head = head(options);
    // Putting many groups in order takes a while.
    let written = tokio::task::spawn_blocking(move || {
        let mut html = head;
        write_groups(&mut html, &gateway.snapshot());
        html + "</body>\n</html>\n"
    });
    let Ok(html) = written.await else { return Error::Internal.into_response() };
    let content_type = (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    (StatusCode::OK, [content_type], html).into_response()
}

fn head(options: &Options) -> String {
    let (prefix, telemetry_path) = (escape(&options.link_prefix), escape(&options.telemetry_path));
    let link = |path: &str| format!("<a href=\"{prefix}{path}\">{prefix}{path}</a>");
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><meta name=\"robots\" \
         content=\"noindex\"><title>Tallygate</title></head>\n<body>\n<h1>Tallygate {version}</h1>\n\
         <p>An aggregating push gateway for Prometheus: what is pushed adds up.</p>\n<ul>\n\
         <li>{metrics}: all metrics, to be scraped</li>\n\
         <li>{prefix}/metrics/job/&lt;job&gt;{{/&lt;label&gt;/&lt;value&gt;}}: PUT or POST pushes to a group, DELETE \
         removes it</li>\n\
         <li>{healthy}, {ready}: the state of the gateway</li>\n\
         <li>{api_metrics}, {api_status}: the same as JSON, with the flags</li>\n</ul>\n",
        version = escape(build::VERSION),
        metrics = link(&telemetry_path),
        healthy = link("/-/healthy"),
        ready = link("/-/ready"),
        api_metrics = link("/api/v1/metrics"),
        api_status = link("/api/v1/status"),
    )
}

fn write_groups(html: &mut String, snapshot: &Snapshot) {
    let groups = snapshot.groups();
    if groups.is_empty() {
        html.push_str("<p>Nothing has been pushed yet.</p>\n");
        return;
    }
    html.push_str("<table>\n<tr><th>Group</th><th>Last push</th><th></th></tr>\n");
    for group in groups.iter().take(GROUPS_MAX) {
        write_group(html, *group);
    }
    html.push_str("</table>\n");
    if groups.len() > GROUPS_MAX {
        let total = groups.len();
        // Writing to a string cannot fail.
        let _ = writeln!(html, "<p>These are the first {GROUPS_MAX} of {total} groups.</p>");
    }
}

fn write_group(html: &mut String, group: GroupView<'_>) {
    let labels: Vec<String> =
        group.key().iter().map(|label| format!("{}={:?}", label.name, label.value)).collect();
    let pushed = match group.push_time().0 {
        0 => "never".to_owned(),
        time => rfc3339(time),
    };
    let mark = if group.last_push_succeeded() { "" } else { "<strong>Last push failed!</strong>" };
    let labels = escape(&labels.join(", "));
    // Writing to a string cannot fail.
    let _ = writeln!(html, "<tr><td>{labels}</td><td>{pushed}</td><td>{mark}</td></tr>");
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

    #[test]
    fn links_lead_to_where_clients_find_them() {
        let options = Options {
            route_prefix: "/inner".to_owned(),
            link_prefix: "/outer/path".to_owned(),
            telemetry_path: "/scrape".to_owned(),
            ..Options::default()
        };
        let head = head(&options);
        for path in ["/scrape", "/-/healthy", "/-/ready", "/api/v1/metrics", "/api/v1/status"] {
            assert!(head.contains(&format!("<a href=\"/outer/path{path}\">")), "{path}: {head}");
        }
        assert!(head.contains("<li>/outer/path/metrics/job/") && !head.contains("/inner"), "{head}");
    }
}
