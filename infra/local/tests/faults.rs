//! Jobs' lives under faults: every call times every fault, and seeded runs in which much goes wrong at once.
//!
//! Not libtest's harness: every run gets a process of its own, since the SDKs keep something of a run in the process (how
//! many retries they may still make), and the worker starts this very binary for its pixels. By `cargo test` it makes the
//! gate's runs; `scripts/faults` makes longer ones:
//!
//! ```text
//! faults matrix                      every call of every scenario times every fault
//! faults seeds FROM TO               a run for each seed
//! faults repeats FROM TO             two runs for each, which have to be the same to the byte
//! faults broken FROM TO              runs without conditional writes, until the harness notices
//! faults replay SEED                 one of them, with its history
//! faults show SCENARIO [CALL FAULT]  one run of the matrix, with its history
//! ```

#![expect(clippy::print_stdout, reason = "this is a test's own harness")]

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use local::simulation::{Fault, Outcome, Plan, Run, Scenario};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use tokio::runtime::Builder;

/// A check of the gate: its name, and the runs it makes.
type Check = (&'static str, &'static [&'static str]);

const GATE: [Check; 4] = [
    ("the_same_seed_gives_the_same_history", &["repeats", "1000", "1010"]),
    ("each_kind_of_call_survives_each_fault", &["kinds"]),
    ("200_seeds_keep_every_invariant", &["seeds", "0", "200"]),
    ("writes_without_their_conditions_are_noticed", &["broken", "0", "1000"]),
];

fn main() -> ExitCode {
    if worker::serve_if_studio() {
        return ExitCode::SUCCESS;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["replay" | "show", ..] => {
            let outcome = make(run(&words));
            println!("{}\nfaults: {:?}\nwrong: {:#?}", outcome.history, outcome.met, outcome.wrong);
            if outcome.wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        ["one", ref words @ ..] => {
            tell(&make(run(words)));
            ExitCode::SUCCESS
        }
        ["kinds" | "matrix" | "seeds" | "repeats" | "broken", ..] => {
            let started = Instant::now();
            let ok = check(&words);
            println!("{} in {} s", if ok { "ok" } else { "FAILED" }, started.elapsed().as_secs());
            if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        _ => gate(),
    }
}

/// What the gate checks, in the words of libtest.
fn gate() -> ExitCode {
    let started = Instant::now();
    let (mut passed, mut failed) = (0, 0);
    println!("\nrunning {} tests", GATE.len());
    for (name, what) in GATE {
        let ok = check(what);
        println!("test {name} ... {}", if ok { "ok" } else { "FAILED" });
        *(if ok { &mut passed } else { &mut failed }) += 1;
    }
    let (word, seconds) = (if failed == 0 { "ok" } else { "FAILED" }, started.elapsed().as_secs_f64());
    println!(
        "\ntest result: {word}. {passed} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out; finished in \
         {seconds:.2}s\n"
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The run that somebody names.
fn run(words: &[&str]) -> Run {
    match *words {
        ["replay", seed] => Run::rough(number(seed)),
        ["broken", seed] => Run { conditions: false, ..Run::rough(number(seed)) },
        ["show", scenario] => Run::of(named(Scenario::ENUMERATED, scenario), Plan::Nothing),
        ["show", scenario, call, fault] => {
            let plan = Plan::One(number(call) as u32, named(Fault::ALL, fault));
            Run::of(named(Scenario::ENUMERATED, scenario), plan)
        }
        _ => panic!("{words:?} is no run"),
    }
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or_else(|_| panic!("{text} is no number"))
}

fn named<T: std::fmt::Debug + Copy, const N: usize>(all: [T; N], name: &str) -> T {
    let named = all.into_iter().find(|one| format!("{one:?}") == name);
    named.unwrap_or_else(|| panic!("{name} is none of {all:?}"))
}

fn make(run: Run) -> Outcome {
    let model = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/model"));
    let real = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let paused = Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
    paused.block_on(run.make(model, real.handle()))
}

/// Prints what came of a run, for [`Told`].
fn tell(outcome: &Outcome) {
    for call in &outcome.calls {
        println!("call\t{call}");
    }
    for (fault, count) in &outcome.met {
        println!("met\t{fault:?}\t{count}");
    }
    for wrong in &outcome.wrong {
        println!("wrong\t{wrong}");
    }
    let mut hasher = DefaultHasher::new();
    outcome.history.hash(&mut hasher);
    println!("history\t{:016x}", hasher.finish());
}

/// What a run in a process of its own told.
#[derive(Default)]
struct Told {
    calls: Vec<String>,
    met: BTreeMap<String, u64>,
    wrong: Vec<String>,
    history: String,
}

/// Makes a run in a process of its own.
fn one(words: &[String]) -> Told {
    let program = std::env::current_exe().expect("this program's path");
    let output = Command::new(program).arg("one").args(words).output().expect("this program starts once more");
    let mut told = Told::default();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        match line.split('\t').collect::<Vec<_>>()[..] {
            ["call", call] => told.calls.push(call.to_owned()),
            ["met", fault, count] => drop(told.met.insert(fault.to_owned(), number(count))),
            ["history", hash] => hash.clone_into(&mut told.history),
            _ => told.wrong.push(line.trim_start_matches("wrong\t").to_owned()),
        }
    }
    if !output.status.success() {
        told.wrong.push(format!("it did not come to its end: {}", String::from_utf8_lossy(&output.stderr)));
    }
    told
}

/// Makes the runs of a check, as many at once as there are cores, prints those that went wrong, and says whether all is
/// well.
fn check(what: &[&str]) -> bool {
    let runs = runs(what);
    let (next, enough) = (AtomicUsize::new(0), AtomicBool::new(false));
    let sums = Mutex::new(BTreeMap::<String, u64>::new());
    let failures = AtomicUsize::new(0);
    let cores = sched_getaffinity(None).expect("one may ask for one's cores");
    let cores: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|core| cores.is_set(*core)).collect();
    let work = |core: usize| {
        // What this thread starts stays on its core too, so that the worker sees one, and does its work in one order.
        let mut own = CpuSet::new();
        own.set(core);
        sched_setaffinity(None, &own).expect("one may choose among one's cores");
        while let Some(words) = runs.get(next.fetch_add(1, Ordering::Relaxed))
            && !enough.load(Ordering::Relaxed)
        {
            let mut told = one(words);
            if what[0] == "repeats" && one(words).history != told.history {
                told.wrong.push("another history at the second time".to_owned());
            }
            if !told.wrong.is_empty() {
                println!("{}: {}", words.join(" "), told.wrong.join("; "));
                failures.fetch_add(1, Ordering::Relaxed);
                enough.store(what[0] == "broken", Ordering::Relaxed);
            }
            let mut sums = sums.lock().unwrap_or_else(PoisonError::into_inner);
            *sums.entry("runs".to_owned()).or_default() += 1;
            *sums.entry("calls".to_owned()).or_default() += told.calls.len() as u64;
            *sums.entry("faults".to_owned()).or_default() += told.met.values().sum::<u64>();
            for (fault, count) in told.met {
                *sums.entry(fault).or_default() += count;
            }
        }
    };
    thread::scope(|scope| {
        for core in cores {
            scope.spawn(move || work(core));
        }
    });
    println!("{}: {:?}", what.join(" "), sums.into_inner().unwrap_or_else(PoisonError::into_inner));
    // What is broken on purpose has to be noticed, once at least.
    (failures.into_inner() > 0) == (what[0] == "broken")
}

/// The runs that a check is made of.
fn runs(what: &[&str]) -> Vec<Vec<String>> {
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    match *what {
        ["seeds" | "repeats", from, to] => {
            (number(from)..number(to)).map(|seed| words(&["replay", &seed.to_string()])).collect()
        }
        ["broken", from, to] => (number(from)..number(to)).map(|seed| words(&["broken", &seed.to_string()])).collect(),
        [which @ ("kinds" | "matrix")] => {
            let mut runs = Vec::new();
            for scenario in Scenario::ENUMERATED.map(|scenario| format!("{scenario:?}")) {
                let mut kinds = HashSet::new();
                for (number, call) in one(&words(&["show", &scenario])).calls.into_iter().enumerate() {
                    // Of calls of one kind, the first stands for all.
                    if which == "kinds" && !kinds.insert(call.clone()) {
                        continue;
                    }
                    let operation = call.split(' ').nth(1).unwrap_or_default();
                    let faults = Fault::ALL.into_iter().filter(|fault| fault.fits(operation));
                    runs.extend(
                        faults.map(|fault| words(&["show", &scenario, &number.to_string(), &format!("{fault:?}")])),
                    );
                }
            }
            runs
        }
        _ => panic!("{what:?} is no kind of runs"),
    }
}
