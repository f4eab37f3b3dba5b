//! Jobs' lives under faults: every call times every fault, and seeded runs in which much goes wrong at once.
//!
//! Not libtest's harness: a run wants a process whose clock it owns, so each core gets a process of its own, and the
//! worker starts this very binary for its pixels. By `cargo test` it makes the gate's runs; `scripts/faults` makes
//! longer ones:
//!
//! ```text
//! faults matrix             every call of every scenario times every fault
//! faults seeds FROM TO      a run for each seed
//! faults repeats FROM TO    two runs for each, which have to be the same to the byte
//! faults broken FROM TO     the same without conditional writes, until the harness notices
//! faults replay SEED        one of them, with its history
//! faults show SCENARIO [CALL FAULT]
//! ```

#![expect(clippy::print_stdout, reason = "this is a test's own harness")]

use std::collections::{BTreeMap, HashSet};
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::thread::available_parallelism;
use std::time::Instant;

use local::simulation::{Fault, Outcome, Plan, Run, Scenario};
use rustix::thread::{CpuSet, sched_getcpu, sched_setaffinity};
use tokio::runtime::{Builder, Runtime};

/// Makes runs, one after the other.
struct Simulator {
    /// Whose time runs.
    real: Runtime,
}

impl Simulator {
    fn new() -> Self {
        // With one core to the worker, its work is done in one order.
        stay_on_one_core();
        Self { real: Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime") }
    }

    fn make(&self, run: Run) -> Outcome {
        let model = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/model"));
        let paused = Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
        paused.block_on(run.make(model, self.real.handle()))
    }
}

/// Moves this thread, and all that it starts, to the core it is on.
fn stay_on_one_core() {
    let mut core = CpuSet::new();
    core.set(sched_getcpu());
    sched_setaffinity(None, &core).expect("one may choose among one's cores");
}

/// A check of the gate: its name, and what it is about.
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
        ["replay", seed] => show(Run::rough(number(seed))),
        ["show", scenario] => show(Run::of(scenario_of(scenario), Plan::Nothing)),
        ["show", scenario, call, fault] => {
            show(Run::of(scenario_of(scenario), Plan::One(number(call) as u32, fault_of(fault))))
        }
        ["share", index, of, ref what @ ..] => share(number(index), number(of), what),
        ["kinds" | "matrix" | "seeds" | "broken" | "repeats", ..] => report(&words),
        _ => gate(),
    }
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or_else(|_| panic!("{text} is no number"))
}

fn scenario_of(text: &str) -> Scenario {
    let named = Scenario::ENUMERATED.into_iter().find(|scenario| format!("{scenario:?}") == text);
    named.unwrap_or_else(|| panic!("no scenario {text} in {:?}", Scenario::ENUMERATED))
}

fn fault_of(text: &str) -> Fault {
    let named = Fault::ALL.into_iter().find(|fault| format!("{fault:?}") == text);
    named.unwrap_or_else(|| panic!("no fault {text} in {:?}", Fault::ALL))
}

/// Makes one run and prints all of it.
fn show(run: Run) -> ExitCode {
    let outcome = Simulator::new().make(run);
    println!("{}\nfaults: {:?}\nwrong: {:#?}", outcome.history, outcome.met, outcome.wrong);
    if outcome.wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What the gate checks, in the words of libtest.
fn gate() -> ExitCode {
    let started = Instant::now();
    let (mut passed, mut failed) = (0, 0);
    println!("\nrunning {} tests", GATE.len());
    let mut judge = |name: &str, ok: bool| {
        println!("test {name} ... {}", if ok { "ok" } else { "FAILED" });
        *(if ok { &mut passed } else { &mut failed }) += 1;
    };
    for (name, what) in GATE {
        judge(name, in_shares(what).is_ok());
    }
    let (word, seconds) = (if failed == 0 { "ok" } else { "FAILED" }, started.elapsed().as_secs_f64());
    println!(
        "\ntest result: {word}. {passed} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out; finished in {seconds:.2}s\n"
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn report(what: &[&str]) -> ExitCode {
    let started = Instant::now();
    let outcome = in_shares(what);
    println!("{} s", started.elapsed().as_secs());
    if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Has a process for each core make its share of the runs, and adds up what they say.
fn in_shares(what: &[&str]) -> Result<(), ()> {
    let cores = available_parallelism().map_or(1, usize::from);
    let program = std::env::current_exe().expect("this program's path");
    let shares: Vec<_> = (0..cores)
        .map(|index| {
            let mut share = Command::new(&program);
            share.args(["share", &index.to_string(), &cores.to_string()]).args(what).stdout(Stdio::piped());
            share.spawn().expect("this program starts once more")
        })
        .collect();
    let (mut sums, mut failures) = (BTreeMap::<String, u64>::new(), 0);
    for mut share in shares {
        for line in BufReader::new(share.stdout.take().expect("piped")).lines().map_while(Result::ok) {
            match line.split_once('\t') {
                Some(("sum", pair)) => {
                    let (name, count) = pair.split_once(' ').unwrap_or((pair, "0"));
                    *sums.entry(name.to_owned()).or_default() += number(count);
                }
                _ => {
                    failures += 1;
                    println!("{line}");
                }
            }
        }
        if !share.wait().is_ok_and(|status| status.success()) {
            failures += 1;
            println!("a share of the runs did not come to its end");
        }
    }
    println!("{}: {sums:?}", what.join(" "));
    // What is broken on purpose has to be noticed, once at least.
    let broken = what[0] == "broken";
    if broken == (failures > 0) { Ok(()) } else { Err(()) }
}

/// Makes every `of`-th run, and prints a line for each that went wrong and for each sum.
fn share(index: u64, of: u64, what: &[&str]) -> ExitCode {
    let simulator = Simulator::new();
    let mut sums = BTreeMap::<String, u64>::new();
    let mut note = |name: String, outcome: &Outcome| {
        *sums.entry("runs".to_owned()).or_default() += 1;
        *sums.entry("calls".to_owned()).or_default() += outcome.calls.len() as u64;
        for (fault, count) in &outcome.met {
            *sums.entry(format!("{fault:?}")).or_default() += u64::from(*count);
        }
        if !outcome.wrong.is_empty() {
            println!("{name}: {}", outcome.wrong.join("; "));
        }
        outcome.wrong.is_empty()
    };
    let mine = |number: u64| number % of == index;
    match what {
        ["kinds" | "matrix"] => {
            let mut pair = 0;
            for scenario in Scenario::ENUMERATED {
                let calls = simulator.make(Run::of(scenario, Plan::Nothing)).calls;
                let mut kinds = HashSet::new();
                for (call, kind) in calls.iter().enumerate() {
                    // Of calls of one kind, the first stands for all.
                    if what[0] == "kinds" && !kinds.insert(kind) {
                        continue;
                    }
                    let operation = kind.split(' ').nth(1).unwrap_or_default();
                    for fault in Fault::ALL.into_iter().filter(|fault| fault.fits(operation)) {
                        pair += 1;
                        if mine(pair) {
                            let outcome = simulator.make(Run::of(scenario, Plan::One(call as u32, fault)));
                            note(format!("show {scenario:?} {call} {fault:?} ({kind})"), &outcome);
                        }
                    }
                }
            }
        }
        ["repeats", from, to] => {
            for seed in (number(from)..number(to)).filter(|seed| mine(*seed)) {
                let [first, second] = [(), ()].map(|()| simulator.make(Run::rough(seed)));
                if first.history != second.history {
                    println!("replay {seed}: another history at the second time");
                }
                note(format!("replay {seed}"), &first);
            }
        }
        [which @ ("seeds" | "broken"), from, to] => {
            for seed in (number(from)..number(to)).filter(|seed| mine(*seed)) {
                let outcome = simulator.make(Run { conditions: *which == "seeds", ..Run::rough(seed) });
                if !note(format!("replay {seed}"), &outcome) && *which == "broken" {
                    break;
                }
            }
        }
        _ => panic!("{what:?} is no kind of runs"),
    }
    for (name, count) in sums {
        println!("sum\t{name} {count}");
    }
    ExitCode::SUCCESS
}
