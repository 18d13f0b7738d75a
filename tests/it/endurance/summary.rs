//! What was done and what came of it, in a table.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Course;
use super::caller::Front;
use super::ledger::{Balance, Fate, Ledger};
use super::reloads::Done;
use super::tokens::Calls;
use super::vitals::{Memory, Open};

/// A run that has ended.
pub(super) struct Summary {
    pub(super) seed: u64,
    pub(super) course: Course,
    pub(super) ledger: Ledger,
    pub(super) balance: Balance,
    pub(super) outages: usize,
    pub(super) changes: Done,
    pub(super) calls: BTreeMap<String, Calls>,
    pub(super) memory: Memory,
    pub(super) open: (Open, Open),
}

/// What becomes of requests, in the order of the columns.
const FATES: [Fate; 7] =
    [Fate::Served, Fate::ServedAgain, Fate::Refused, Fate::Left, Fate::BrokenOff, Fate::Lost, Fate::Stopped];

impl Summary {
    #[expect(clippy::print_stdout, reason = "`make soak` is run for it")]
    pub(super) fn print(&self) {
        let Self { seed, course, ledger, changes, memory, open, .. } = self;
        println!("\n{} s, seed {seed}, {:?}", course.length.as_secs(), course.crowd);
        print_fates(ledger, &self.balance);
        let changed: Vec<_> = changes.changes.iter().map(|(change, times)| format!("{change:?} {times}")).collect();
        let count: usize = changes.changes.values().sum();
        println!("{count} changes, the slowest in effect after {:?}: {}", changes.slowest, changed.join(", "));
        println!("{} outages of Entra", self.outages);
        for (purpose, calls) in &self.calls {
            let Calls { fetched, failed, first, refreshed, tried_again, asked, expected, .. } = calls;
            println!("tokens for {purpose}: {fetched} fetched, {failed} failed, expected {expected:?} in all");
            println!(
                "  first {first}, at half of a life {refreshed}, after a failure {tried_again}, for a change {asked}"
            );
        }
        let Memory { first_half, second_half, peak } = memory;
        println!("VmRSS at most {first_half} KiB in the first half, {second_half} KiB in the second; VmHWM {peak} KiB");
        println!("open files and sockets: {:?} at the start, {:?} at the end\n", open.0, open.1);
    }
}

/// Errands down, what became of them across.
#[expect(clippy::print_stdout, reason = "`make soak` is run for it")]
pub(super) fn print_fates(ledger: &Ledger, balance: &Balance) {
    let columns: String = FATES.iter().map(|fate| format!("{:>13}", format!("{fate:?}"))).collect();
    println!("{:<12}{columns}{:>12}{:>12}", "", "median ms", "slowest ms");
    let errands: BTreeSet<_> = ledger.memories.iter().map(|memory| memory.errand).collect();
    for errand in errands {
        let counts = FATES.iter().map(|fate| balance.fates.get(&(errand, *fate)).copied().unwrap_or_default());
        let counts: String = counts.map(|count| format!("{count:>13}")).collect();
        let of_errand = ledger.memories.iter().filter(|memory| memory.errand == errand);
        let mut took: Vec<Duration> = of_errand.map(|memory| memory.took).collect();
        took.sort_unstable();
        let (median, slowest) = (took[took.len() / 2].as_millis(), took[took.len() - 1].as_millis());
        println!("{:<12}{counts}{median:>12}{slowest:>12}", format!("{errand:?}"));
    }
    let mut fronts: BTreeMap<Front, usize> = BTreeMap::new();
    for memory in &ledger.memories {
        *fronts.entry(memory.front).or_default() += 1;
    }
    let arrived = ledger.arrived.len();
    println!(
        "{} requests, {} lines, {arrived} arrivals at Azure; {fronts:?}",
        ledger.memories.len(),
        ledger.lines.len()
    );
}
