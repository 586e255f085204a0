use std::fmt::Write as _;
use std::fs;

use rcgen::{CertificateParams, KeyPair};

use super::*;

pub(super) const HASH: &str = "$2y$04$.....................................................";

pub(super) fn directory() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// Writes `web.yml`, `cert.pem` and `key.pem`, and reads them.
pub(super) fn read_in(directory: &Path, text: &str) -> Result<WebFile, String> {
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    fs::write(directory.join("cert.pem"), certificate.pem()).unwrap();
    fs::write(directory.join("key.pem"), key.serialize_pem()).unwrap();
    fs::write(directory.join("other.key"), KeyPair::generate().unwrap().serialize_pem()).unwrap();
    fs::write(directory.join("empty.pem"), "").unwrap();
    let path = directory.join("web.yml");
    fs::write(&path, text.replace("HASH", HASH)).unwrap();
    WebFile::read(&path).map_err(|error| error.to_string().replace(&format!("{}/", directory.display()), ""))
}

fn read(text: &str) -> Result<WebSettings, String> {
    read_in(directory().path(), text).map(|file| file.settings)
}

pub(super) const TLS: &str = "tls_server_config: {cert_file: cert.pem, key_file: key.pem";

#[test]
fn an_empty_file_closes_nothing() {
    for text in [
        "",
        "\n\n",
        "# nothing\n---\n",
        "tls_server_config:\nhttp_server_config:\nbasic_auth_users:\nrate_limit:\nopen_health:\n",
        "{}",
        "tls_server_config: {}\nhttp_server_config: {}\nbasic_auth_users: {}\nrate_limit: {}\n",
    ] {
        let settings = read(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        assert!(settings.tls.is_none() && settings.access.users.is_empty(), "{text:?}");
        assert!(settings.access.rate_limit.is_none() && settings.access.headers.is_empty(), "{text:?}");
    }
}

#[test]
fn a_section_that_is_empty_and_protects_nothing_is_remarked() {
    let remarks = |text: &str| read(text).unwrap_or_else(|error| panic!("{text}: {error}")).remarks;
    assert_eq!(remarks("http_server_config:\nopen_health:\n"), [""; 0]);
    assert_eq!(remarks("basic_auth_users: {a: HASH}\n"), [""; 0]);
    for empty in ["", " {}", " ~"] {
        let text =
            format!("# TLS\ntls_server_config:{empty}\nbasic_auth_users:{empty}\nrate_limit:{empty}\n");
        assert_eq!(
            remarks(&text),
            [
                "web configuration file, line 2: tls_server_config is empty: TLS is off",
                "web configuration file, line 3: basic_auth_users is empty: nobody is asked for a password",
                "web configuration file, line 4: rate_limit is empty: there is no limit",
            ],
            "{text}"
        );
    }
    for text in ["{cert_file: \"\", key_file: \"\"}", "{min_version: TLS13}"] {
        let expected =
            "web configuration file, line 1: tls_server_config has neither cert nor key: TLS is off";
        assert_eq!(remarks(&format!("tls_server_config: {text}\n")), [expected]);
    }
    for empty in ["", " []"] {
        let verified = "client_ca_file: cert.pem, client_auth_type: RequireAndVerifyClientCert";
        assert_eq!(
            remarks(&format!("{TLS},\n {verified},\n client_allowed_sans:{empty}}}\n")),
            ["web configuration file, line 3: tls_server_config.client_allowed_sans is empty: \
              a certificate with any name will do"]
        );
    }
}

#[test]
fn roles_and_jobs_that_are_empty_are_mistakes() {
    for empty in ["", " {}", " ~"] {
        for users in ["", "basic_auth_users: {a: HASH}\n"] {
            let error = read(&format!("{users}roles:{empty}\n")).expect_err(empty);
            assert!(
                error.contains("roles: it is empty, so that nobody could do anything; name users"),
                "{error}"
            );
        }
    }
    for empty in ["", " []", " ~"] {
        let text =
            format!("basic_auth_users: {{a: HASH}}\nroles:\n  a:\n    rights: [push]\n    jobs:{empty}\n");
        let error = read(&text).expect_err(empty);
        assert!(
            error.starts_with("web.yml:5: roles.a.jobs: it is empty; name jobs, or leave it out"),
            "{error}"
        );
    }
    for empty in ["", " {}", " {rights: }"] {
        let error = read(&format!("basic_auth_users: {{a: HASH}}\nroles:\n  a:{empty}\n")).expect_err(empty);
        assert!(error.starts_with("web.yml:3: "), "{error}");
    }
}

#[test]
fn everything_is_read() {
    let text = format!(
        "{TLS}, client_ca_file: cert.pem, client_auth_type: RequireAndVerifyClientCert, \
         client_allowed_sans: [a, b], min_version: TLS12, max_version: TLS13, \
         cipher_suites: [TLS_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256], \
         curve_preferences: [X25519, CurveP256], prefer_server_cipher_suites: false}}\n\
         http_server_config:\n  http2: false\n  headers:\n    X-Frame-Options: sameorigin\n    x-xss-protection: '0'\n\
         basic_auth_users:\n  a: HASH\n  b: HASH\n  c: HASH\n\
         roles:\n  a: {{rights: [push], jobs: ['ci-*', x]}}\n  b:\n    rights: [read, admin]\n\
         rate_limit:\n  interval: 1.5s\n  burst: 20\nopen_health: true\n"
    );
    let settings = read(&text).unwrap();
    assert!(settings.tls.as_ref().is_some_and(|tls| tls.guards().client_auth.verifies()));
    let access = settings.access;
    assert_eq!(access.headers.len(), 2);
    assert_eq!(format!("{:?}", access.rate_limit), "Some(RateLimit { interval: 1.5s, burst: 20 })");
    assert!(access.open_health && settings.has_roles);
    let role = |name: &str| format!("{:?}", access.users[name].role);
    assert_eq!(role("a"), "Role { rights: [Push], jobs: Some([JobPattern(\"ci-*\"), JobPattern(\"x\")]) }");
    assert_eq!(role("b"), "Role { rights: [Read, Admin], jobs: None }");
    assert_eq!(role("c"), "Role { rights: [], jobs: None }");
}

#[test]
fn without_roles_a_user_may_do_everything() {
    let settings = read("basic_auth_users: {a: HASH}\n").unwrap();
    assert_eq!(settings.access.users["a"].role, crate::http::access::Role::all());
    assert!(!settings.has_roles && !settings.access.open_health);
}

#[test]
fn certificates_may_stand_in_the_file() {
    let directory = directory();
    read_in(directory.path(), "").unwrap();
    let indented =
        |name: &str| fs::read_to_string(directory.path().join(name)).unwrap().replace('\n', "\n    ");
    let (certificate, key) = (indented("cert.pem"), indented("key.pem"));
    let text = format!("tls_server_config:\n  cert: |\n    {certificate}\n  key: |\n    {key}\n");
    fs::write(directory.path().join("inline.yml"), text).unwrap();
    let file = WebFile::read(&directory.path().join("inline.yml")).unwrap();
    assert!(file.settings().tls.as_ref().is_some_and(|tls| !tls.guards().client_auth.verifies()));
}

#[test]
fn mistakes_name_line_and_key() {
    for (text, message) in [
        ("a: 1\n", "web.yml:1: "),
        ("\ntls_server_config:\n  cert_flie: x\n", "web.yml:3: "),
        ("basic_auth_users:\n  a: HASH\n  a: HASH\n", "web.yml:3: "),
        ("- a\n", "web.yml:1: "),
        ("a: [\n", "web.yml:"),
        ("\tx: 1\n", "web.yml:1: "),
        ("---\na: 1\n---\nb: 1\n", "web.yml:"),
        ("http_server_config: {http2: perhaps}\n", "web.yml:1: "),
        ("basic_auth_users: {a: }\n", "web.yml:1: "),
        ("basic_auth_users:\n  a: secret\n", "web.yml:2: basic_auth_users.a: it is not a bcrypt hash"),
        ("basic_auth_users:\n  'a:b': HASH\n", "web.yml:2: basic_auth_users.a:b: a user's name must not"),
        (
            "basic_auth_users: {a: HASH}\nroles:\n  b: {rights: [push]}\n",
            "web.yml:3: roles.b: there is no such user",
        ),
        ("roles: {a: {rights: [push]}}\n", "web.yml:1: roles.a: there is no such user in basic_auth_users"),
        ("basic_auth_users: {a: HASH}\nroles:\n  a: {}\n", "web.yml:3: "),
        (
            "basic_auth_users: {a: HASH}\nroles:\n  a: {rights: [write]}\n",
            "web.yml:3: roles.a.rights: 'write' is not a right; push, read and admin are",
        ),
        (
            "basic_auth_users: {a: HASH}\nroles:\n  a: {rights: [push], jobs: ['']}\n",
            "web.yml:3: roles.a.jobs: a pattern of job names must not be empty",
        ),
        (
            "basic_auth_users: {a: HASH}\nroles:\n  a: {rights: [push], jobs: []}\n",
            "web.yml:3: roles.a.jobs: it is empty; name jobs",
        ),
        (
            "basic_auth_users: {a: HASH}\nroles:\n  a: {rights: [read], jobs: [x]}\n",
            "web.yml:3: roles.a.jobs: they mean nothing without the right push",
        ),
        (
            "basic_auth_users: {a: HASH}\nroles:\n  a: {rights: [\"re\\nad\\e\"]}\n",
            "web.yml:3: roles.a.rights: 're\\nad\\u{1b}' is not a right",
        ),
        ("basic_auth_users: {\"a\\nb\": x}\n", "web.yml:1: basic_auth_users.a\\nb: it is not a bcrypt hash"),
        ("rate_limit: {interval: 5, burst: 1}\n", "web.yml:1: rate_limit.interval: '5' is not a duration"),
        ("rate_limit: {interval: 1s}\n", "web.yml:1: rate_limit.burst: it is missing"),
        ("rate_limit: {interval: 1s, burst: 0}\n", "web.yml:1: rate_limit.burst: it must be at least 1"),
        ("rate_limit: {interval: 1s, burst: -1}\n", "web.yml:1: "),
        ("rate_limit: {burst: 1}\n", "web.yml:1: rate_limit.interval: it is missing"),
        (
            "http_server_config:\n  headers:\n    Server: x\n",
            "web.yml:3: http_server_config.headers.Server: this header cannot be set; Content-Security-Policy",
        ),
        (
            "http_server_config: {headers: {X-Frame-Options: allow}}\n",
            "X-Frame-Options: it must be deny or sameorigin, got \"allow\"",
        ),
        (
            "http_server_config: {headers: {X-XSS-Protection: \"a\\nb\"}}\n",
            "characters that no header may have",
        ),
    ] {
        let error = read(text).expect_err(text);
        assert!(error.contains(message), "{text}: {error}");
        assert!(!error.contains(char::is_control), "{text}: {error}");
    }
}

#[test]
fn mistakes_about_tls_name_the_setting() {
    for (text, message) in [
        ("{cert_file: cert.pem}", "web.yml:1: tls_server_config.cert_file: key or key_file is missing"),
        ("{key_file: key.pem}", "tls_server_config.key_file: cert or cert_file is missing"),
        ("{client_auth_type: RequireAnyClientCert}", "client_auth_type: TLS needs cert or cert_file"),
        ("{client_ca_file: cert.pem}", "client_ca_file: TLS needs cert or cert_file"),
        ("{cert_file: no.pem, key_file: key.pem}", "tls_server_config.cert_file: cannot read no.pem: "),
        ("{cert_file: empty.pem, key_file: key.pem}", "cert_file: there is no certificate in it"),
        ("{cert_file: cert.pem, key_file: empty.pem}", "key_file: there is no private key in it"),
        ("{cert_file: cert.pem, key_file: cert.pem}", "key_file: there is no private key in it"),
        ("{cert_file: cert.pem, key_file: other.key}", "key_file: it is not the key of the certificate"),
        ("{cert: x, cert_file: cert.pem, key_file: key.pem}", "cert_file: cert is given, too"),
        ("{client_allowed_sans: [a]}", "tls_server_config.client_allowed_sans: TLS needs cert"),
        ("{cert: nonsense, key_file: key.pem}", "tls_server_config.cert: there is no certificate in it"),
    ] {
        let error = read(&format!("tls_server_config: {text}\n")).expect_err(text);
        assert!(error.contains(message), "{text}: {error}");
    }
    for (text, message) in [
        ("min_version: TLS10", "min_version: 'TLS10' is not a supported version; it is not safe"),
        ("min_version: TLS13, max_version: TLS12", "max_version: it is older than min_version"),
        ("max_version: TLS99", "max_version: 'TLS99' is not a supported version"),
        ("cipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA]", "cipher_suites: 'TLS_RSA_WITH_AES_128_CBC_SHA'"),
        ("curve_preferences: [CurveP521]", "curve_preferences: 'CurveP521' is not a supported curve"),
        ("client_auth_type: Sometimes", "client_auth_type: 'Sometimes' is not a way"),
        ("client_auth_type: RequireAndVerifyClientCert", "needs client_ca or client_ca_file"),
        ("client_ca_file: cert.pem", "client_ca_file: clients are not asked for certificates"),
        ("client_allowed_sans: [a]", "client_allowed_sans: anybody could make a certificate"),
        (
            "client_auth_type: VerifyClientCertIfGiven, client_ca_file: empty.pem",
            "client_ca_file: there is no certificate in it",
        ),
        ("max_version: TLS12, cipher_suites: [TLS_AES_128_GCM_SHA256]", "together leave nothing to speak"),
    ] {
        let error = read(&format!("{TLS}, {text}}}\n")).expect_err(text);
        assert!(error.contains(message), "{text}: {error}");
        assert!(error.starts_with("web.yml:"), "{text}: {error}");
    }
}

#[test]
fn a_file_that_is_too_large_or_no_text_is_refused() {
    let directory = directory();
    let path = directory.path().join("web.yml");
    fs::write(&path, "#".repeat(2 << 20)).unwrap();
    assert!(WebFile::read(&path).unwrap_err().to_string().contains("more than 1048576 bytes"));
    fs::write(&path, b"a: \xff\n").unwrap();
    assert!(WebFile::read(&path).unwrap_err().to_string().contains("not UTF-8"));
    assert!(WebFile::read(&directory.path().join("none")).unwrap_err().to_string().contains("cannot read"));
}

#[test]
fn deep_and_repeated_values_do_not_take_the_memory() {
    let deep = format!("a: {}{}\n", "[".repeat(10_000), "]".repeat(10_000));
    let mut bomb = String::from("a: &a [x,x,x,x,x,x,x,x,x]\n");
    for (new, old) in ('b'..='z').zip('a'..) {
        let aliases = vec![format!("*{old}"); 9].join(",");
        writeln!(bomb, "{new}: &{new} [{aliases}]").unwrap();
    }
    for text in [deep, bomb] {
        check_text(&text).unwrap_err();
    }
}
