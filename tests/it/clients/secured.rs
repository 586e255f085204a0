//! Clients at a gateway that asks for a password, or for a certificate.

use std::path::Path;
use std::process::Command;

use super::programs::{Client, Door, run};
use super::story;
use crate::support::certificates::Authority;
use crate::support::process::{Process, is_installed, scratch};

const PASSWORD: &str = "correct horse";
/// The bcrypt hash of it, at the least cost.
const HASH: &str = "$2b$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e";

/// A gateway with this web configuration file, in a directory.
fn start(directory: &Path, store: &Path, config: &str) -> Process {
    let file = directory.join("web.yml");
    std::fs::write(&file, config).unwrap();
    Process::start(store, &[&format!("--web.config.file={}", file.display())])
}

/// A page, got by curl with these options.
fn curl(url: &str, options: &[&str]) -> String {
    let output =
        Command::new("curl").args(["-sS", "--fail-with-body"]).args(options).arg(url).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The options of a program that signs in.
fn password_is(password: &str) -> Vec<String> {
    vec!["user=pusher".to_owned(), format!("password={password}")]
}

/// A part of a configuration file: one user.
fn users() -> String {
    format!("basic_auth_users:\n  pusher: {HASH}\n")
}

#[test]
fn every_client_signs_in_with_a_password() {
    if !is_installed("curl") {
        return;
    }
    for (client, mode) in Client::ALL {
        let (directory, store) = scratch();
        let gateway = start(directory.path(), &store, &users());
        let door = Door { options: password_is(PASSWORD), ..Door::open(&gateway) };
        story::holds_at(client, mode, &door, || {
            curl(&gateway.url("/metrics"), &["-u", &format!("pusher:{PASSWORD}")])
        });
    }
}

#[test]
fn every_client_fails_cleanly_with_a_wrong_password_and_with_none() {
    if !is_installed("curl") {
        return;
    }
    let (directory, store) = scratch();
    let gateway = start(directory.path(), &store, &users());
    for (client, mode) in Client::ALL {
        for options in [password_is("wrong"), Vec::new()] {
            let door = Door { options, ..Door::open(&gateway) };
            let Some(output) = run(client, mode, &door) else { continue };
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(!output.status.success(), "{client:?} thinks that it has pushed");
            assert!(said.contains("401"), "{client:?}: {said}");
        }
    }
    let scrape = curl(&gateway.url("/metrics"), &["-u", &format!("pusher:{PASSWORD}")]);
    assert!(!scrape.contains("client_"), "{scrape}");
}

/// Makes an authority, and a certificate each for a server and a client.
fn certify(directory: &Path) {
    let authority = Authority::new("authority");
    std::fs::write(directory.join("authority.pem"), authority.pem()).unwrap();
    authority.sign_server().write(directory, "server");
    authority.sign("client", &[]).write(directory, "client");
}

/// A web configuration with TLS in this directory.
fn tls(directory: &Path, more: &str) -> String {
    let at = directory.display();
    format!("tls_server_config:\n  cert_file: {at}/server.pem\n  key_file: {at}/server.key\n{more}")
}

#[test]
fn python_shows_its_certificate() {
    if !is_installed("curl") {
        return;
    }
    let (directory, store) = scratch();
    let at = directory.path();
    certify(at);
    let file = |name: &str| at.join(name).display().to_string();
    let (authority, certificate, key) = (file("authority.pem"), file("client.pem"), file("client.key"));
    let asks = format!("  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: {authority}\n");
    let gateway = start(at, &store, &tls(at, &asks));
    let url = format!("https://{}", gateway.address);

    let options = vec![format!("ca={authority}"), format!("cert={certificate}"), format!("key={key}")];
    let door = Door { url: url.clone(), options, environment: None };
    story::holds_at(Client::Python, "text", &door, || {
        curl(&format!("{url}/metrics"), &["--cacert", &authority, "--cert", &certificate, "--key", &key])
    });

    // Without a certificate it gets no answer at all.
    let door = Door { url, options: Vec::new(), environment: Some(("SSL_CERT_FILE", authority)) };
    let Some(output) = run(Client::Python, "text", &door) else { return };
    assert!(!output.status.success(), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
}

#[test]
fn clients_push_over_tls_to_a_gateway_whose_authority_they_know() {
    if !is_installed("curl") {
        return;
    }
    for (client, mode, variable) in [
        (Client::Python, "gzip", "SSL_CERT_FILE"),
        (Client::Node, "text", "NODE_EXTRA_CA_CERTS"),
        (Client::Go, "protobuf", "SSL_CERT_FILE"),
    ] {
        let (directory, store) = scratch();
        let at = directory.path();
        certify(at);
        let gateway = start(at, &store, &tls(at, &users()));
        let url = format!("https://{}", gateway.address);
        let authority = at.join("authority.pem").display().to_string();
        let environment = Some((variable, authority.clone()));
        let door = Door { url: url.clone(), options: password_is(PASSWORD), environment };
        story::holds_at(client, mode, &door, || {
            curl(&format!("{url}/metrics"), &["--cacert", &authority, "-u", &format!("pusher:{PASSWORD}")])
        });
    }
}
