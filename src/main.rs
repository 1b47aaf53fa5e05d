//! The server binary: everything is in the library, so that tests can hold it.

use std::process::ExitCode;

fn main() -> ExitCode {
    hubbub::cli::main()
}
