//! The binary `darkroom`: wiring only.

use std::process::ExitCode;

fn main() -> ExitCode {
    local::run_from_command_line()
}
