//! Tests that run once with each engine.

use std::path::{Path, PathBuf};

/// The flag that chooses sled, the default.
pub const SLED: &str = "--persistence.engine=sled";
/// The flag that chooses redb.
pub const REDB: &str = "--persistence.engine=redb";

/// The file with the records of a store that a flag's engine has made, in the store's directory.
pub fn records_file(engine: &str) -> &'static Path {
    Path::new(if engine == REDB { "gen-1/redb" } else { "gen-1/db" })
}

/// The same, below a store's path.
pub fn records_path(store: &Path, engine: &str) -> PathBuf {
    store.join(records_file(engine))
}

/// Makes tests of functions that take an engine's flag.
macro_rules! on_every_engine {
    ($($test:ident),+ $(,)?) => {
        mod on_sled {
            $(#[test]
            fn $test() {
                super::$test(crate::support::engines::SLED);
            })+
        }

        mod on_redb {
            $(#[test]
            fn $test() {
                super::$test(crate::support::engines::REDB);
            })+
        }
    };
}
pub(crate) use on_every_engine;
