//! Certificates and keys, which stand in the file or in files that it names.

use std::fmt::Display;
use std::path::Path;

use super::super::Fault;
use super::super::raw::Text;
use super::{ReadNamed, fault};

/// What is PEM in the file or in a file that it names.
pub(super) struct PemText<'r> {
    key: String,
    source: &'r Text,
    pub(super) bytes: Vec<u8>,
}

impl<'r> PemText<'r> {
    /// From one of two keys; empty texts count as none, as with Prometheus's programs.
    pub(super) fn read(
        (inline_key, inline): (&str, Option<&'r Text>),
        (file_key, file): (&str, Option<&'r Text>),
        read: &mut ReadNamed<'_>,
    ) -> Result<Option<Self>, Fault> {
        let is_given = |text: &&Text| !text.value.is_empty();
        let key = |name: &str| format!("tls_server_config.{name}");
        match (inline.filter(is_given), file.filter(is_given)) {
            (Some(_), Some(source)) => Err(fault(
                source,
                &key(file_key),
                format!("{inline_key} is given, too; leave one of them out"),
            )),
            (Some(source), None) => {
                Ok(Some(Self { key: key(inline_key), source, bytes: source.value.clone().into_bytes() }))
            }
            (None, Some(source)) => {
                let key = key(file_key);
                let bytes = read(Path::new(&source.value)).map_err(|error| fault(source, &key, error))?;
                Ok(Some(Self { key, source, bytes }))
            }
            (None, None) => Ok(None),
        }
    }

    /// A fault of it, named by the key that it is from.
    pub(super) fn fault(&self, what: impl Display) -> Fault {
        fault(self.source, &self.key, what)
    }
}
