//! The web configuration file, as real clients meet it: TLS, client certificates, HTTP/2, passwords, roles.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::certificates::{Authority, Signed};
use crate::support::process::{Process, is_installed, scratch, wait_until};
use crate::support::samples::value;

const BODY: &str = "# TYPE m counter\nm 1\n";
const M: &str = "m{instance=\"\",job=\"j\"}";

/// A gateway with a web configuration file.
struct Web {
    gateway: Process,
    directory: tempfile::TempDir,
}

impl Web {
    fn start(directory: tempfile::TempDir, config: &str) -> Self {
        let file = directory.path().join("web.yml");
        fs::write(&file, config).unwrap();
        let flag = format!("--web.config.file={}", file.display());
        let gateway = Process::start(&directory.path().join("store"), &[&flag]);
        Self { gateway, directory }
    }

    fn with(config: &str) -> Self {
        Self::start(scratch().0, config)
    }

    /// With TLS: `gateway.pem` and `gateway.key` beside the file, whose authority is `ca.pem`.
    fn with_tls(authority: &Authority, config: &str) -> Self {
        let (directory, _) = scratch();
        fs::write(directory.path().join("ca.pem"), authority.pem()).unwrap();
        authority.sign_server().write(directory.path(), "gateway");
        Self::start(directory, config)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, config: &str) {
        fs::write(self.path("web.yml"), config).unwrap();
    }

    /// Runs curl for a path; the answer's status, version of HTTP and body. With TLS if there is an authority.
    fn curl(&self, path: &str, arguments: &[&str]) -> Result<(u16, String, String), String> {
        let authority = self.path("ca.pem");
        let scheme = if authority.exists() { "https" } else { "http" };
        let mut command = Command::new("curl");
        command.args([
            "--silent",
            "--show-error",
            "--max-time",
            "60",
            "--write-out",
            "\n%{http_code} %{http_version}",
        ]);
        if authority.exists() {
            command.arg("--cacert").arg(&authority);
        }
        let Output { status, stdout, stderr } = command
            .args(arguments)
            .arg(format!("{scheme}://{}{path}", self.gateway.address))
            .output()
            .unwrap();
        if !status.success() {
            return Err(String::from_utf8_lossy(&stderr).into_owned());
        }
        let said = String::from_utf8(stdout).unwrap();
        let (body, told) = said.rsplit_once('\n').unwrap();
        let (status, version) = told.split_once(' ').unwrap();
        Ok((status.parse().unwrap(), version.to_owned(), body.to_owned()))
    }

    fn status(&self, path: &str, arguments: &[&str]) -> u16 {
        self.curl(path, arguments).unwrap_or_else(|error| panic!("{path}: {error}")).0
    }

    fn waits_for_log(&self, text: &str) {
        wait_until(&format!("the log says {text}"), || self.gateway.log().contains(text));
    }
}

fn hash(password: &str) -> String {
    bcrypt::hash(password, 4).unwrap()
}

const TLS: &str = "tls_server_config:\n  cert_file: gateway.pem\n  key_file: gateway.key\n";

#[test]
fn pushes_and_scrapes_go_over_tls_with_http_1_and_2() {
    if !is_installed("curl") {
        return;
    }
    let web = Web::with_tls(&Authority::new("CA"), TLS);
    for (flag, version) in [("--http1.1", "1.1"), ("--http2", "2")] {
        let pushed = web.curl("/metrics/job/j", &[flag, "--data-binary", BODY]).unwrap();
        assert_eq!(pushed, (200, version.to_owned(), String::new()));
        let (status, spoken, scrape) = web.curl("/metrics", &[flag]).unwrap();
        assert_eq!((status, spoken.as_str()), (200, version));
        assert!(value(&scrape, M) > 0.0, "{scrape}");
        let refused = web.curl("/metrics/job/j", &[flag, "--data-binary", "no metric"]).unwrap();
        assert_eq!(refused.0, 400);
        assert!(refused.2.contains("text format parsing error in line 1"), "{}", refused.2);
        assert_eq!(web.status("/metrics/job/x", &[flag, "-X", "DELETE"]), 202);
        assert_eq!(web.curl("/metrics", &[flag, "--head"]).unwrap().0, 405);
        assert_eq!(web.status("/-/healthy", &[flag]), 200);
    }
    let scrape = web.curl("/metrics", &["--compressed", "--http2"]).unwrap().2;
    assert_eq!(value(&scrape, M), 2.0);
    assert!(web.gateway.stop().success());
}

#[test]
fn much_goes_over_http_2_in_both_directions() {
    if !is_installed("curl") {
        return;
    }
    let web = Web::with_tls(&Authority::new("CA"), TLS);
    let mut body = String::from("# TYPE big counter\n");
    for number in 0..50_000 {
        writeln!(body, "big{{number=\"{number}\",text=\"{}\"}} 1", "x".repeat(40)).unwrap();
    }
    let file = web.path("body");
    fs::write(&file, &body).unwrap();
    let data = format!("@{}", file.display());
    assert_eq!(web.status("/metrics/job/big", &["--http2", "--data-binary", &data]), 200);
    for flag in ["--http2", "--http1.1"] {
        let scrape = web.curl("/metrics", &[flag]).unwrap().2;
        assert_eq!(scrape.lines().filter(|line| line.starts_with("big{")).count(), 50_000);
    }
    // Several at once on one connection.
    let url = format!("https://{}/-/ready", web.gateway.address);
    let authority = web.path("ca.pem");
    let output = Command::new("curl")
        .args(["--silent", "--http2", "--parallel", "--parallel-immediate", "--cacert"])
        .arg(&authority)
        .args(vec![&url; 40])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "OK".repeat(40));
}

#[test]
fn http_2_can_be_switched_off() {
    if !is_installed("curl") {
        return;
    }
    let web = Web::with_tls(&Authority::new("CA"), &format!("{TLS}http_server_config:\n  http2: false\n"));
    assert_eq!(web.curl("/-/ready", &["--http2"]).unwrap().1, "1.1");
}

#[test]
fn http_to_a_tls_port_is_told_so() {
    let web = Web::with_tls(&Authority::new("CA"), TLS);
    for request in [
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        format!("POST /metrics/job/j HTTP/1.1\r\n\r\n{BODY}"),
    ] {
        let mut stream = std::net::TcpStream::connect(&web.gateway.address).unwrap();
        std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
        let mut answer = String::new();
        std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
        assert_eq!(
            answer,
            "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
        );
    }
}

#[test]
fn versions_are_bounded() {
    if !is_installed("curl") {
        return;
    }
    let authority = Authority::new("CA");
    let only = |min: &str, max: &str| format!("{TLS}  min_version: {min}\n  max_version: {max}\n");
    let web = Web::with_tls(&authority, &only("TLS13", "TLS13"));
    assert!(web.curl("/-/ready", &["--tls-max", "1.2"]).is_err());
    assert_eq!(web.status("/-/ready", &["--tlsv1.3"]), 200);
    let suite = "ECDHE-ECDSA-AES128-GCM-SHA256";
    let web = Web::with_tls(
        &authority,
        &format!(
            "{}  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]\n  curve_preferences: [CurveP384]\n",
            only("TLS12", "TLS12")
        ),
    );
    assert!(web.curl("/-/ready", &["--tlsv1.3"]).is_err());
    assert!(web.curl("/-/ready", &["--ciphers", "ECDHE-ECDSA-CHACHA20-POLY1305"]).is_err());
    assert_eq!(web.status("/-/ready", &["--ciphers", suite]), 200);
    // P-256 is the curve of the certificate, without which the client would not accept that.
    assert!(web.curl("/-/ready", &["--curves", "X25519:P-256"]).is_err());
    assert_eq!(web.status("/-/ready", &["--curves", "P-256:P-384"]), 200);
}

/// The status of a request with a client's certificate, or without one; `None` if the handshake fails.
fn with_certificate(web: &Web, certificate: Option<&Signed>) -> Option<u16> {
    let Some(certificate) = certificate else { return web.curl("/-/ready", &[]).ok().map(|answer| answer.0) };
    let (pem, key) = certificate.write(web.directory.path(), "client");
    let arguments = ["--cert", pem.to_str().unwrap(), "--key", key.to_str().unwrap()];
    web.curl("/-/ready", &arguments).ok().map(|answer| answer.0)
}

#[test]
fn certificates_of_clients_are_asked_for_as_is_said() {
    if !is_installed("curl") {
        return;
    }
    let (authority, stranger) = (Authority::new("CA"), Authority::new("another CA"));
    let known = authority.sign("client", &["push.example", "ops@example.org", "10.1.2.3", "spiffe://x/y"]);
    let unknown = stranger.sign("client", &["push.example"]);
    let ca = "  client_ca_file: ca.pem\n";
    for (kind, ca, [none, wrong, right]) in [
        ("NoClientCert", "", [true, true, true]),
        ("RequestClientCert", "", [true, true, true]),
        ("RequireAnyClientCert", "", [false, true, true]),
        ("VerifyClientCertIfGiven", ca, [true, false, true]),
        ("RequireAndVerifyClientCert", ca, [false, false, true]),
    ] {
        let web = Web::with_tls(&authority, &format!("{TLS}  client_auth_type: {kind}\n{ca}"));
        for (certificate, is_let_in) in [(None, none), (Some(&unknown), wrong), (Some(&known), right)] {
            let status = with_certificate(&web, certificate);
            assert_eq!(status, is_let_in.then_some(200), "{kind} {:?}", certificate.map(|c| &c.certificate));
        }
    }
    let named = format!("{TLS}  client_auth_type: RequireAndVerifyClientCert\n{ca}  client_allowed_sans: ");
    for (names, is_let_in) in [
        ("[PUSH.example]", true),
        ("[other, ops@example.org]", true),
        ("[10.1.2.3]", true),
        ("['spiffe://x/y']", true),
        ("[push.example.org, example.org, 10.1.2.4]", false),
    ] {
        let web = Web::with_tls(&authority, &format!("{named}{names}\n"));
        assert_eq!(with_certificate(&web, Some(&known)), is_let_in.then_some(200), "{names}");
        assert_eq!(with_certificate(&web, Some(&unknown)), None, "{names}");
    }
}

#[test]
fn a_new_certificate_is_used_and_a_broken_one_is_not() {
    if !is_installed("curl") {
        return;
    }
    let (old, new) = (Authority::new("old CA"), Authority::new("new CA"));
    let web = Web::with_tls(&old, TLS);
    let new_ca = web.path("new-ca.pem");
    fs::write(&new_ca, new.pem()).unwrap();
    let trusts_new = ["--cacert", new_ca.to_str().unwrap()];
    assert!(web.curl("/-/ready", &trusts_new).is_err());
    fs::write(web.path("gateway.pem"), "broken").unwrap();
    web.waits_for_log("is not followed");
    assert_eq!(web.status("/-/ready", &[]), 200);
    assert!(web.gateway.log().contains("cert_file: there is no certificate in it"), "{}", web.gateway.log());
    new.sign_server().write(web.directory.path(), "gateway");
    wait_until("the new certificate is used", || web.curl("/-/ready", &trusts_new).is_ok());
    assert!(web.curl("/-/ready", &[]).is_err(), "the old authority has not signed it");
}

#[test]
fn passwords_are_asked_for_and_read_again() {
    if !is_installed("curl") {
        return;
    }
    let config = |password: &str| format!("basic_auth_users:\n  u: {}\n", hash(password));
    let web = Web::with(&config("old"));
    let push = |credentials| web.status("/metrics/job/j", &["-u", credentials, "--data-binary", BODY]);
    let (status, _, body) = web.curl("/metrics", &["-D", "-"]).unwrap();
    assert_eq!(status, 401);
    assert!(body.to_lowercase().contains("www-authenticate: basic\r\n"), "{body}");
    assert!(body.ends_with("\r\n\r\nUnauthorized\n"), "{body}");
    assert_eq!([push("u:old"), push("u:new"), push("x:old")], [200, 401, 401]);

    web.write(&config("new"));
    wait_until("the new password is known", || push("u:new") == 200);
    assert_eq!(push("u:old"), 401);

    // Half a file, or none, opens nothing.
    for broken in ["basic_auth_users:\n  u: nonsense\n", "", "basic_auth_users:\n", "nonsense: 1\n"] {
        let before = web.gateway.log().matches("is not followed").count();
        web.write(broken);
        wait_until("it is noticed", || web.gateway.log().matches("is not followed").count() > before);
        assert_eq!([push("u:new"), push("u:old")], [200, 401], "{broken:?}");
        assert_eq!(web.status("/metrics", &[]), 401, "{broken:?}");
    }
    fs::remove_file(web.path("web.yml")).unwrap();
    web.waits_for_log("cannot read");
    assert_eq!(web.status("/metrics", &[]), 401);
    web.write(&config("newest"));
    wait_until("the newest password is known", || push("u:newest") == 200);
}

#[test]
fn a_restriction_that_is_gone_is_not_followed_and_one_that_is_wider_is_named() {
    if !is_installed("curl") {
        return;
    }
    let hash = hash("1");
    let config = |jobs: &str| {
        format!("basic_auth_users:\n  ci: {hash}\nroles:\n  ci:\n    rights: [push]\n{jobs}rate_limit:\n")
    };
    let web = Web::with(&config("    jobs: [\"ci-*\"]\n"));
    assert!(web.gateway.log().contains("rate_limit is empty: there is no limit"), "{}", web.gateway.log());
    let push = || web.status("/metrics/job/other", &["-u", "ci:1", "--data-binary", BODY]);
    assert_eq!(push(), 403);

    web.write(&config(""));
    web.waits_for_log("roles.ci.jobs is gone");
    assert_eq!(push(), 403);

    web.write(&config("    jobs: [\"*\"]\n"));
    web.waits_for_log("lets in more than before");
    assert_eq!(push(), 200);
    let log = web.gateway.log();
    let warning = log.lines().find(|line| line.contains("lets in more")).unwrap();
    assert!(warning.contains("level=warn") && warning.contains("may push to the jobs"), "{warning}");
}

#[test]
fn right_pushes_are_not_held_up_by_wrong_passwords() {
    if !is_installed("curl") {
        return;
    }
    // Each check takes a second or so.
    let hash = bcrypt::hash("secret", 14).unwrap();
    let web = Web::with(&format!("basic_auth_users:\n  u: {hash}\n"));
    let push = || web.status("/metrics/job/j", &["-u", "u:secret", "--data-binary", BODY]);
    assert_eq!(push(), 200);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for attacker in 0..4 {
            let (web, over) = (&web, &over);
            scope.spawn(move || {
                for attempt in 0.. {
                    if over.load(Ordering::SeqCst) {
                        break;
                    }
                    let credentials = format!("u:{attacker}-{attempt}");
                    // Not waited for: the next attempt follows at once.
                    let _ = web.curl("/metrics/job/j", &["-u", &credentials, "--max-time", "0.2", "-d", "x"]);
                }
            });
        }
        let started = Instant::now();
        for _ in 0..20 {
            assert_eq!(push(), 200);
        }
        let took = started.elapsed();
        over.store(true, Ordering::SeqCst);
        assert!(took < Duration::from_secs(15), "20 pushes took {took:?}");
    });
}

#[test]
fn roles_are_judged_by_what_a_path_means() {
    if !is_installed("curl") {
        return;
    }
    let (ci, prometheus) = (hash("1"), hash("2"));
    let web = Web::with(&format!(
        "basic_auth_users:\n  ci: {ci}\n  prometheus: {prometheus}\n\
         roles:\n  ci:\n    rights: [push]\n    jobs: [\"ci-*\"]\n  prometheus:\n    rights: [read]\n\
         open_health: true\n"
    ));
    let ci = |path: &str| web.status(path, &["-u", "ci:1", "--data-binary", BODY]);
    assert_eq!(ci("/metrics/job/ci-1"), 200);
    // "ci-1" and "other".
    assert_eq!(ci("/metrics/job@base64/Y2ktMQ"), 200);
    assert_eq!(ci("/metrics/job@base64/b3RoZXI="), 403);
    assert_eq!(ci("/metrics/job%40base64/b3RoZXI="), 403);
    assert_eq!(ci("/metrics/job/%6f%74her"), 403);
    assert_eq!(ci("/metrics/job/other/job/ci-1"), 403);
    assert_eq!(web.status("/metrics/job/other", &["-u", "ci:1", "-X", "DELETE"]), 403);
    assert_eq!(web.status("/metrics/job/ci-1", &["-u", "prometheus:2", "-X", "DELETE"]), 403);
    assert_eq!(web.status("/metrics", &["-u", "ci:1"]), 403);
    let scrape = web.curl("/metrics", &["-u", "prometheus:2"]).unwrap().2;
    assert_eq!(value(&scrape, "m{instance=\"\",job=\"ci-1\"}"), 2.0);
    assert_eq!(value(&scrape, "tallygate_pushes_refused_total{reason=\"access\"}"), 4.0);
    assert!(!scrape.contains("job=\"other\""), "{scrape}");
    assert_eq!([web.status("/-/ready", &[]), web.status("/-/healthy", &[])], [200, 200]);
    assert_eq!(web.status("/status", &[]), 401);
}

#[test]
fn requests_are_limited_and_headers_are_sent() {
    if !is_installed("curl") {
        return;
    }
    let headers = "    X-Frame-Options: deny\n    Content-Security-Policy: \"default-src 'self'\"\n";
    let web = Web::with(&format!(
        "rate_limit: {{interval: 1h, burst: 2}}\nhttp_server_config:\n  headers:\n{headers}"
    ));
    let answers: Vec<_> = (0..3).map(|_| web.curl("/-/healthy", &["-D", "-"]).unwrap()).collect();
    assert_eq!(answers.iter().map(|answer| answer.0).collect::<Vec<_>>(), [200, 200, 429]);
    for (_, _, head) in &answers {
        let head = head.to_lowercase();
        assert!(head.contains("x-frame-options: deny\r\n"), "{head}");
        assert!(head.contains("content-security-policy: default-src 'self'\r\n"), "{head}");
    }
    assert!(answers[2].2.ends_with("\r\n\r\nToo Many Requests\n"), "{}", answers[2].2);
}

#[test]
fn a_file_with_a_mistake_stops_the_start() {
    let (directory, store) = scratch();
    let path = directory.path().join("web.yml");
    let start = |config: Option<&str>| {
        match config {
            Some(config) => fs::write(&path, config).unwrap(),
            None => drop(fs::remove_file(&path)),
        }
        Process::try_start(&store, &[&format!("--web.config.file={}", path.display())])
    };
    for (config, text) in [
        (None, "cannot read"),
        (Some("basic_auth_users: {u: plain}\n"), "web.yml:1: basic_auth_users.u: it is not a bcrypt hash"),
        (Some("\nbasic_auth: {}\n"), "web.yml:2: "),
        (Some("tls_server_config:\n  cert_file: no.pem\n  key_file: no.key\n"), "no.pem"),
        (Some("http_server_config: {headers: {X-Other: 1}}\n"), "X-Other: this header cannot be set"),
    ] {
        let (status, log) = start(config).err().expect("it does not start");
        assert_eq!(status.code(), Some(1), "{log}");
        assert!(log.contains(text), "{log}");
        assert!(!store.exists());
    }
    // An empty file closes nothing.
    let gateway = start(Some("# nothing yet\n")).expect("it starts");
    assert_eq!(gateway.post("/metrics/job/j", BODY).status, 200);
}

/// The example of the documentation, with its users and certificates, works.
#[test]
fn the_documented_example_is_accepted() {
    let documents = Path::new(env!("CARGO_MANIFEST_DIR"));
    let example = fs::read_to_string(documents.join("packaging/web.yml")).unwrap();
    let (directory, _) = scratch();
    let authority = Authority::new("CA");
    authority.sign_server().write(directory.path(), "tallygate");
    fs::write(directory.path().join("clients-ca.pem"), authority.pem()).unwrap();
    let web = Web::start(directory, &example);
    web.waits_for_log("tls=true");
}
