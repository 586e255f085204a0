//! Where the routes are: prefixes, the scrape's path, and the stop by request, on the real server.

use crate::support::process::{Process, scratch, wait_until};
use crate::support::samples::value;
use crate::support::wire::Reply;

const BODY: &str = "# TYPE m counter\nm 1\n";
const M: &str = "m{instance=\"\",job=\"j\"}";

fn ask(gateway: &Process, method: &str, path: &str, body: &str) -> Reply {
    gateway.connect().request(method, path, "", body).unwrap()
}

/// The value of a header, in lower case.
fn header<'r>(reply: &'r Reply, name: &str) -> Option<&'r str> {
    reply.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

#[test]
fn the_path_of_the_external_url_is_before_everything() {
    let (_scratch, store) = scratch();
    let flags = ["--web.external-url=http://ex.org/some/path/", "--web.telemetry-path=/scrape"];
    let gateway = Process::start(&store, &flags);
    assert_eq!(ask(&gateway, "PUT", "/some/path/metrics/job/j", BODY).status, 200);
    assert_eq!(value(&gateway.get("/some/path/scrape").body, M), 1.0);
    for path in ["/metrics/job/j", "/scrape", "/", "/-/healthy", "/api/v1/status"] {
        assert_eq!(gateway.get(path).status, 404, "{path}");
    }
    assert_eq!(ask(&gateway, "PUT", "/metrics/job/j", BODY).status, 404);
    let page = gateway.get("/some/path/").body;
    assert!(page.contains("<a href=\"/some/path/scrape\">"), "{page}");
    let redirect = ask(&gateway, "GET", "/some/path", "");
    assert_eq!((redirect.status, header(&redirect, "location")), (301, Some("/some/path/")));
    let quit = ask(&gateway, "PUT", "/some/path/-/quit", "");
    assert_eq!((quit.status, quit.body.as_str()), (403, "Lifecycle API is not enabled."));
    assert_eq!(ask(&gateway, "PUT", "/-/quit", "").status, 404);
    assert_eq!(ask(&gateway, "DELETE", "/some/path/metrics/job/j", "").status, 202);
    assert!(gateway.stop().success());
}

#[test]
fn behind_a_proxy_that_takes_the_prefix_off_links_still_have_it() {
    let (_scratch, store) = scratch();
    let flags = ["--web.external-url=http://ex.org/some/path/", "--web.route-prefix=/"];
    let gateway = Process::start(&store, &flags);
    assert_eq!(ask(&gateway, "PUT", "/metrics/job/j", BODY).status, 200);
    assert_eq!(value(&gateway.scrape(), M), 1.0);
    assert!(gateway.get("/status").body.contains("<a href=\"/some/path/metrics\">"));
    assert_eq!(gateway.get("/some/path/metrics").status, 404);
}

#[test]
fn a_repeated_push_under_a_prefix_adds_up() {
    let (_scratch, store) = scratch();
    let gateway = Process::start(&store, &["--web.route-prefix=x"]);
    for _ in 0..5 {
        assert_eq!(ask(&gateway, "PUT", "/x/metrics/job/j", BODY).status, 200);
    }
    let scrape = gateway.get("/x/metrics").body;
    assert_eq!(value(&scrape, M), 5.0);
    assert!(value(&scrape, "tallygate_pushes_repeated_total") >= 1.0, "{scrape}");
}

#[test]
fn a_stop_by_request_finishes_what_is_open_and_stores_everything() {
    for method in ["PUT", "POST"] {
        let (_scratch, store) = scratch();
        let mut gateway = Process::start(&store, &["--web.enable-lifecycle", "--web.route-prefix=/x"]);
        assert_eq!(ask(&gateway, "PUT", "/x/metrics/job/j", BODY).status, 200);
        let mut open = gateway.connect();
        let length = BODY.len();
        let head = "POST /x/metrics/job/j HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\n";
        open.send(format!("{head}Content-Length: {length}\r\n\r\n")).unwrap();
        assert_eq!(open.reply().unwrap().status, 100);
        assert_eq!(ask(&gateway, "GET", "/x/-/quit", "").status, 405);
        let quit = ask(&gateway, method, "/x/-/quit", "");
        assert_eq!((quit.status, quit.body.as_str()), (200, "Requesting termination... Goodbye!"));
        wait_until("it stops accepting", || std::net::TcpStream::connect(&gateway.address).is_err());
        open.send(BODY).unwrap();
        assert_eq!(open.reply().unwrap().status, 200);
        assert_eq!(gateway.wait().code(), Some(0), "{}", gateway.log());
        wait_until("the log says so", || gateway.log().contains("everything is written"));
        assert!(gateway.log().contains("stopping by request"), "{}", gateway.log());
        assert_eq!(value(&Process::start(&store, &[]).scrape(), M), 2.0);
    }
}
