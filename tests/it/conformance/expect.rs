//! What an answer is held against.

use serde_json::Value;

use super::case::{Expected, JsonShape};
use super::exchange::Answer;
use super::payload::shown;
use super::protobuf;

/// Whether an answer is as expected.
pub fn check(answer: &mut Answer, expected: &Expected) -> Result<(), String> {
    let body = &answer.body;
    match expected {
        Expected::HeaderIs(name, value) => match answer.header(name).as_deref() {
            Some(found) if found == value => Ok(()),
            found => Err(format!("the header {name} is {found:?} in the place of {value:?}")),
        },
        Expected::HeaderBegins(name, value) => match answer.header(name).as_deref() {
            Some(found) if found.starts_with(value.as_str()) => Ok(()),
            found => Err(format!("the header {name} is {found:?} and should begin with {value:?}")),
        },
        Expected::NoHeader(name) => match answer.header(name).as_deref() {
            None => Ok(()),
            Some(found) => Err(format!("there is a header {name}: {found}")),
        },
        Expected::BodyIs(bytes) => ok_if(body == bytes, || ("is", bytes, body)),
        Expected::BodyBegins(bytes) => ok_if(body.starts_with(bytes), || ("begins with", bytes, body)),
        Expected::BodyContains(bytes) => ok_if(contains(body, bytes), || ("contains", bytes, body)),
        Expected::BodyLacks(bytes) => ok_if(!contains(body, bytes), || ("lacks", bytes, body)),
        Expected::Json(pointer, shape) => json(body, pointer, shape),
        Expected::Families(expected) => families(body, expected),
        Expected::Closes => {
            answer.is_closed().then_some(()).ok_or_else(|| "the connection stays open".to_owned())
        }
    }
}

fn ok_if<'b>(
    holds: bool,
    what: impl FnOnce() -> (&'static str, &'b Vec<u8>, &'b Vec<u8>),
) -> Result<(), String> {
    if holds {
        return Ok(());
    }
    let (verb, expected, found) = what();
    Err(format!("expected is a body that {verb} {:?}, but it is\n{}", shown(expected), shown(found)))
}

fn contains(body: &[u8], bytes: &[u8]) -> bool {
    memchr::memmem::find(body, bytes).is_some()
}

fn json(body: &[u8], pointer: &str, shape: &JsonShape) -> Result<(), String> {
    let document: Value =
        serde_json::from_slice(body).map_err(|error| format!("{error}: {}", shown(body)))?;
    let found = document.pointer(pointer);
    let holds = match (shape, found) {
        (JsonShape::Is(value), Some(found)) => value == found,
        (JsonShape::Kind(kind), Some(found)) => kind == kind_of(found),
        (JsonShape::Missing, found) => found.is_none(),
        (_, None) => false,
    };
    holds.then_some(()).ok_or_else(|| format!("{pointer} is {found:?} in\n{}", shown(body)))
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn families(body: &[u8], expected: &[String]) -> Result<(), String> {
    let found = protobuf::decode(body)?;
    match expected.iter().find(|family| !found.contains(family)) {
        Some(family) => {
            Err(format!("this family is not there:\n{family}\nbut these are:\n{}", found.join("\n")))
        }
        None => Ok(()),
    }
}
