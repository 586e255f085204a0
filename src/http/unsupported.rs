//! Headers and query parameters that mean something elsewhere and that this gateway does not have.

use hyper::http::request::Parts;
use percent_encoding::percent_decode_str;

use super::error::Error;

/// Headers that ask for something which would change what a request does, and which there is not.
const HEADERS: [&str; 3] = ["Idempotency-Key", "X-Push-Temporality", "X-Push-Source"];

/// The same for query parameters; all others are ignored.
const PARAMETERS: [&str; 2] = ["temporality", "dry_run"];

/// Refuses what would have to be ignored otherwise: ignoring it would count twice.
pub(super) fn refuse(head: &Parts) -> Result<(), Error> {
    if let Some(name) = HEADERS.iter().find(|name| head.headers.contains_key(**name)) {
        return Err(Error::Unsupported(format!("the header {name}")));
    }
    let parameters = head.uri.query().unwrap_or("").split('&');
    let mut names = parameters.map(|parameter| parameter.split_once('=').map_or(parameter, |(name, _)| name));
    let asked_for = names.find_map(|name| {
        let name = percent_decode_str(name).decode_utf8_lossy();
        PARAMETERS.into_iter().find(|unsupported| name.trim() == *unsupported)
    });
    match asked_for {
        Some(name) => Err(Error::Unsupported(format!("the query parameter {name}"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    fn refused(uri: &str, header: Option<&str>) -> Option<String> {
        let mut request = Request::builder().uri(uri);
        if let Some(header) = header {
            request = request.header(header, "x");
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        refuse(&head).err().map(|error| error.to_string())
    }

    #[test]
    fn what_is_unsupported_is_named() {
        let path = "/metrics/job/j";
        for header in HEADERS {
            let text = refused(path, Some(&header.to_lowercase())).expect(header);
            assert!(text.starts_with(&format!("the header {header} is not supported")), "{text}");
        }
        for query in ["temporality=cumulative", "x=1&dry_run", "dry%5Frun=false", "&&temporality"] {
            let text = refused(&format!("{path}?{query}"), None).expect(query);
            assert!(text.starts_with("the query parameter"), "{text}");
        }
    }

    #[test]
    fn other_headers_and_parameters_are_ignored() {
        assert_eq!(refused("/metrics/job/j", Some("X-Other")), None);
        assert_eq!(refused("/metrics/job/j?a=temporality&dry_runs=1&Temporality=x", None), None);
        assert_eq!(refused("/metrics/job/temporality?", None), None);
    }
}
