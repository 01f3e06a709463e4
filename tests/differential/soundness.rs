//! [`hunt`]: soundness without an oracle. What the verifier accepts runs with every access checked: a trap, a panic or an
//! endless run is a bug of the verifier's, whatever any kernel says.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::skep::{Hunted, SkepJudge};
use crate::generate::{Runs, generate, random_packet};
use crate::random::Rng;

/// Runs of one program at the most: more programs find more than more packets do.
const RUNS_EACH: u64 = 24;

/// How far a hunt has come.
#[derive(Debug, Default)]
pub struct Progress {
    /// Programs that were generated.
    pub programs: AtomicU64,
    /// Programs that were accepted.
    pub accepted: AtomicU64,
    /// Checked runs that ended well.
    pub runs: AtomicU64,
    found: AtomicBool,
}

/// A run that should not have been possible.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trapped {
    /// Seed of the program.
    pub seed: u64,
    /// What happened.
    pub why: String,
}

/// Runs accepted programs of the seeds `first, first + step, …` until all hunts together have made `runs` runs.
///
/// # Errors
/// The first run that trapped, as `Ok(Some(_))`; what is missing to begin, as `Err`.
pub fn hunt(
    first: u64,
    step: u64,
    runs: u64,
    progress: &Progress,
) -> Result<Option<Trapped>, String> {
    let judge = SkepJudge::new()?;
    let mut seed = first;
    while progress.runs.load(Ordering::Relaxed) < runs && !progress.found.load(Ordering::Relaxed) {
        let program = generate(seed);
        progress.programs.fetch_add(1, Ordering::Relaxed);
        if program.runs == Runs::Yes {
            let mut rng = Rng::new(!seed);
            let packets: Vec<Vec<u8>> = (0..RUNS_EACH).map(|_| random_packet(&mut rng)).collect();
            match judge.hunt(&program, &packets) {
                Hunted::Refused => {}
                Hunted::Ran(count) => {
                    progress.accepted.fetch_add(1, Ordering::Relaxed);
                    progress.runs.fetch_add(count, Ordering::Relaxed);
                }
                Hunted::Trapped(why) => {
                    progress.found.store(true, Ordering::Relaxed);
                    return Ok(Some(Trapped { seed, why }));
                }
            }
        }
        seed = seed.wrapping_add(step);
    }
    Ok(None)
}
