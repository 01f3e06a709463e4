//! [`Runtime`]: what a run needs besides program and context: stacks, mode, limits, and a [`Host`] for time,
//! randomness and `bpf_trace_printk`.

use crate::mem::NativeMem;
use crate::region::{RawRegion, RegionAccess};
use crate::trap::Trap;
use crate::{Context, Prog};
use core::fmt;
use skep_maps::Slot;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Tail calls in one run, over all programs (`MAX_TAIL_CALL_CNT`, linux/bpf.h).
pub const MAX_TAIL_CALL_CNT: u32 = 33;

/// Bytes of stack in each frame (`MAX_BPF_STACK`).
pub(crate) const FRAME_SIZE: usize = 512;

/// Frames of one program (`MAX_CALL_FRAMES`, linux/bpf_verifier.h).
pub(crate) const MAX_FRAMES: u32 = 8;

/// Whether accesses are checked at run time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Verified programs run on real addresses without checks.
    Trusted,
    /// Every access of the program and every memory argument of a helper is checked.
    Checked,
}

/// Bounds of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Instructions that a checked run may execute.
    pub checked_insns: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        // Above what any verified program without bpf_loop executes (a million states simulated).
        Limits { checked_insns: 1 << 32 }
    }
}

/// Clocks that helpers read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Clock {
    /// `CLOCK_MONOTONIC`.
    Monotonic,
    /// `CLOCK_MONOTONIC_COARSE`.
    MonotonicCoarse,
    /// `CLOCK_BOOTTIME`.
    Boottime,
    /// `CLOCK_TAI`.
    Tai,
}

/// Where a run's time and randomness come from and its `bpf_trace_printk` text goes to.
pub trait Host {
    /// Time of a clock, in nanoseconds.
    fn clock_ns(&mut self, clock: Clock) -> u64;
    /// A random number.
    fn random(&mut self) -> u32;
    /// One message of `bpf_trace_printk` or `bpf_trace_vprintk`, as formatted: a newline at its end is the
    /// program's own.
    fn printk(&mut self, text: &[u8]);
}

/// A [`Host`] whose answers are the same in each run: for tests.
#[derive(Clone, Debug, Default)]
pub struct FixedHost {
    /// What each clock says next, in nanoseconds; each reading adds 1,000.
    pub now_ns: u64,
    /// State of the random sequence.
    pub seed: u64,
    /// Messages so far.
    pub printed: Vec<Vec<u8>>,
}

impl Host for FixedHost {
    fn clock_ns(&mut self, _clock: Clock) -> u64 {
        let now = self.now_ns;
        self.now_ns = now.wrapping_add(1_000);
        now
    }

    fn random(&mut self) -> u32 {
        splitmix(&mut self.seed) as u32
    }

    fn printk(&mut self, text: &[u8]) {
        self.printed.push(text.to_vec());
    }
}

/// The machine's clocks, a random sequence with a random start, and a sink for messages.
pub struct SystemHost<F> {
    seed: u64,
    sink: F,
}

impl<F: FnMut(&[u8])> SystemHost<F> {
    /// `sink` gets each message.
    pub fn new(sink: F) -> SystemHost<F> {
        use std::hash::{BuildHasher, Hasher};
        // The standard library's only portable source of randomness.
        let seed = std::hash::RandomState::new().build_hasher().finish();
        SystemHost { seed, sink }
    }
}

impl<F> fmt::Debug for SystemHost<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SystemHost").finish_non_exhaustive()
    }
}

impl<F: FnMut(&[u8])> Host for SystemHost<F> {
    fn clock_ns(&mut self, clock: Clock) -> u64 {
        read_clock(clock).as_nanos() as u64
    }

    fn random(&mut self) -> u32 {
        (splitmix(&mut self.seed) >> 16) as u32
    }

    fn printk(&mut self, text: &[u8]) {
        (self.sink)(text);
    }
}

#[cfg(all(target_os = "linux", not(miri)))]
fn read_clock(clock: Clock) -> Duration {
    let id = match clock {
        Clock::Monotonic => libc::CLOCK_MONOTONIC,
        Clock::MonotonicCoarse => libc::CLOCK_MONOTONIC_COARSE,
        Clock::Boottime => libc::CLOCK_BOOTTIME,
        Clock::Tai => libc::CLOCK_TAI,
    };
    let mut ts = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `ts` is a valid place for the result.
    if unsafe { libc::clock_gettime(id, &mut ts) } != 0 {
        return since_epoch();
    }
    Duration::new(ts.tv_sec as u64, ts.tv_nsec as u32)
}

#[cfg(not(all(target_os = "linux", not(miri))))]
fn read_clock(_clock: Clock) -> Duration {
    since_epoch()
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// SplitMix64 (Steele, Lea, Flood 2014): the next number of the sequence.
fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// One thread's means to run programs; reusable, run after run.
pub struct Runtime<'h> {
    pub(crate) host: &'h mut (dyn Host + 'h),
    pub(crate) state: RunState,
}

impl fmt::Debug for Runtime<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").field("mode", &self.state.mode).finish_non_exhaustive()
    }
}

impl<'h> Runtime<'h> {
    /// A runtime on CPU `slot`, with default limits.
    pub fn new(host: &'h mut (dyn Host + 'h), slot: Slot, mode: Mode) -> Runtime<'h> {
        Runtime { host, state: RunState::new(slot, mode) }
    }

    /// Sets the limits of the runs to come.
    pub fn set_limits(&mut self, limits: Limits) {
        self.state.limits = limits;
    }
}

/// The part of a [`Runtime`] that does not depend on its host's lifetime.
pub(crate) struct RunState {
    pub(crate) slot: Slot,
    pub(crate) mode: Mode,
    pub(crate) limits: Limits,
    /// Stack frames, [`MAX_FRAMES`] a chunk. Tail calls from subprograms can stack up more than one program's
    /// frames, so chunks are added when needed and kept.
    stacks: Vec<NativeMem>,
    /// Frames in use.
    pub(crate) depth: u32,
    pub(crate) tail_calls: u32,
    pub(crate) insns_left: u64,
    /// Whether accesses of this run are checked.
    pub(crate) checked: bool,
    /// What the context says the program may touch; current while `checked`.
    pub(crate) regions: Vec<RawRegion>,
    /// Memory lent to running callbacks, such as a map element's key.
    pub(crate) lent: Vec<RawRegion>,
    /// Set by a helper that wants the run stopped.
    pub(crate) stop: Option<Trap>,
    /// Set by a helper that replaces the running program.
    pub(crate) tail: Option<Arc<Prog>>,
}

impl RunState {
    fn new(slot: Slot, mode: Mode) -> RunState {
        RunState {
            slot,
            mode,
            limits: Limits::default(),
            stacks: Vec::new(),
            depth: 0,
            tail_calls: 0,
            insns_left: 0,
            checked: false,
            regions: Vec::new(),
            lent: Vec::new(),
            stop: None,
            tail: None,
        }
    }

    /// Gets ready for a run.
    pub(crate) fn start(&mut self) {
        self.depth = 0;
        self.tail_calls = 0;
        self.insns_left = self.limits.checked_insns;
        self.checked = self.mode == Mode::Checked;
        self.lent.clear();
        self.stop = None;
        self.tail = None;
    }

    /// Takes the next frame; answers the address just above it, R10's value. `None` if the program, or the ones
    /// that tail calls put in its place, have all frames that they may have.
    pub(crate) fn push_frame(&mut self) -> Option<u64> {
        if self.depth >= MAX_FRAMES * (1 + self.tail_calls) {
            return None;
        }
        let chunk = (self.depth / MAX_FRAMES) as usize;
        if chunk == self.stacks.len() {
            self.stacks.push(NativeMem::zeroed(FRAME_SIZE * MAX_FRAMES as usize));
        }
        self.depth += 1;
        Some(self.frame_top())
    }

    /// R10 of the innermost frame.
    pub(crate) fn frame_top(&self) -> u64 {
        let Some(inner) = self.depth.checked_sub(1) else { return 0 };
        let base = self.stacks[(inner / MAX_FRAMES) as usize].addr();
        base + (u64::from(inner % MAX_FRAMES) + 1) * FRAME_SIZE as u64
    }

    /// Whether `len` bytes at `addr` lie in frames that are in use.
    pub(crate) fn on_stack(&self, addr: u64, len: usize) -> bool {
        let mut frames = self.depth;
        for chunk in &self.stacks {
            let used = frames.min(MAX_FRAMES);
            let region = RawRegion {
                addr: chunk.addr(),
                len: used as usize * FRAME_SIZE,
                access: RegionAccess::ReadWrite,
            };
            if region.contains(addr, len) {
                return true;
            }
            frames -= used;
        }
        false
    }

    /// Asks the context again what may be touched.
    pub(crate) fn refresh_regions(&mut self, ctx: &dyn Context) {
        let mut regions = Vec::new();
        ctx.regions(&mut regions);
        self.regions.clear();
        self.regions.extend(regions.iter().map(|r| r.raw()));
    }
}
