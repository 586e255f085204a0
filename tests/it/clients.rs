//! The client libraries of six languages, as jobs use them.
//!
//! Each has a program in `tests/clients` that tells one and the same story with it (`story`), and says what it did. The
//! scrape must then show exactly what that adds up to, and nothing of what was deleted or refused.

mod native;
mod programs;
mod quantiles;
mod secured;
mod story;
mod versions;

use programs::Client;

#[test]
fn python_with_text_and_gzip() {
    for mode in ["text", "gzip"] {
        story::holds(Client::Python, mode);
    }
}

#[test]
fn python_with_snappy() {
    story::holds(Client::Python, "snappy");
}

#[test]
fn node_with_text_and_gzip() {
    for mode in ["text", "gzip"] {
        story::holds(Client::Node, mode);
    }
}

#[test]
fn go_with_protobuf() {
    story::holds(Client::Go, "protobuf");
}

#[test]
fn go_with_text() {
    story::holds(Client::Go, "text");
}

#[test]
fn java_with_protobuf() {
    story::holds(Client::Java, "protobuf");
}

#[test]
fn java_with_text() {
    story::holds(Client::Java, "text");
}

#[test]
fn java_simpleclient_with_text() {
    story::holds(Client::JavaSimpleclient, "text");
}

#[test]
fn cpp_with_text() {
    story::holds(Client::Cpp, "text");
}

#[test]
fn rust_with_protobuf() {
    story::holds(Client::Rust, "protobuf");
}
