//! Random programs that a verifier mostly accepts: the material of differential tests.
//!
//! [`generate`] builds a [`Generated`] program from a seed. `state` tracks what each register and stack
//! slot holds, so that most of what `blocks` writes is valid; almost every second program gets one `mutate`d
//! instruction, so that verdicts differ too. Results depend on the packet and the maps only: no time, no randomness,
//! no address ever reaches them, unless `comparable` says otherwise.

mod access;
mod blocks;
mod calls;
mod feature;
mod mutate;
mod state;

use skep_abi::insn::{AluOp, Insn, Reg, Src, Width};

pub use feature::features;

use crate::functions::{function_info, function_starts};
use crate::random::Rng;
use blocks::Builder;
use skep_btf::Btf;

/// The program types that are generated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flavor {
    /// `BPF_PROG_TYPE_SOCKET_FILTER`.
    SocketFilter,
    /// `BPF_PROG_TYPE_SCHED_CLS`.
    SchedCls,
    /// `BPF_PROG_TYPE_XDP`.
    Xdp,
}

impl Flavor {
    /// `BPF_PROG_TYPE_*`.
    pub const fn prog_type(self) -> u32 {
        match self {
            Flavor::SocketFilter => 1,
            Flavor::SchedCls => 3,
            Flavor::Xdp => 6,
        }
    }

    /// Whether the context is `__sk_buff`.
    pub const fn is_skb(self) -> bool {
        match self {
            Flavor::SocketFilter | Flavor::SchedCls => true,
            Flavor::Xdp => false,
        }
    }

    /// Index of the array of programs for this type: one of another type is refused.
    pub(crate) const fn prog_array(self) -> usize {
        match self {
            Flavor::SocketFilter => DATA_MAPS,
            Flavor::SchedCls => DATA_MAPS + 1,
            Flavor::Xdp => DATA_MAPS + 2,
        }
    }

    /// As bpftool names it.
    pub const fn name(self) -> &'static str {
        match self {
            Flavor::SocketFilter => "socket_filter",
            Flavor::SchedCls => "sched_cls",
            Flavor::Xdp => "xdp",
        }
    }
}

/// A map that every generated program may use, by its index in [`MAPS`]; sizes in bytes.
#[derive(Clone, Copy, Debug)]
pub struct GeneratedMap {
    /// `BPF_MAP_TYPE_*`.
    pub map_type: u32,
    /// Key size.
    pub key_size: u32,
    /// Value size.
    pub value_size: u32,
    /// Capacity.
    pub max_entries: u32,
}

/// An array of four elements, a hash, an array of one element whose value is addressed directly, for each
/// type of program an array of programs that stays empty, and a ring buffer.
pub const MAPS: [GeneratedMap; 7] = [
    GeneratedMap { map_type: 2, key_size: 4, value_size: 64, max_entries: 4 },
    GeneratedMap { map_type: 1, key_size: 8, value_size: 32, max_entries: 16 },
    GeneratedMap { map_type: 2, key_size: 4, value_size: 64, max_entries: 1 },
    PROG_ARRAY,
    PROG_ARRAY,
    PROG_ARRAY,
    GeneratedMap { map_type: 27, key_size: 0, value_size: 0, max_entries: 4096 },
];
/// How many of [`MAPS`] have contents to compare; the others come behind them.
pub const DATA_MAPS: usize = 3;
const PROG_ARRAY: GeneratedMap =
    GeneratedMap { map_type: 3, key_size: 4, value_size: 4, max_entries: 2 };
/// Index of the ring buffer.
pub(crate) const RING_BUFFER: usize = 6;

/// The key and value that element `n` of a map has before a run.
pub fn initial_entry(map: usize, n: u32) -> (Vec<u8>, Vec<u8>) {
    let spec = MAPS[map];
    let mut key = vec![0; spec.key_size as usize];
    key[..4].copy_from_slice(&n.to_le_bytes());
    let seed = u64::from(n) * 8 + map as u64;
    let mut rng = Rng::new(seed);
    let value = (0..spec.value_size).map(|_| rng.bits() as u8).collect();
    (key, value)
}

/// How many elements a map has before a run.
pub const fn initial_entries(map: usize) -> u32 {
    // The hash has room left.
    if MAPS[map].map_type == 1 { 4 } else { MAPS[map].max_entries }
}

/// A random program with what it runs on.
#[derive(Clone, Debug)]
pub struct Generated {
    /// Its type.
    pub flavor: Flavor,
    /// Its instructions, one for each slot; maps by index into [`MAPS`].
    pub insns: Vec<Insn>,
    /// The packet, from the Ethernet header on.
    pub packet: Vec<u8>,
    /// Whether its result is a function of packet and maps.
    pub comparable: Comparable,
    /// By ascending start, whether each function is global.
    pub globals: Vec<bool>,
    /// Whether Skep has all that it takes to run it.
    pub runs: Runs,
}

impl Generated {
    /// BTF that describes its functions, with first slot and type id of each.
    pub fn function_info(&self) -> (Btf, Vec<(u32, u32)>) {
        let starts = function_starts(&self.insns);
        // With functions gone it is not known which were global.
        let is_known = starts.len() == self.globals.len();
        function_info(&starts, |n| is_known && self.globals[n])
    }
}

/// See [`Generated::runs`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Runs {
    /// It does.
    Yes,
    /// It only judges it.
    No,
}

/// See [`Generated::comparable`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Comparable {
    /// It is.
    Yes,
    /// Uninitialised stack or an address may have got into it.
    No,
}

/// The program of a seed.
pub fn generate(seed: u64) -> Generated {
    let mut rng = Rng::new(seed);
    let flavor = rng.pick(&[Flavor::SocketFilter, Flavor::SchedCls, Flavor::Xdp]);
    let mut builder = Builder::new(&mut rng, flavor);
    builder.program();
    let runs = if builder.judged_only { Runs::No } else { Runs::Yes };
    let globals = builder.globals();
    let mut insns = builder.finish();
    let mut comparable = if runs == Runs::No { Comparable::No } else { Comparable::Yes };
    if rng.chance(45) {
        for _ in 0..1 + rng.below(2) {
            if mutate::one(&mut rng, &mut insns) == Comparable::No {
                comparable = Comparable::No;
            }
        }
    }
    let packet = random_packet(&mut rng);
    Generated { flavor, insns, packet, comparable, globals, runs }
}

/// An Ethernet frame of 60 to 180 bytes.
pub fn random_packet(rng: &mut Rng) -> Vec<u8> {
    let len = 60 + rng.below(121);
    let mut data: Vec<u8> = (0..len).map(|_| rng.bits() as u8).collect();
    // Unicast, not ours; IPv4, IPv6 or something unknown.
    data[0] &= 0xfe;
    let proto: [u8; 2] = rng.pick(&[[0x08, 0x00], [0x86, 0xdd], [0x88, 0xb5]]);
    data[12..14].copy_from_slice(&proto);
    data[14] = if proto == [0x86, 0xdd] { 0x60 } else { 0x45 };
    data
}

/// `dst = imm`.
pub(crate) const fn mov_imm(dst: Reg, imm: i32) -> Insn {
    Insn::Alu { width: Width::W64, op: AluOp::Mov, dst, src: Src::Imm(imm) }
}

/// `dst = src`.
pub(crate) const fn mov(dst: Reg, src: Reg) -> Insn {
    Insn::Alu { width: Width::W64, op: AluOp::Mov, dst, src: Src::Reg(src) }
}
