//! Reads the rule directory. In: its path. Out: every `*.toml` of it, in name order, rules and their tests
//! (`*.test.toml`) apart: a test can never change what is in force.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::task::JoinHandle;

use super::LoadError;
use crate::policy::rules::RuleFile;

/// Why the rule files cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// The directory or a file of it.
    #[error("could not read rules from {}: {source} (`rules` names a directory of .toml files)", .path.display())]
    Read {
        /// What was read.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file whose text is not UTF-8.
    #[error("{} is not UTF-8: byte {byte} of line {line} (0x{found:02x}) belongs to no character", .path.display())]
    Encoding {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Byte within the line, from 1.
        byte: usize,
        /// Its value.
        found: u8,
    },
    /// A name that only looks like one of a rule file: leaving it out unsaid would leave rules out.
    #[error("the name of {} does not end in .toml in lower case (rename it, or remove it)", .path.display())]
    Name {
        /// The file.
        path: PathBuf,
    },
    /// A file without content: half-written, or cut off on a full disk. Taking it for "no rules" would open columns.
    #[error("the rule file {} is empty (remove it if that is meant)", .path.display())]
    Blank {
        /// The file.
        path: PathBuf,
    },
    /// A directory without rules.
    #[error("no .toml file in the rules directory {}", .path.display())]
    Empty {
        /// The directory.
        path: PathBuf,
    },
}

/// How the name of a file with tests of rules ends.
pub const TEST_SUFFIX: &str = ".test.toml";

/// All `*.toml` files directly in `directory`, sorted by name. Hidden files (an editor's) and tests of rules
/// ([`TEST_SUFFIX`]) are left out.
///
/// # Errors
/// See [`FilesError`]; a file that is not UTF-8 is an error of reading.
pub fn read_rule_files(directory: &Path) -> Result<Vec<RuleFile>, FilesError> {
    let files = read(directory, false)?;
    if files.is_empty() { Err(FilesError::Empty { path: directory.to_owned() }) } else { Ok(files) }
}

/// All `*.test.toml` files directly in `directory`, sorted by name; none when there are none.
///
/// # Errors
/// See [`FilesError`].
pub fn read_rule_tests(directory: &Path) -> Result<Vec<RuleFile>, FilesError> {
    read(directory, true)
}

fn read(directory: &Path, tests: bool) -> Result<Vec<RuleFile>, FilesError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| FilesError::Read { path, source }
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed(directory))? {
        let path = entry.map_err(failed(directory))?.path();
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        let wanted = !name.starts_with(b".") && name.ends_with(TEST_SUFFIX.as_bytes()) == tests;
        match path.extension() {
            Some(extension) if wanted && extension == "toml" => paths.push(path),
            Some(extension) if wanted && extension.eq_ignore_ascii_case("toml") => {
                return Err(FilesError::Name { path });
            }
            Some(_) | None => {}
        }
    }
    paths.sort();
    paths
        .iter()
        .map(|path| {
            // Reading a pipe would wait for whoever writes to it.
            if !std::fs::metadata(path).map_err(failed(path))?.is_file() {
                return Err(failed(path)(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")));
            }
            let text = text(path, std::fs::read(path).map_err(failed(path))?)?;
            if text.trim().is_empty() {
                return Err(FilesError::Blank { path: path.clone() });
            }
            Ok(RuleFile { path: Arc::from(path.display().to_string()), text: Arc::from(text) })
        })
        .collect()
}

/// How long one attempt to read the rule files may take.
const LIMIT: Duration = Duration::from_secs(2);

/// Reads the rule files for a task that has more to do: on a disk that does not answer, the catalog must still be watched.
#[derive(Debug, Default)]
pub(super) struct Reading(Option<JoinHandle<Result<Vec<RuleFile>, FilesError>>>);

impl Reading {
    /// As [`read_rule_files`], in at most [`LIMIT`]. A reading that takes longer is waited for again the next time.
    pub async fn files(&mut self, directory: &Path) -> Result<Vec<RuleFile>, LoadError> {
        let failed = |source| LoadError::Files(FilesError::Read { path: directory.to_owned(), source });
        let reading = self.0.get_or_insert_with(|| {
            let directory = directory.to_owned();
            tokio::task::spawn_blocking(move || read_rule_files(&directory))
        });
        let read = match tokio::time::timeout(LIMIT, reading).await {
            Ok(Ok(read)) => read.map_err(LoadError::from),
            Ok(Err(error)) => Err(failed(io::Error::other(error))),
            Err(_) => return Err(failed(io::Error::new(io::ErrorKind::TimedOut, "the file system does not answer"))),
        };
        self.0 = None;
        read
    }
}

fn text(path: &Path, bytes: Vec<u8>) -> Result<String, FilesError> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let (before, rest) = error.as_bytes().split_at(at);
        let start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
        FilesError::Encoding {
            path: path.to_owned(),
            line: memchr::memchr_iter(b'\n', before).count() + 1,
            byte: at - start + 1,
            found: rest.first().copied().unwrap_or_default(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn files_that_do_not_answer_do_not_hold_up_the_rest() {
        let folder = std::env::temp_dir().join(format!("pgscrim-slow-files-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut reading = Reading(Some(tokio::task::spawn_blocking(|| {
            std::thread::sleep(LIMIT + Duration::from_millis(500));
            Ok(vec![RuleFile { path: "late.toml".into(), text: "x".into() }])
        })));
        let error = reading.files(&folder).await.unwrap_err().to_string();
        assert!(error.contains("does not answer"), "{error}");
        assert_eq!(reading.files(&folder).await.unwrap()[0].path.as_ref(), "late.toml");
        assert!(reading.files(&folder).await.unwrap_err().to_string().contains("no .toml file"));
        std::fs::remove_dir(&folder).unwrap();
    }

    #[test]
    fn a_pipe_is_refused_and_not_waited_for() {
        let folder = std::env::temp_dir().join(format!("pgscrim-pipe-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(folder.join("a.toml")).status().unwrap().success());
        let error = read_rule_files(&folder).unwrap_err().to_string();
        assert!(error.contains("a.toml") && error.contains("not a regular file"), "{error}");
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn toml_files_are_read_in_order_and_empty_ones_refused() {
        let folder = std::env::temp_dir().join(format!("pgscrim-rule-files-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        assert!(matches!(read_rule_files(&folder), Err(FilesError::Empty { .. })));
        assert!(read_rule_tests(&folder).unwrap().is_empty());
        for (name, text) in [
            ("20-b.toml", "b = 1"),
            ("10-a.toml", "a = 1"),
            (".hidden.toml", "x"),
            ("a.test", "x"),
            ("10-a.test.toml", "t = 1"),
            (".hidden.test.toml", "x"),
        ] {
            std::fs::write(folder.join(name), text).unwrap();
        }
        let tests = read_rule_tests(&folder).unwrap();
        assert_eq!(tests.iter().map(|file| &*file.text).collect::<Vec<_>>(), ["t = 1"]);
        let rules: Vec<String> = read_rule_files(&folder).unwrap().iter().map(|file| file.text.to_string()).collect();
        assert_eq!(rules, ["a = 1", "b = 1"]);
        std::fs::write(folder.join("15-c.TOML"), "c = 1").unwrap();
        let name = read_rule_files(&folder).unwrap_err().to_string();
        assert!(name.contains("15-c.TOML does not end in .toml"), "{name}");
        std::fs::remove_file(folder.join("15-c.TOML")).unwrap();
        std::fs::write(folder.join("15-c.toml"), b"c = 1\nd = \"H\xE0\"\n").unwrap();
        let encoding = read_rule_files(&folder).unwrap_err().to_string();
        assert!(
            encoding.ends_with("15-c.toml is not UTF-8: byte 7 of line 2 (0xe0) belongs to no character"),
            "{encoding}"
        );
        std::fs::write(folder.join("15-c.toml"), " \n").unwrap();
        assert!(matches!(read_rule_files(&folder), Err(FilesError::Blank { .. })));
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(matches!(read_rule_files(&folder), Err(FilesError::Read { .. })));
    }
}
