//! Reads the rule directory. In: its path. Out: every `*.toml` of it, in name order, rules and their tests
//! (`*.test.toml`) apart: a test can never change what is in force.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

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
        if wanted && path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
    }
    paths.sort();
    paths
        .iter()
        .map(|path| {
            let text = std::fs::read_to_string(path).map_err(failed(path))?;
            if text.trim().is_empty() {
                return Err(FilesError::Blank { path: path.clone() });
            }
            Ok(RuleFile { path: Arc::from(path.display().to_string()), text: Arc::from(text) })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{FilesError, read_rule_files, read_rule_tests};

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
        std::fs::write(folder.join("15-c.toml"), " \n").unwrap();
        assert!(matches!(read_rule_files(&folder), Err(FilesError::Blank { .. })));
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(matches!(read_rule_files(&folder), Err(FilesError::Read { .. })));
    }
}
