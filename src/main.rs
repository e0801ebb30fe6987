//! The `pgscrim` binary: arguments → [`pgscrim::cli`] → exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    pgscrim::cli::run(std::env::args_os())
}
