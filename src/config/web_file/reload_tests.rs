//! What becomes of a running gateway's settings when the file changes.

use super::tests::{HASH, TLS, directory, read_in};
use super::*;

/// A directory with a file that a running gateway follows.
struct Running {
    directory: tempfile::TempDir,
    file: WebFile,
}

/// What comes of a change: what it opens, or why it is not followed.
type Outcome = Result<Vec<String>, String>;

impl Running {
    fn with(text: &str) -> Self {
        let directory = directory();
        let file = read_in(directory.path(), text).unwrap();
        Self { directory, file }
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.directory.path().join(name), text.replace("HASH", HASH)).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.directory.path().join(name)).unwrap()
    }

    /// Looks once; `None` if nothing comes of it yet.
    fn looks(&mut self) -> Option<Outcome> {
        let outcome = self.file.look_again()?;
        Some(outcome.map(|change| change.opened).map_err(|error| error.to_string()))
    }

    /// Looks until something comes of a change, which takes two looks.
    fn follows(&mut self) -> Outcome {
        assert_eq!(self.looks(), None, "the first look decides nothing");
        let outcome = self.looks().expect("it has changed, and was seen twice");
        assert_eq!(self.looks(), None, "it is said once");
        outcome
    }

    /// What comes of another text.
    fn changes_to(&mut self, text: &str) -> Outcome {
        self.write("web.yml", text);
        self.follows()
    }
}

#[test]
fn it_is_read_again_when_it_or_what_it_names_has_changed() {
    let text = format!("{TLS}}}\nbasic_auth_users: {{a: HASH}}\n");
    let mut running = Running::with(&text);
    assert_eq!(running.looks(), None);
    // Another certificate and key, the same file.
    read_in(running.directory.path(), &text).unwrap();
    assert_eq!(running.follows(), Ok(Vec::new()));

    let key = running.read("key.pem");
    running.write("key.pem", "");
    let error = running.follows().unwrap_err();
    assert!(error.contains("key_file: there is no private key in it"), "{error}");
    assert!(running.file.settings().access.users.contains_key("a"));
    running.write("key.pem", &key);
    assert_eq!(running.follows(), Ok(Vec::new()));

    // A mistake in the file itself does not make it forget the others.
    running.changes_to("nonsense").unwrap_err();
    running.changes_to(&text.replace("key.pem", "new.key")).unwrap_err();
    running.write("new.key", &key);
    assert_eq!(running.follows(), Ok(Vec::new()), "what was missing is there");
}

#[test]
fn a_file_that_is_still_being_written_is_neither_followed_nor_complained_about() {
    let text = "basic_auth_users: {a: HASH}\nroles:\n  a:\n    rights: [push]\n    jobs: [ci]\n";
    let mut running = Running::with(text);
    let longer = format!("{text}open_health: true\n");
    // Whatever each look sees of it: nothing, a text that means something else, or one that means nothing.
    for length in [0, 20, text.len() - 5, text.find("    jobs").unwrap()] {
        running.write("web.yml", &longer[..length]);
        assert_eq!(running.looks(), None, "{length}");
    }
    std::fs::remove_file(running.directory.path().join("web.yml")).unwrap();
    assert_eq!(running.looks(), None);
    running.write("web.yml", &longer);
    let opened = running.follows().unwrap();
    assert_eq!(opened, ["open_health: the health endpoints are open to everybody"]);
    let role = &running.file.settings().access.users["a"].role;
    assert!(role.jobs.is_some() && running.file.settings().access.open_health);
}

#[test]
fn a_key_that_changes_before_its_certificate_is_waited_for() {
    let text = format!("{TLS}}}\n");
    let mut running = Running::with(&text);
    let other = Running::with(&text);
    running.write("key.pem", &other.read("key.pem"));
    assert_eq!(running.looks(), None);
    running.write("cert.pem", &other.read("cert.pem"));
    assert_eq!(running.follows(), Ok(Vec::new()));
}

#[test]
fn a_file_that_is_touched_or_changed_back_stays_what_it_was() {
    let text = "basic_auth_users: {a: HASH}\n";
    let mut running = Running::with(text);
    running.write("web.yml", "");
    assert_eq!(running.looks(), None);
    assert_eq!(running.changes_to(text), Ok(Vec::new()));
    assert!(!running.file.settings().access.users.is_empty());
}

#[test]
fn a_restriction_cannot_be_removed_while_it_runs() {
    let verified = "client_ca_file: cert.pem, client_auth_type: RequireAndVerifyClientCert";
    let access = "basic_auth_users: {a: HASH}\nroles: {a: {rights: [push], jobs: [ci]}}\n";
    let all = format!("{TLS}, {verified}, client_allowed_sans: [x]}}\n{access}");
    let mut running = Running::with(&all);
    for (text, message) in [
        (String::new(), "TLS cannot be switched on or off"),
        (access.to_owned(), "TLS cannot be switched on or off"),
        (
            all.replace("RequireAndVerify", "Verify").replace("ClientCert,", "ClientCertIfGiven,"),
            "the need of a client certificate cannot be switched off",
        ),
        (format!("{TLS}}}\n{access}"), "the need of a client certificate cannot be switched off"),
        (
            format!("{TLS}, client_auth_type: RequireAnyClientCert}}\n{access}"),
            "the check of client certificates cannot be switched off",
        ),
        (format!("{TLS}, {verified}}}\n{access}"), "client_allowed_sans cannot be switched off"),
        (all.lines().next().unwrap().to_owned(), "passwords cannot be switched off"),
        (all.replace("basic_auth_users: {a: HASH}", "").replace(", jobs: [ci]", ""), "there is no such user"),
        (all[..all.find("roles").unwrap()].to_owned(), "roles cannot be switched off"),
        (all.replace(", jobs: [ci]", ""), "roles.a.jobs is gone; write jobs: [\"*\"] if"),
    ] {
        let error = running.changes_to(&text).expect_err(&text);
        assert!(error.contains(message), "{text}: {error}");
    }
    // Nor has any of that changed anything.
    assert_eq!(running.changes_to(&all), Ok(Vec::new()));
}

#[test]
fn what_a_change_opens_is_followed_and_named() {
    let tls = format!(
        "{TLS}, min_version: TLS13, client_ca_file: cert.pem, client_auth_type: VerifyClientCertIfGiven, \
         client_allowed_sans: [x]}}\n"
    );
    let users = "basic_auth_users: {a: HASH}\nroles: {a: {rights: [push], jobs: [ci]}}\n";
    let limit = "rate_limit: {interval: 1s, burst: 2}\n";
    let all = format!("{tls}{users}{limit}");
    let other_ca = Running::with("").read("cert.pem");
    for (text, opened) in [
        (all.replace(", min_version: TLS13", ""), "min_version: an older version of TLS is spoken"),
        (
            all.replace("client_ca_file: cert.pem", "client_ca_file: other.pem"),
            "client_ca: client certificates of another authority are accepted",
        ),
        (all.replace("[x]", "[y, x]"), "client_allowed_sans: the name \"y\" is accepted"),
        (all.replace("[ci]", "['*']"), "the user \"a\" may push to the jobs \"*\""),
        (
            all.replace("{a: HASH}", "{a: HASH, b: HASH}")
                .replace("roles: {", "roles: {b: {rights: [admin]}, "),
            "the user \"b\" gets the right \"admin\"",
        ),
        (all.replace(limit, ""), "rate_limit lets more requests through"),
        (all.replace("burst: 2", "burst: 30"), "rate_limit lets more requests through"),
        (all.replace("interval: 1s", "interval: 900ms"), "rate_limit lets more requests through"),
        (format!("{all}open_health: true\n"), "open_health: the health endpoints are open to everybody"),
    ] {
        let mut running = Running::with(&all);
        running.write("other.pem", &format!("{}{other_ca}", running.read("cert.pem")));
        assert_eq!(running.changes_to(&text), Ok(vec![opened.to_owned()]), "{text}");
        // And back again, which opens nothing.
        assert_eq!(running.changes_to(&all), Ok(Vec::new()), "{text}");
    }
    // Who may not push any more needs no jobs.
    let mut running = Running::with(&all);
    let reads = all.replace("rights: [push], jobs: [ci]", "rights: [read]");
    assert_eq!(running.changes_to(&reads), Ok(vec!["the user \"a\" gets the right \"read\"".to_owned()]));
    // A user who is new and may do nothing, and another password, open nothing.
    let mut running = Running::with(&all);
    let more = all.replace("{a: HASH}", &format!("{{a: {}, c: HASH}}", HASH.replace("$04$", "$05$")));
    assert_eq!(running.changes_to(&more), Ok(Vec::new()));
    // What was open may be closed.
    let mut open = Running::with("");
    assert_eq!(open.changes_to(users), Ok(Vec::new()));
}
