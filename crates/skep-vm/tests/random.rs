//! Whatever decodes runs checked to an end: a result or a trap, never a panic or an access outside.

use skep_abi::insn::{RawInsn, decode};
use skep_maps::Slot;
use skep_vm::*;

/// SplitMix64.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A slot that decodes on its own, with small offsets so that loops and frames happen.
fn slot(state: &mut u64) -> RawInsn {
    loop {
        let r = next(state);
        let imm = match r >> 60 {
            0..8 => (r >> 32) as i32 % 4,
            8..12 => (next(state) >> 32) as i32,
            _ => 0,
        };
        let off = if r & 0x100 == 0 { 0 } else { ((r >> 9) as i16 % 24) - 12 };
        let insn = RawInsn {
            code: r as u8,
            dst: ((r >> 16) % 11) as u8,
            src: if r & 0x200 == 0 { 0 } else { ((r >> 20) % 11) as u8 },
            off,
            imm,
        };
        if decode(&[insn]).is_ok() {
            return insn;
        }
    }
}

#[test]
fn random_programs_end() {
    let mut state = 42;
    let count = if cfg!(miri) { 3 } else { 30_000 };
    let (mut results, mut traps) = (0u32, 0u32);
    for _ in 0..count {
        let len = 4 + next(&mut state) % 40;
        let mut insns: Vec<RawInsn> = (0..len).map(|_| slot(&mut state)).collect();
        insns.push(RawInsn { code: 0x95, ..RawInsn::default() });
        let Ok(insns) = decode(&insns) else { continue };
        // Jumps and calls out of the program, helpers that do not exist: refused, not run.
        let Ok(prog) = Prog::unverified(insns, Vec::new(), &NoHelpers) else { continue };
        let mut host = FixedHost::default();
        let mut rt = Runtime::new(&mut host, Slot::new(0).unwrap(), Mode::Trusted);
        rt.set_limits(Limits { checked_insns: 2_000 });
        let mut ctx = MemContext::new(&[7; 256]);
        match run(&prog, &mut ctx, &mut rt) {
            Ok(_) => results += 1,
            Err(_) => traps += 1,
        }
    }
    if !cfg!(miri) {
        assert!(results > 100 && traps > 100, "{results} results, {traps} traps");
    }
}
