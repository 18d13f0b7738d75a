//! The control tasks, as many as there are purposes at the moment.

use std::collections::{HashMap, HashSet};

use tokio::task::{AbortHandle, JoinError, JoinSet};

use super::issuer::{Issue, Issuer};
use super::{Purpose, Tokens, refresh};
use crate::egress::Egress;
use crate::settings::Settings;

/// Whoever fetches tokens. They end when this is dropped.
#[derive(Debug)]
pub struct Keeper {
    tasks: JoinSet<()>,
    /// By the number of the slot that each keeps.
    running: HashMap<u64, AbortHandle>,
    /// The way on which they ask.
    egress: Egress,
}

impl Keeper {
    pub(super) fn new(egress: Egress) -> Self {
        Self { tasks: JoinSet::new(), running: HashMap::new(), egress }
    }

    /// Keeps these tokens, too: tasks begin for those that are new. On another way out all begin anew, and fetch at once.
    pub fn keep(&mut self, tokens: &Tokens, settings: &Settings, egress: &Egress) {
        if !self.egress.is_same(egress) {
            self.egress = egress.clone();
            self.running.drain().for_each(|(_, task)| task.abort());
        }
        let clock = tokens.clock.clone();
        self.keep_from(tokens, |purpose| {
            let identity = settings.identity(&purpose.identity)?;
            Some(Issuer::new(identity.kind.clone(), egress, clock.clone()))
        });
    }

    pub(super) fn keep_from<I: Issue>(&mut self, tokens: &Tokens, issuer: impl Fn(&Purpose) -> Option<I>) {
        for slot in tokens.each_slot() {
            if self.running.contains_key(&slot.number) {
                continue;
            }
            let Some(issuer) = issuer(&slot.purpose) else { continue };
            let task = refresh::keep(slot.clone(), tokens.cache.clone(), issuer, tokens.clock.clone());
            self.running.insert(slot.number, self.tasks.spawn(task));
        }
    }

    /// Keeps no others than these from now on, and forgets them.
    pub fn retire(&mut self, tokens: &Tokens) {
        let needed: HashSet<_> = tokens.each_slot().map(|slot| slot.number).collect();
        self.running.retain(|number, task| {
            let is_needed = needed.contains(number);
            if !is_needed {
                task.abort();
            }
            is_needed
        });
        // Not only those of the tasks that ran: on another way out all have just begun anew.
        for (number, _) in tokens.cache.iter().filter(|(number, _)| !needed.contains(number)) {
            tokens.cache.invalidate(&*number);
        }
    }

    /// Has a task end that nobody had told to.
    #[cfg(test)]
    pub(crate) fn lose_one(&mut self) {
        self.tasks.spawn(async {});
    }

    /// Waits until a task has ended that nobody had told to: something is broken beyond repair then.
    pub async fn broken(&mut self) {
        loop {
            match self.tasks.join_next().await {
                Some(ended) if !ended.as_ref().is_err_and(JoinError::is_cancelled) => return,
                Some(_) => {}
                None => std::future::pending().await,
            }
        }
    }
}
