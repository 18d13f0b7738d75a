//! Entra, which is down again and again.

use std::time::Duration;

use azure_emulator::{Emulator, Fault, Plane};
use tokio::time::{Instant, sleep};

use super::dice::Dice;

/// How long one lasts: less than what is left of a token when it is to be refreshed.
pub(super) const OUTAGE: Duration = Duration::from_secs(4);

/// How far apart they are, at least and at most, in milliseconds.
const APART: (u64, u64) = (6_000, 9_000);

/// What Entra may do meanwhile: refuse in each of its ways, break off, or answer late.
const WAYS: [&str; 7] = ["503", "500", "429", "html", "reset", "close", "slow"];

/// Lets Entra be down for the whole of this time, now and then; tells how often.
pub(super) async fn go_on(emulator: &Emulator, length: Duration, mut dice: Dice) -> usize {
    let end = Instant::now() + length;
    let mut outages = 0;
    loop {
        let (least, most) = APART;
        sleep(Duration::from_millis(least + dice.below(most - least))).await;
        if Instant::now() + OUTAGE > end {
            return outages;
        }
        let fault = match WAYS[dice.index(WAYS.len())] {
            "slow" => Fault::slow(u64::try_from(OUTAGE.as_millis()).unwrap() - 500),
            "429" => Fault::named("429").retry_after(3600),
            name => Fault::named(name),
        };
        emulator.next(Plane::Entra, fault, u32::MAX).unwrap();
        sleep(OUTAGE).await;
        emulator.clear_faults_of(Plane::Entra);
        outages += 1;
    }
}
