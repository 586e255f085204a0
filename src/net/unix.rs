//! Unix sockets to listen on: their files, how they come about and how they go.
//!
//! Invariants: a socket is never seen under its name before it has its mode and listens; a file that somebody else
//! uses, or that is no socket, is not touched.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// The file of a socket that we have made; it goes when this is dropped, if it is still ours.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl SocketFile {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_ours = |found: fs::Metadata| (found.dev(), found.ino()) == (self.device, self.inode);
        if fs::symlink_metadata(&self.path).is_ok_and(is_ours)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove the unix socket");
        }
    }
}

/// Listens on a path. The file gets this mode; one that a process has left behind is replaced.
pub(super) fn bind(path: &Path, mode: u32) -> io::Result<(UnixListener, SocketFile)> {
    make_way(path)?;
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = PathBuf::from(temporary);
    remove_left_behind(&temporary)?;
    let listener = UnixListener::bind(&temporary)?;
    let metadata = fs::symlink_metadata(&temporary)?;
    // From here on the file goes again if anything fails.
    let mut file = SocketFile { path: temporary, device: metadata.dev(), inode: metadata.ino() };
    fs::set_permissions(&file.path, fs::Permissions::from_mode(mode))?;
    fs::rename(&file.path, path)?;
    path.clone_into(&mut file.path);
    listener.set_nonblocking(true)?;
    Ok((listener, file))
}

/// Makes sure that nobody uses the path; it may then be replaced.
fn make_way(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => Err(io::Error::new(
            ErrorKind::AlreadyExists,
            "there is a file of that name that is not a socket; remove it, or choose another path",
        )),
        Ok(_) => match UnixStream::connect(path) {
            Ok(_) => Err(ErrorKind::AddrInUse.into()),
            // Nobody listens any more.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
            Err(error) => Err(error),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Removes what a process has left that was ended while it made its socket.
fn remove_left_behind(path: &Path) -> io::Result<()> {
    make_way(path)?;
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn a_socket_has_its_mode_and_goes_with_its_listener() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.sock");
        for wanted in [0o600, 0o666] {
            let (listener, file) = bind(&path, wanted).unwrap();
            assert_eq!(mode(&path), wanted);
            UnixStream::connect(&path).unwrap();
            drop((listener, file));
            assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
        }
    }

    #[test]
    fn what_was_left_behind_is_replaced_and_what_is_used_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.sock");
        // Its process is gone, its file is not.
        drop(UnixListener::bind(&path).unwrap());
        drop(UnixListener::bind(directory.path().join("x.sock.new")).unwrap());
        let (listener, file) = bind(&path, 0o660).unwrap();
        assert_eq!(bind(&path, 0o660).unwrap_err().kind(), ErrorKind::AddrInUse);
        UnixStream::connect(&path).expect("it still listens");
        drop(listener);
        // Another process has taken its place in the meantime.
        let (_other, others_file) = bind(&path, 0o660).unwrap();
        drop(file);
        UnixStream::connect(&path).expect("the other's file is not removed");
        drop(others_file);
    }

    #[test]
    fn a_file_that_is_no_socket_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("data");
        fs::write(&path, "precious").unwrap();
        let error = bind(&path, 0o660).unwrap_err();
        assert!(error.to_string().contains("not a socket"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        assert!(bind(&directory.path().join("no/such/directory"), 0o660).is_err());
    }
}
