//! redb at arm's length: its errors, opening it on a file that may be damaged, and letting go of it.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use redb::{Database, StorageBackend};

use super::FILE;
use super::backend::{OnDisk, Overlay, Seal};
use super::rows::{self, Found};
use crate::storage::directory::fault::Fault;
use crate::storage::directory::guard::guarded;
use crate::storage::{Disk, Visitor};

/// redb's handle, and what keeps it from writing when it is dropped. Dropped without [`Open::close`], it
/// leaves the file as a crash would.
pub(super) struct Open {
    db: Option<Database>,
    seal: Seal,
}

impl Open {
    /// Opens the file in `dir`, which is repaired where a crash has left it open. Where there is no file,
    /// one is created.
    pub(super) fn begin(dir: &Path, cache_bytes: usize, disk: &Arc<dyn Disk>) -> Result<Open, Fault> {
        let path = dir.join(FILE);
        let file = File::options().read(true).write(true).create(true).truncate(false).open(&path)?;
        let seal = Seal::default();
        let db = open(OnDisk::new(path, file, Arc::clone(disk), seal.clone()), cache_bytes)?;
        Ok(Open { db: Some(db), seal })
    }

    /// redb's handle.
    pub(super) fn db(&self) -> &Database {
        self.db.as_ref().expect("only letting go of it takes it out")
    }

    /// Lets redb write what spares the next open the repair. Where it cannot, the next open repairs.
    pub(super) fn close(mut self) {
        drop_quietly(self.db.take());
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.seal.close();
        drop_quietly(self.db.take());
    }
}

/// Reads the file in `dir` to its end and checks it, with every check that redb has, without changing it.
/// redb repairs a file when it opens it, so what it writes here is kept in memory and forgotten.
pub(super) fn check(dir: &Path, cache_bytes: usize, visit: &mut Visitor<'_>) -> Result<Found, Fault> {
    let file = match File::open(dir.join(FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Fault::Damaged("the file of its generation is missing".to_owned()));
        }
        other => other?,
    };
    let mut db = open(Overlay::new(file)?, cache_bytes)?;
    let found = guarded(|| {
        let found = rows::read_all(&db, visit)?;
        if db.check_integrity().map_err(fault_from)? {
            Ok(found)
        } else {
            Err(Fault::Damaged("its pages do not fit together".to_owned()))
        }
    });
    drop_quietly(Some(db));
    found
}

/// Sorts redb's errors: what the operating system said is no damage; what redb found in the bytes is.
pub(super) fn fault_from(error: impl Into<redb::Error>) -> Fault {
    match error.into() {
        redb::Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Fault::Damaged("reading it ends early".to_owned())
        }
        redb::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
            Fault::Damaged(format!("it is not a file of this engine: {error}"))
        }
        redb::Error::Io(error) => Fault::Io(error),
        other @ (redb::Error::PreviousIo | redb::Error::DatabaseClosed) => {
            Fault::Io(io::Error::other(other.to_string()))
        }
        other => Fault::Damaged(other.to_string()),
    }
}

fn open(backend: impl StorageBackend, cache_bytes: usize) -> Result<Database, Fault> {
    guarded(|| {
        redb::Builder::new().set_cache_size(cache_bytes).create_with_backend(backend).map_err(fault_from)
    })
}

fn drop_quietly(db: Option<Database>) {
    // What a drop finds out, the next open finds out too.
    let _dropped = guarded(|| {
        drop(db);
        Ok(())
    });
}
