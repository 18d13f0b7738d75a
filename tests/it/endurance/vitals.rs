//! The process from outside: its memory as it goes, and what it has open.

use std::fs;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::gateway::LIMIT;

/// How often its memory is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// For so long the allocator keeps what was freed (jemalloc's `dirty_decay_ms`), and so gathers until then.
const WARM_UP: Duration = Duration::from_secs(10);

/// The memory of a process over a time, in KiB.
#[derive(Debug)]
pub(super) struct Memory {
    /// The most in the first half, without the warm-up.
    pub(super) first_half: u64,
    /// The most in the second half.
    pub(super) second_half: u64,
    /// The most ever.
    pub(super) peak: u64,
}

/// What a process has open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Open {
    pub(super) files: usize,
    pub(super) sockets: usize,
}

/// Looks at the memory of a process for so long, and compares the halves of what comes after the warm-up.
pub(super) async fn watch_memory(process: u32, length: Duration) -> Memory {
    let begun = Instant::now();
    let middle = WARM_UP + (length - WARM_UP) / 2;
    let mut memory = Memory { first_half: 0, second_half: 0, peak: 0 };
    while begun.elapsed() < length {
        let resident = status(process, "VmRSS:");
        if begun.elapsed() > middle {
            memory.second_half = memory.second_half.max(resident);
        } else if begun.elapsed() > WARM_UP {
            memory.first_half = memory.first_half.max(resident);
        }
        sleep(LOOK).await;
    }
    Memory { peak: status(process, "VmHWM:"), ..memory }
}

fn status(process: u32, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}

/// The TCP connections of a process: their state and both ends, as `/proc/net/tcp` has them (01 is established, 08 closed
/// by the other side alone).
pub(super) fn connections(process: u32) -> Vec<String> {
    let files = fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    let leads = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
    let sockets: Vec<_> = leads.map(|lead| lead.to_string_lossy().into_owned()).collect();
    let table = fs::read_to_string(format!("/proc/{process}/net/tcp")).unwrap();
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let own = rows.filter(|row| row.get(9).is_some_and(|inode| sockets.contains(&format!("socket:[{inode}]"))));
    own.map(|row| format!("{} {} to {}", row[3], row[1], row[2])).collect()
}

impl Open {
    /// What is open now.
    pub(super) fn of(process: u32) -> Self {
        let files = fs::read_dir(format!("/proc/{process}/fd")).unwrap();
        // A file that is closed meanwhile leads nowhere.
        let leads = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
        let leads: Vec<_> = leads.map(|lead| lead.to_string_lossy().into_owned()).collect();
        let sockets = leads.iter().filter(|lead| lead.starts_with("socket:")).count();
        Self { files: leads.len(), sockets }
    }

    /// What is open when nothing comes or goes any more.
    pub(super) async fn at_rest(process: u32) -> Self {
        let mut before = Self::of(process);
        loop {
            sleep(LOOK * 4).await;
            let now = Self::of(process);
            if now == before {
                return now;
            }
            before = now;
        }
    }

    /// Waits until no more is open than this; gives what is open then, or still is.
    pub(super) async fn again(self, process: u32) -> Self {
        let begun = Instant::now();
        loop {
            let now = Self::of(process);
            if now == self || begun.elapsed() > LIMIT {
                return now;
            }
            sleep(LOOK).await;
        }
    }
}
