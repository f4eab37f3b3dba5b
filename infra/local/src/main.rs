//! The binary `darkroom`: wiring only.

use std::process::ExitCode;

fn main() -> ExitCode {
    if worker::serve_if_studio() {
        return ExitCode::SUCCESS;
    }
    local::run_from_command_line()
}
