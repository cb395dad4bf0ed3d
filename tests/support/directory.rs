//! A directory that is gone after the test.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Under the system's temporary directory, open to every user.
pub struct Directory(PathBuf);

impl Directory {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "firstmate-test-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).expect("a new directory");
        fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("it is ours");
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A file in it, executable.
    ///
    /// Another process writes it: while this one had it open, a process that another test forks
    /// would hold it too for a moment, and nobody could execute it (ETXTBSY).
    pub fn file(&self, name: impl AsRef<OsStr>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name.as_ref());
        let mut shell = Command::new("sh");
        shell.args(["-c", "cat > \"$0\" && chmod 755 \"$0\""]).arg(&path).stdin(Stdio::piped());
        let mut shell = shell.spawn().expect("a shell");
        shell.stdin.take().expect("a pipe").write_all(content.as_ref()).expect("cat reads it all");
        assert!(shell.wait().expect("wait").success());
        path
    }

    /// A copy of an executable in it.
    pub fn copy(&self, program: &Path, name: impl AsRef<OsStr>) -> PathBuf {
        let path = self.0.join(name.as_ref());
        assert!(Command::new("cp").arg(program).arg(&path).status().expect("cp").success());
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
