//! Goes through every state of a model, breadth first, so that what it finds is found by a shortest way.
//!
//! A state is remembered by 64 bits of its hash. Of ten million states two would share one with a probability of about
//! one in 400,000.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use crate::action::Deed;
use crate::state::State;
use crate::world::World;

/// What a search came to.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) states: usize,
    pub(crate) steps: usize,
    /// Steps to the farthest state.
    pub(crate) depth: u32,
    /// States in which nothing will happen any more.
    pub(crate) quiet: usize,
    /// Steps that would have taken more messages than there is room for, and were left out.
    pub(crate) cut: usize,
    pub(crate) time: Duration,
    pub(crate) violation: Option<Violation>,
}

/// A property that does not hold, and the way there.
#[derive(Debug)]
pub(crate) struct Violation {
    pub(crate) property: &'static str,
    pub(crate) trace: Vec<String>,
}

/// Where a state was first reached from.
struct Reached {
    from: u32,
    depth: u32,
    print: u64,
}

/// Looks at every state, unless a property turns out not to hold.
pub(crate) fn explore(world: &mut World) -> Report {
    let began = Instant::now();
    let start = world.start();
    let print = fingerprint(&start);
    let mut numbers = HashMap::from([(print, 0)]);
    let mut reached = vec![Reached { from: 0, depth: 0, print }];
    let mut waiting = VecDeque::from([(0, start)]);
    let (mut back, mut goals) = (Vec::<(u32, u32)>::new(), Vec::new());
    let mut report = Report { states: 0, steps: 0, depth: 0, quiet: 0, cut: 0, time: Duration::ZERO, violation: None };
    let mut found = None;
    'search: while let Some((number, state)) = waiting.pop_front() {
        report.depth = reached[number as usize].depth;
        let mut is_goal = world.is_quiet(&state);
        report.quiet += usize::from(is_goal);
        if is_goal && let Err(property) = world.check_quiet(&state) {
            found = Some((property, number, None));
            break;
        }
        for (action, after, deed) in world.next(&state) {
            report.steps += 1;
            if deed == Deed::OutOfRoom {
                report.cut += 1;
                is_goal = true;
                continue;
            }
            if let Err(property) = world.check_step(&state, action, &after, deed) {
                found = Some((property, number, Some(action)));
                break 'search;
            }
            let next = reached.len() as u32;
            let print = fingerprint(&after);
            let known = *numbers.entry(print).or_insert(next);
            if known == next {
                reached.push(Reached { from: number, depth: report.depth + 1, print });
                waiting.push_back((next, after));
            }
            if !action.is_fault() {
                back.push((known, number));
            }
        }
        if is_goal {
            goals.push(number);
        }
    }
    report.states = reached.len();
    if found.is_none() {
        found = stranded(reached.len(), back, goals)
            .map(|number| ("from every state a quiet one can be reached", number, None));
    }
    report.violation = found.map(|(property, number, last)| {
        let mut trace = trace(world, &reached, number);
        trace.extend(last.map(|action| format!("{action:?}")));
        Violation { property, trace }
    });
    report.time = began.elapsed();
    report
}

/// A state from which no goal can be reached without a fault.
fn stranded(states: usize, mut back: Vec<(u32, u32)>, goals: Vec<u32>) -> Option<u32> {
    back.sort_unstable();
    let mut leads_to_goal = vec![false; states];
    let mut waiting = goals;
    while let Some(number) = waiting.pop() {
        if std::mem::replace(&mut leads_to_goal[number as usize], true) {
            continue;
        }
        let first = back.partition_point(|(to, _)| *to < number);
        waiting.extend(back[first..].iter().take_while(|(to, _)| *to == number).map(|(_, from)| *from));
    }
    leads_to_goal.iter().position(|leads| !leads).map(|number| number as u32)
}

/// What happened on the way to a state, and the row wherever that changed it.
fn trace(world: &mut World, reached: &[Reached], mut number: u32) -> Vec<String> {
    let mut way = Vec::new();
    while number != 0 {
        way.push(reached[number as usize].print);
        number = reached[number as usize].from;
    }
    let mut state = world.start();
    let mut lines = Vec::new();
    for print in way.into_iter().rev() {
        let next = world.next(&state).into_iter().find(|(_, after, _)| fingerprint(after) == print);
        let (action, after, _) = next.expect("the way was found like this");
        lines.push(format!("{action:?}"));
        if after.row.map(|row| row.job) != state.row.map(|row| row.job) {
            lines.extend(world.facts(&after).map(|row| format!("    {row:?}")));
        }
        state = after;
    }
    lines
}

fn fingerprint(state: &State) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}
