//! `BPF_PROG_TEST_RUN`: runs a program on given input. Facts: net/bpf/test_run.c, kernel/bpf/syscall.c.

use super::program::skb;
use super::{Program, RunError, System};
use crate::packet::{Redirect, Skb, SkbView, XdpBuff, skb_field as sf, xdp_field as xf};
use crate::prog_type::ProgKind;
use skep_abi::Errno;
use skep_maps::slot;
use skep_vm::{Context, MemContext, Mode, Runtime, SystemHost, Trap, TrapKind};
use std::time::Instant;

/// What a test run gets.
#[derive(Clone, Copy, Debug, Default)]
pub struct TestRun<'a> {
    /// Packet from its link header; for XDP with a context, metadata before it. Empty for syscall programs.
    pub data_in: &'a [u8],
    /// Context as user space writes it (`struct __sk_buff`, `struct xdp_md`, any bytes for syscall programs).
    pub ctx_in: Option<&'a [u8]>,
    /// How many runs, on the same packet; 0 counts as 1.
    pub repeat: u32,
}

/// What a test run gives.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TestRunOutput {
    /// The last run's result.
    pub retval: u32,
    /// The packet as the program left it.
    pub data_out: Vec<u8>,
    /// The context as the program left it; empty where none was given.
    pub ctx_out: Vec<u8>,
    /// Mean time of one run.
    pub duration_ns: u32,
    /// Messages of `bpf_trace_printk` and the like.
    pub printed: Vec<Vec<u8>>,
    /// Where the program asked for the packet to be sent, if it did.
    pub redirect: Option<Redirect>,
}

/// Longest packet, in bytes: what the kernel's input page holds.
const MAX_SKB: usize = 4096 - 64 - 320;
/// Link header's length, which socket filters do not see.
const ETH_HLEN: usize = 14;

impl System {
    /// Runs a program on given input, as `BPF_PROG_TEST_RUN` does.
    ///
    /// # Errors
    /// [`RunError`]: input that the kernel refuses too, or a trap.
    pub fn test_run(&self, prog: &Program, run: &TestRun<'_>) -> Result<TestRunOutput, RunError> {
        let mut printed = Vec::new();
        let mut host = SystemHost::new(|text: &[u8]| printed.push(text.to_vec()));
        let guard = slot::acquire();
        let mode = match prog.kind() {
            // Verification allows any offset below the limit, whatever the context's length.
            ProgKind::Syscall => Mode::Checked,
            ProgKind::SocketFilter
            | ProgKind::SchedCls
            | ProgKind::SchedAct
            | ProgKind::Xdp
            | ProgKind::Judged
            | ProgKind::Seccomp => self.mode,
        };
        let mut rt = Runtime::new(&mut host, guard.slot(), mode);
        let mut out = match prog.kind() {
            ProgKind::SocketFilter => run_skb(prog, run, SkbView::Network, &mut rt),
            ProgKind::SchedCls | ProgKind::SchedAct => run_skb(prog, run, SkbView::Link, &mut rt),
            ProgKind::Xdp => run_xdp(prog, run, &mut rt),
            ProgKind::Syscall => run_syscall(prog, run, &mut rt),
            ProgKind::Seccomp => {
                Err(RunError::refused(Errno::ENOTSUPP, "seccomp filters have no test run"))
            }
            ProgKind::Judged => {
                Err(RunError::refused(Errno::ENOTSUPP, "the program needs a kernel to attach to"))
            }
        }?;
        out.printed = printed;
        Ok(out)
    }
}

fn repeat(
    prog: &Program,
    ctx: &mut dyn Context,
    run: &TestRun<'_>,
    rt: &mut Runtime<'_>,
) -> Result<TestRunOutput, RunError> {
    let times = run.repeat.max(1);
    let start = Instant::now();
    let mut retval = 0;
    for _ in 0..times {
        retval = prog.run(ctx, rt)?;
    }
    let mean = start.elapsed() / times;
    let duration_ns = u32::try_from(mean.as_nanos()).unwrap_or(u32::MAX);
    Ok(TestRunOutput { retval, duration_ns, ..TestRunOutput::default() })
}

/// A context of user space at the size of the structure; what is longer must end in zeros.
fn sized_ctx(ctx: &[u8], size: u32) -> Result<Vec<u8>, RunError> {
    let mut ctx = ctx.to_vec();
    if ctx.iter().skip(size as usize).any(|b| *b != 0) {
        return Err(RunError::refused(Errno::E2BIG, "the context has fields that are not known"));
    }
    ctx.resize(size as usize, 0);
    Ok(ctx)
}

fn get(ctx: &[u8], off: u32) -> u32 {
    let at = off as usize;
    ctx.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_ne_bytes)
}

fn get64(ctx: &[u8], off: u32) -> u64 {
    let at = off as usize;
    ctx.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_ne_bytes)
}

fn put(ctx: &mut [u8], off: u32, data: &[u8]) {
    let at = off as usize;
    if let Some(field) = ctx.get_mut(at..at + data.len()) {
        field.copy_from_slice(data);
    }
}

/// Byte ranges of `__sk_buff` that user space may set.
const SETTABLE: &[(u32, u32)] = &[
    (sf::MARK, 4),
    (sf::PRIORITY, 4),
    (sf::INGRESS_IFINDEX, 4),
    (sf::IFINDEX, 4),
    (sf::CB, 20),
    (sf::TSTAMP, 8),
    (sf::WIRE_LEN, 4),
    (sf::GSO_SEGS, 4),
    (sf::GSO_SIZE, 4),
    (sf::HWTSTAMP, 8),
];

fn run_skb(
    prog: &Program,
    run: &TestRun<'_>,
    view: SkbView,
    rt: &mut Runtime<'_>,
) -> Result<TestRunOutput, RunError> {
    if run.data_in.len() > MAX_SKB {
        return Err(RunError::refused(Errno::EINVAL, "the packet is longer than 3,712 bytes"));
    }
    let mut skb = skb(run.data_in, view)?;
    let ctx = run.ctx_in.map(|c| sized_ctx(c, sf::SIZE)).transpose()?;
    if let Some(ctx) = &ctx {
        apply_skb_ctx(&mut skb, ctx)?;
    }
    let mut out = repeat(prog, &mut skb, run, rt)?;
    // The kernel puts a zeroed link header back for programs that do not see it.
    let header = match view {
        SkbView::Network => ETH_HLEN,
        SkbView::Capture | SkbView::Link => 0,
    };
    out.data_out = vec![0; header];
    out.data_out.extend(skb.to_vec());
    out.redirect = skb.redirect();
    if let Some(mut ctx) = ctx {
        for off in [sf::MARK, sf::PRIORITY, sf::INGRESS_IFINDEX, sf::IFINDEX, sf::WIRE_LEN] {
            put(&mut ctx, off, &skb.get(off).to_ne_bytes());
        }
        put(&mut ctx, sf::GSO_SEGS, &skb.get(sf::GSO_SEGS).to_ne_bytes());
        for word in 0..5 {
            let off = sf::CB + word * 4;
            put(&mut ctx, off, &skb.get(off).to_ne_bytes());
        }
        for off in [sf::TSTAMP, sf::HWTSTAMP] {
            put(&mut ctx, off, &skb.get64(off).to_ne_bytes());
        }
        out.ctx_out = ctx;
    }
    Ok(out)
}

fn apply_skb_ctx(skb: &mut Skb, ctx: &[u8]) -> Result<(), RunError> {
    /// `GSO_LEGACY_MAX_SIZE` and `GSO_MAX_SEGS`.
    const GSO_MAX: (u32, u32) = (65_536, 65_535);
    let refused = |reason| Err(RunError::refused(Errno::EINVAL, reason));
    let settable = |i: u32| SETTABLE.iter().any(|(off, len)| (*off..off + len).contains(&i));
    // DEVIATION: the only device is the loopback; the kernel takes any that exists.
    if get(ctx, sf::IFINDEX) > 1 {
        return Err(RunError::refused(Errno::ENODEV, "there is no such interface"));
    }
    if (0..sf::SIZE).any(|i| !settable(i) && ctx[i as usize] != 0) {
        return refused("a context field is set that cannot be");
    }
    let wire_len = match get(ctx, sf::WIRE_LEN) {
        0 => skb.len() as u32,
        n if (n as usize) < skb.len() || n > GSO_MAX.0 => {
            return refused("wire_len is below the packet's length or above 65,536");
        }
        n => n,
    };
    if get(ctx, sf::GSO_SEGS) > GSO_MAX.1 {
        return refused("gso_segs is above 65,535");
    }
    for off in [sf::MARK, sf::PRIORITY, sf::INGRESS_IFINDEX, sf::GSO_SEGS, sf::GSO_SIZE] {
        skb.set(off, get(ctx, off));
    }
    for word in 0..5 {
        let off = sf::CB + word * 4;
        skb.set(off, get(ctx, off));
    }
    for off in [sf::TSTAMP, sf::HWTSTAMP] {
        skb.set64(off, get64(ctx, off));
    }
    skb.set(sf::WIRE_LEN, wire_len);
    Ok(())
}

fn run_xdp(
    prog: &Program,
    run: &TestRun<'_>,
    rt: &mut Runtime<'_>,
) -> Result<TestRunOutput, RunError> {
    let ctx = run.ctx_in.map(|c| sized_ctx(c, xf::SIZE)).transpose()?;
    let meta_len = match &ctx {
        Some(ctx) => check_xdp_ctx(ctx, run.data_in.len())?,
        None => 0,
    };
    let mut xdp = XdpBuff::new(run.data_in, meta_len)
        .map_err(|e| RunError::refused(e, "the frame is too short, or its metadata misaligned"))?;
    let mut out = repeat(prog, &mut xdp, run, rt)?;
    out.data_out = xdp.to_vec_with_meta();
    out.redirect = xdp.redirect();
    if let Some(mut ctx) = ctx {
        put(&mut ctx, xf::DATA, &(xdp.meta_len() as u32).to_ne_bytes());
        put(&mut ctx, xf::DATA_END, &(out.data_out.len() as u32).to_ne_bytes());
        out.ctx_out = ctx;
    }
    Ok(out)
}

/// Answers the length of the metadata.
fn check_xdp_ctx(ctx: &[u8], size: usize) -> Result<usize, RunError> {
    let refused = |reason| Err(RunError::refused(Errno::EINVAL, reason));
    let (data, end) = (get(ctx, xf::DATA) as usize, get(ctx, xf::DATA_END) as usize);
    if get(ctx, xf::DATA_META) != 0 || end > size || data > end {
        return refused("data_meta, data and data_end must ascend from 0 to the input's size");
    }
    // DEVIATION: the kernel puts what lies after data_end into fragments; frames here are linear.
    if end != size {
        return refused("frames in fragments are unsupported: data_end must be the input's size");
    }
    if get(ctx, xf::EGRESS_IFINDEX) != 0 {
        return refused("egress_ifindex cannot be set");
    }
    match (get(ctx, xf::INGRESS_IFINDEX), get(ctx, xf::RX_QUEUE_INDEX)) {
        (0 | 1, 0) => Ok(data),
        (0 | 1, _) => refused("the loopback interface has one queue"),
        _ => Err(RunError::refused(Errno::ENODEV, "there is no such interface")),
    }
}

fn run_syscall(
    prog: &Program,
    run: &TestRun<'_>,
    rt: &mut Runtime<'_>,
) -> Result<TestRunOutput, RunError> {
    if !run.data_in.is_empty() || run.repeat != 0 {
        return Err(RunError::refused(Errno::EINVAL, "syscall programs take only a context"));
    }
    let given = run.ctx_in.unwrap_or_default();
    let max = prog.kind.props.ctx.size as usize;
    if given.len() > max {
        return Err(RunError::refused(Errno::EINVAL, "the context is longer than 65,535 bytes"));
    }
    let mut ctx = MemContext::new(given);
    let base = ctx.ctx_mem().addr();
    let mut out = repeat(prog, &mut ctx, run, rt).map_err(|e| past_ctx(e, base, max))?;
    out.duration_ns = 0;
    out.ctx_out = ctx.to_vec();
    Ok(out)
}

/// The run's error where the program reads more of the context than there is.
///
/// DEVIATION: the kernel knows from verification how much the program reads at most, and does not begin.
fn past_ctx(error: RunError, base: u64, max: usize) -> RunError {
    match &error {
        RunError::Trap(Trap { kind: TrapKind::BadAccess { addr, .. }, .. })
            if (base..base + max as u64).contains(addr) =>
        {
            RunError::refused(Errno::EINVAL, "the context is shorter than what the program reads")
        }
        _ => error,
    }
}
