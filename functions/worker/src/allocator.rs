//! Keeps the C library's allocator from holding on to memory that was freed.
//!
//! glibc gives every few threads an arena, eight a core, and keeps what was freed in each for the threads that use it: after
//! some hundred photos an idle worker held several times the memory that it needs. It listens to its environment alone, and
//! to that only when a process starts. Elsewhere the variables mean nothing.

use std::os::unix::process::CommandExt;
use std::process::Command;

use shared::config::Vars;

/// Variable that says how many arenas there are.
pub(crate) const ARENAS: &str = "MALLOC_ARENA_MAX";

/// Starts this executable in this process's place, with the same arguments and two arenas.
///
/// Returns if this process was started like that, or by somebody who wants a number of arenas of their own. Every
/// executable that makes a [`Worker`](crate::Worker) calls it before it does anything that it would not want to do twice.
pub fn restart_with_few_arenas(vars: &Vars) {
    if !cfg!(target_env = "gnu") || vars.optional(ARENAS).is_some() {
        return;
    }
    let mut arguments = std::env::args_os();
    // Under the name that it is known by to who looks for it: Linux would call `/proc/self/exe` just that.
    if let (Ok(program), Some(name)) = (std::env::current_exe(), arguments.next()) {
        // OK to ignore, and to go on as this process: it needs more memory, and works as well.
        let _ = Command::new(program).arg0(name).args(arguments).env(ARENAS, "2").exec();
    }
}
