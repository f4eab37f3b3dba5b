//! The binary `darkroom`: wiring only.

use std::process::ExitCode;

fn main() -> ExitCode {
    if worker::serve_if_studio() {
        return ExitCode::SUCCESS;
    }
    worker::restart_with_few_arenas(&shared::config::Vars::from_env());
    local::run_from_command_line()
}
