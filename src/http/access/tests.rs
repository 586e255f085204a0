use std::time::Duration;

use axum::body::Body;
use http_body_util::BodyExt as _;
use hyper::header::{RETRY_AFTER, WWW_AUTHENTICATE};

use super::*;
use crate::http::router::Router;
use crate::http::testing;

fn user(password: &str, role: Role) -> User {
    User { password: bcrypt::hash(password, 4).unwrap().parse().unwrap(), role }
}

fn users<const N: usize>(users: [(&str, User); N]) -> AccessOptions {
    let users = users.into_iter().map(|(name, user)| (name.to_owned(), user)).collect();
    AccessOptions { users, ..AccessOptions::default() }
}

fn one_user() -> AccessOptions {
    users([("u", user("secret", Role::all()))])
}

struct Guarded {
    access: Access,
    router: Router,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
}

fn guarded(options: AccessOptions) -> Guarded {
    let access = Access::new(options).unwrap();
    let router = Router::guarded(
        testing::gateway(),
        Arc::default(),
        crate::http::Options { lifecycle: true, admin_api: true, ..Default::default() },
        Some(access.clone()),
    );
    Guarded { access, router }
}

impl Guarded {
    /// Sends a request, with `user:password` if there is one.
    async fn ask(&self, method: &str, path: &str, credentials: Option<&str>) -> Answer {
        let mut request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        if let Some(credentials) = credentials {
            let value = format!("Basic {}", STANDARD.encode(credentials));
            request.headers_mut().insert(AUTHORIZATION, value.parse().unwrap());
        }
        let (head, body) = self.router.clone().answer(request).await.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap();
        Answer { status: head.status.as_u16(), headers: head.headers, body }
    }

    async fn status(&self, method: &str, path: &str, credentials: &str) -> u16 {
        self.ask(method, path, Some(credentials)).await.status
    }
}

#[tokio::test]
async fn a_password_is_needed_for_every_path() {
    let guarded = guarded(one_user());
    for (method, path, status) in [
        ("GET", "/metrics", 200),
        ("GET", "/-/healthy", 200),
        ("GET", "/-/ready", 200),
        ("GET", "/", 200),
        ("POST", "/metrics/job/j", 200),
        ("DELETE", "/metrics/job/j", 202),
        ("OPTIONS", "/metrics", 200),
        ("OPTIONS", "*", 200),
        ("GET", "/nowhere", 404),
        ("HEAD", "/metrics", 405),
        ("POST", "/%zz", 400),
        ("PUT", "/-/quit", 200),
    ] {
        for wrong in [None, Some("u:wrong"), Some("x:secret"), Some("u"), Some(":"), Some("u:secret ")] {
            let answer = guarded.ask(method, path, wrong).await;
            assert_eq!((answer.status, &*answer.body), (401, "Unauthorized\n"), "{method} {path} {wrong:?}");
            assert_eq!(answer.headers[WWW_AUTHENTICATE], "Basic");
            assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        }
        assert_eq!(guarded.status(method, path, "u:secret").await, status, "{method} {path}");
    }
}

#[test]
fn credentials_are_read_as_rfc_7617_has_them() {
    let read = |value: &[u8]| {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
        credentials(&headers)
    };
    let found = Some(("u".to_owned(), b"p:q".to_vec()));
    assert_eq!(read(b"Basic dTpwOnE="), found);
    assert_eq!(read(b"bAsIc  dTpwOnE= "), found);
    for wrong in
        [&b"Bearer dTpwOnE="[..], b"Basic", b"Basic ", b"Basic dQ==", b"Basic !", b"", b"\xff\xff\xff"]
    {
        assert_eq!(read(wrong), None, "{wrong:?}");
    }
    assert_eq!(credentials(&HeaderMap::new()), None);
    // What is no text is nobody's name.
    assert_eq!(read(b"Basic /zpw").unwrap().0, "\u{fffd}");
}

#[tokio::test]
async fn health_may_be_open_and_nothing_else_is_then() {
    let rate_limit = Some(RateLimit { interval: Duration::from_hours(1), burst: 1 });
    let guarded = guarded(AccessOptions { open_health: true, rate_limit, ..one_user() });
    for _ in 0..3 {
        assert_eq!(guarded.ask("GET", "/-/healthy", None).await.status, 200);
        assert_eq!(guarded.ask("GET", "/-/ready", None).await.status, 200);
    }
    assert_eq!(guarded.ask("POST", "/-/ready", None).await.status, 401);
    assert_eq!(guarded.ask("GET", "/metrics", None).await.status, 429);
}

#[tokio::test]
async fn the_rate_limit_comes_before_passwords_and_counts_everybody() {
    let rate_limit = Some(RateLimit { interval: Duration::from_hours(1), burst: 2 });
    let options = AccessOptions { rate_limit, ..one_user() };
    let guarded = guarded(options.clone());
    assert_eq!(guarded.ask("GET", "/", None).await.status, 401);
    assert_eq!(guarded.status("POST", "/metrics/job/j", "u:secret").await, 200);
    let answer = guarded.ask("POST", "/metrics/job/j", Some("u:secret")).await;
    assert_eq!((answer.status, &*answer.body), (429, "Too Many Requests\n"));
    assert!(answer.headers.contains_key(RETRY_AFTER));
    // The same limit, read again, gives nobody new tokens; another one does.
    guarded.access.replace(options.clone());
    assert_eq!(guarded.status("GET", "/", "u:secret").await, 429);
    let rate_limit = Some(RateLimit { interval: Duration::from_hours(1), burst: 3 });
    guarded.access.replace(AccessOptions { rate_limit, ..options });
    assert_eq!(guarded.status("GET", "/", "u:secret").await, 200);
}

#[tokio::test]
async fn roles_are_followed() {
    let pusher = Role { rights: vec![Right::Push], jobs: Some(vec!["ci-*".parse().unwrap()]) };
    let reader = Role { rights: vec![Right::Read], jobs: None };
    let admin = Role { rights: vec![Right::Admin], jobs: None };
    let guarded = guarded(users([
        ("ci", user("1", pusher)),
        ("prometheus", user("2", reader)),
        ("root", user("3", admin)),
        ("nobody", user("4", Role::default())),
    ]));
    // `ci-1`, and `other` as base64.
    for (method, path, statuses) in [
        ("POST", "/metrics/job/ci-1", [200, 403, 403, 403]),
        ("PUT", "/metrics/job/ci-1/a/b", [200, 403, 403, 403]),
        ("PUT", "/metrics/job@base64/Y2ktMQ", [200, 403, 403, 403]),
        ("PUT", "/metrics/job@base64/b3RoZXI", [403, 403, 403, 403]),
        ("PUT", "/metrics/job/%6fther", [403, 403, 403, 403]),
        ("PUT", "/metrics/job/ci-1/job/other", [200, 403, 403, 403]),
        ("PUT", "/metrics/job/other/job/ci-1", [403, 403, 403, 403]),
        ("PUT", "/metrics/%6aob/other", [403, 403, 403, 403]),
        ("DELETE", "/metrics/job/ci-1", [202, 403, 403, 403]),
        ("DELETE", "/metrics/job/other", [403, 403, 403, 403]),
        ("PUT", "/metrics/job/other/a", [400, 403, 403, 403]),
        ("GET", "/metrics", [403, 200, 403, 403]),
        ("GET", "/status", [403, 200, 403, 403]),
        ("GET", "/api/v1/metrics", [403, 200, 403, 403]),
        ("GET", "/api/v1/status", [403, 200, 403, 403]),
        ("OPTIONS", "/api/v1/status", [200, 200, 200, 200]),
        ("PUT", "/api/v1/admin/wipe", [403, 403, 202, 403]),
        ("PUT", "/-/quit", [403, 403, 200, 403]),
        ("GET", "/-/healthy", [200, 200, 200, 200]),
        ("GET", "/nowhere", [404, 404, 404, 404]),
        ("OPTIONS", "/metrics/job/other", [200, 200, 200, 200]),
    ] {
        let all = ["ci:1", "prometheus:2", "root:3", "nobody:4"];
        for (credentials, status) in all.into_iter().zip(statuses) {
            assert_eq!(
                guarded.status(method, path, credentials).await,
                status,
                "{method} {path} {credentials}"
            );
        }
    }
    let body = guarded.ask("PUT", "/metrics/job/other", Some("ci:1")).await.body;
    assert_eq!(
        body,
        "the user \"ci\" has no right to push to or delete the job \"other\"; its role allows \"ci-*\"\n"
    );
    let body = guarded.ask("PUT", "/-/quit", Some("prometheus:2")).await.body;
    assert!(body.contains("lacks the right \"admin\""), "{body}");
    let body = guarded.ask("PUT", "/-/quit", Some("root:3")).await.body;
    assert_eq!(body, "Requesting termination... Goodbye!");
}

#[tokio::test]
async fn other_rules_hold_from_the_next_request_on() {
    let guarded = guarded(one_user());
    assert_eq!(guarded.status("GET", "/", "u:secret").await, 200);
    guarded.access.replace(users([("u", user("new", Role::all()))]));
    assert_eq!(guarded.status("GET", "/", "u:secret").await, 401);
    assert_eq!(guarded.status("GET", "/", "u:new").await, 200);
}

#[tokio::test]
async fn every_answer_gets_the_headers() {
    let header = |name: &'static str, value: &'static str| {
        (HeaderName::from_static(name), HeaderValue::from_static(value))
    };
    let headers = vec![header("x-frame-options", "deny"), header("x-content-type-options", "other")];
    let guarded = guarded(AccessOptions { headers, ..one_user() });
    for credentials in [None, Some("u:secret")] {
        let answer = guarded.ask("GET", "/metrics", credentials).await;
        assert_eq!(answer.headers["x-frame-options"], "deny");
    }
    // What an answer has already stays.
    assert_eq!(guarded.ask("GET", "/", None).await.headers["x-content-type-options"], "nosniff");
}

#[tokio::test]
async fn a_denied_push_is_counted_and_applies_nothing() {
    let access = Access::new(one_user()).unwrap();
    let metrics: Arc<crate::telemetry::Metrics> = Arc::default();
    let gateway = testing::gateway();
    let options = crate::http::Options::default();
    let router = Router::guarded(gateway.clone(), Arc::clone(&metrics), options, Some(access));
    let request = Request::post("/metrics/job/j").body(Body::from("m 1\n")).unwrap();
    assert_eq!(router.answer(request).await.status(), 401);
    assert_eq!(metrics.pushes_refused.of(crate::telemetry::Reason::Access).get(), 1);
    assert_eq!(metrics.pushes_accepted.get(), 0);
    assert_eq!(metrics.groups.get(), 0);
}
