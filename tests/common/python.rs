//! The Python clients of the tests live in a virtual environment that `make test` makes.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::{proxy::fixture, run, text};

/// The interpreter with the packages of `tests/requirements.txt`.
pub fn interpreter() -> PathBuf {
    let path = std::env::var_os("PGSCRIM_TEST_PYTHON")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-venv/bin/python"), PathBuf::from);
    assert!(
        path.exists(),
        "{} does not exist: `make test` (or `make test-venv`) makes it from tests/requirements.txt; \
         or set PGSCRIM_TEST_PYTHON to a Python that has those packages",
        path.display()
    );
    path
}

/// Runs `tests/python/<script>` ; panics with its output when it fails.
pub fn script(name: &str, arguments: &[&str], environment: &[(&str, String)]) -> String {
    let mut command = Command::new(interpreter());
    command.arg("-X").arg("utf8").arg(fixture("python").join(name)).args(arguments);
    command.env("PYTHONDONTWRITEBYTECODE", "1").env("PGSSLMODE", "disable").env("PGGSSENCMODE", "disable");
    for (key, value) in environment {
        command.env(key, value);
    }
    text(&run(&mut command).stdout)
}
