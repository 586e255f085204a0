//! The embedded engines by name.

use std::fmt;

/// An engine that keeps its records in files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EngineKind {
    /// A log of segments.
    #[default]
    Sled,
    /// A copy-on-write tree in one file.
    Redb,
}

impl EngineKind {
    /// The names of all engines.
    pub const NAMES: [&'static str; 2] = [EngineKind::Sled.name(), EngineKind::Redb.name()];

    /// The engine's name, as a user writes it and as a store's marker has it.
    pub const fn name(self) -> &'static str {
        match self {
            EngineKind::Sled => "sled",
            EngineKind::Redb => "redb",
        }
    }

    /// The engine of this name, if there is one.
    pub fn from_name(name: &str) -> Option<EngineKind> {
        [EngineKind::Sled, EngineKind::Redb].into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for EngineKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
