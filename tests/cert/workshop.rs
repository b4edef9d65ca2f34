//! A directory to make certificates in, and the programs that do.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// An empty directory in which programs run.
pub(crate) struct Workshop(TempDir);

impl Workshop {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    pub(crate) fn text(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap()
    }

    pub(crate) fn remove(&self, file: &str) {
        // Not every command has made one.
        let _ = fs::remove_file(self.path(file));
        let _ = fs::remove_file(self.path(&file.replace("-key", "")));
    }

    /// The names of the files in a directory.
    pub(crate) fn files(&self, directory: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(directory)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    /// Everything that stands in the files here.
    pub(crate) fn all(&self) -> Vec<(String, Vec<u8>)> {
        let files = self.files(".").into_iter();
        files.map(|file| (file.clone(), fs::read(self.path(&file)).unwrap())).collect()
    }

    /// `corecast cert` with nothing of our environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_corecast"));
        command.env_clear().env("XDG_STATE_HOME", self.0.path().join("state"));
        command.arg("cert").args(arguments).current_dir(self.0.path()).stdin(Stdio::null());
        command
    }

    /// What `corecast cert` says, which must do what it is told.
    pub(crate) fn cert(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{arguments:?}: {complaint}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// How `corecast cert` refuses, in one line.
    pub(crate) fn refused(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.command(arguments).output().unwrap();
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert_eq!(complaint.lines().count(), 1, "{arguments:?}: {complaint}");
        (output.status.code(), complaint)
    }

    /// What a program of others says here, on both its outputs; nothing if there is none.
    pub(crate) fn stranger(&self, program: &str, arguments: &[&str]) -> Option<Said> {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.0.path()).stdin(Stdio::null());
        let Ok(output) = command.output() else {
            assert!(std::env::var_os("CI").is_none(), "there is no {program} to test with");
            eprintln!("SKIPPED: there is no {program} on the path to test certificates with");
            return None;
        };
        let text: [String; 2] =
            [output.stdout, output.stderr].map(|it| String::from_utf8_lossy(&it).into());
        Some(Said { is_well: output.status.success(), text: text.concat() })
    }

    /// What openssl says, which must be content; nothing if there is none.
    pub(crate) fn openssl(&self, arguments: &str) -> Option<String> {
        let arguments: Vec<_> = arguments.split(' ').collect();
        self.stranger("openssl", &arguments).map(Said::well)
    }
}

/// What a program has said.
pub(crate) struct Said {
    is_well: bool,
    text: String,
}

impl Said {
    /// It must have ended well.
    pub(crate) fn well(self) -> String {
        assert!(self.is_well, "{}", self.text);
        self.text
    }
}
