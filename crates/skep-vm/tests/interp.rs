//! The interpreter, an instruction class at a time, on programs that nobody verified (so checked).
#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use skep_abi::insn::*;
use skep_maps::Slot;
use skep_verifier::env::*;
use skep_vm::*;
use std::sync::Arc;

const R0: Reg = Reg::R0;
const R1: Reg = Reg::R1;
const R2: Reg = Reg::R2;
const R3: Reg = Reg::R3;
const R6: Reg = Reg::R6;
const R10: Reg = Reg::R10;

fn imm(dst: Reg, v: u64) -> [Insn; 2] {
    [Insn::LdImm64 { dst, imm: Imm64::Value(v) }, Insn::Imm64Hi]
}

fn alu(width: Width, op: AluOp, dst: Reg, src: Src) -> Insn {
    Insn::Alu { width, op, dst, src }
}

fn mov(dst: Reg, v: i32) -> Insn {
    alu(Width::W64, AluOp::Mov, dst, Src::Imm(v))
}

fn mov_reg(dst: Reg, src: Reg) -> Insn {
    alu(Width::W64, AluOp::Mov, dst, Src::Reg(src))
}

fn add(dst: Reg, v: i32) -> Insn {
    alu(Width::W64, AluOp::Add, dst, Src::Imm(v))
}

fn load(size: Size, dst: Reg, src: Reg, off: i16) -> Insn {
    Insn::Load { size, signed: false, dst, src, off }
}

fn store(size: Size, dst: Reg, off: i16, src: Src) -> Insn {
    Insn::Store { size, dst, off, src }
}

fn with(insns: &[Insn], helpers: &[HelperEntry], mem: &mut Vec<u8>) -> Result<u64, Trap> {
    let prog = Prog::unverified(insns.to_vec(), Vec::new(), helpers).unwrap();
    let mut host = FixedHost::default();
    let mut rt = Runtime::new(&mut host, Slot::new(0).unwrap(), Mode::Trusted);
    rt.set_limits(Limits { checked_insns: 100_000 });
    let mut ctx = MemContext::new(mem);
    let ret = run(&prog, &mut ctx, &mut rt);
    *mem = ctx.to_vec();
    ret
}

fn on(insns: &[Insn], mem: &mut Vec<u8>) -> Result<u64, Trap> {
    with(insns, &[], mem)
}

fn result(insns: &[Insn]) -> u64 {
    on(insns, &mut Vec::new()).unwrap()
}

/// R0 after `a op= b`, with `b` in a register.
fn binary(width: Width, op: AluOp, a: u64, b: u64) -> u64 {
    let [a0, a1] = imm(R0, a);
    let [b0, b1] = imm(R1, b);
    result(&[a0, a1, b0, b1, alu(width, op, R0, Src::Reg(R1)), Insn::Exit])
}

#[test]
fn alu_64() {
    use AluOp::*;
    let w = |op, a, b| binary(Width::W64, op, a, b);
    let min = i64::MIN as u64;
    assert_eq!(w(Add, u64::MAX, 2), 1);
    assert_eq!(w(Sub, 1, 2), u64::MAX);
    assert_eq!(w(Mul, 1 << 63, 3), 1 << 63);
    assert_eq!(w(Div, u64::MAX, 2), u64::MAX / 2);
    assert_eq!(w(Div, 7, 0), 0);
    assert_eq!(w(Mod, u64::MAX, 10), 5);
    assert_eq!(w(Mod, 7, 0), 7);
    assert_eq!(w(Sdiv, -7i64 as u64, 2), -3i64 as u64);
    assert_eq!(w(Sdiv, 7, 0), 0);
    assert_eq!(w(Sdiv, min, u64::MAX), min);
    assert_eq!(w(Smod, -7i64 as u64, 2), -1i64 as u64);
    assert_eq!(w(Smod, min, u64::MAX), 0);
    assert_eq!(w(Smod, min, 0), min);
    assert_eq!(w(Or, 0xf0, 0x0f), 0xff);
    assert_eq!(w(And, 0xf0, 0x3c), 0x30);
    assert_eq!(w(Xor, 0xff, 0x0f), 0xf0);
    assert_eq!(w(Lsh, 1, 65), 2);
    assert_eq!(w(Rsh, min, 63), 1);
    assert_eq!(w(Arsh, min, 63), u64::MAX);
    assert_eq!(w(Arsh, min, 64), min);
}

#[test]
fn alu_32_zero_extends() {
    use AluOp::*;
    let w = |op, a, b| binary(Width::W32, op, a, b);
    let high = 0xdead_beef_0000_0000;
    assert_eq!(w(Add, high | 0xffff_ffff, 2), 1);
    assert_eq!(w(Sub, 1, 2), 0xffff_ffff);
    assert_eq!(w(Div, high | 7, high), 0);
    assert_eq!(w(Mod, high | 7, high), 7);
    assert_eq!(w(Sdiv, 0x8000_0000, 0xffff_ffff), 0x8000_0000);
    assert_eq!(w(Sdiv, 0xffff_fff9, 2), 0xffff_fffd);
    assert_eq!(w(Smod, 0x8000_0000, 0xffff_ffff), 0);
    assert_eq!(w(Smod, 0xffff_fff9, 2), 0xffff_ffff);
    assert_eq!(w(Lsh, 1, 33), 2);
    assert_eq!(w(Arsh, 0x8000_0000, 31), 0xffff_ffff);
    assert_eq!(w(Mov, 0, high | 5), 5);
}

#[test]
fn immediates_extend_their_sign() {
    assert_eq!(result(&[mov(R0, -1), Insn::Exit]), u64::MAX);
    let mov32 = alu(Width::W32, AluOp::Mov, R0, Src::Imm(-1));
    assert_eq!(result(&[mov32, Insn::Exit]), 0xffff_ffff);
    let [a, b] = imm(R0, 0x1_0000_0000);
    let div = alu(Width::W64, AluOp::Div, R0, Src::Imm(-1));
    assert_eq!(result(&[a, b, div, Insn::Exit]), 0);
}

#[test]
fn moves_negation_and_byte_order() {
    let unary = |v: u64, insn: Insn| {
        let [a, b] = imm(R0, v);
        result(&[a, b, insn, Insn::Exit])
    };
    let sx = |width, from| Insn::MovSx { width, from, dst: R0, src: R0 };
    assert_eq!(unary(0x80, sx(Width::W64, Size::B)), -128i64 as u64);
    assert_eq!(unary(0x8000, sx(Width::W32, Size::H)), 0xffff_8000);
    assert_eq!(unary(0x8000_0000, sx(Width::W64, Size::W)), 0xffff_ffff_8000_0000);
    assert_eq!(unary(1, Insn::Neg { width: Width::W64, dst: R0 }), u64::MAX);
    assert_eq!(unary(1 << 32 | 1, Insn::Neg { width: Width::W32, dst: R0 }), 0xffff_ffff);
    let v = 0x1122_3344_5566_7788;
    let end = |op, size| unary(v, Insn::Endian { op, size, dst: R0 });
    assert_eq!(end(EndianOp::Swap, Size::H), 0x8877);
    assert_eq!(end(EndianOp::Swap, Size::W), 0x8877_6655);
    assert_eq!(end(EndianOp::Swap, Size::DW), 0x8877_6655_4433_2211);
    assert_eq!(end(EndianOp::Be, Size::W), u64::from(0x5566_7788u32.to_be()));
    assert_eq!(end(EndianOp::Le, Size::H), u64::from(0x7788u16.to_le()));
    assert_eq!(end(EndianOp::Le, Size::DW), v.to_le());
}

#[test]
fn jumps() {
    use JmpOp::*;
    let taken = |width, op, a: u64, b: u64| {
        let [a0, a1] = imm(R1, a);
        let [b0, b1] = imm(R2, b);
        result(&[
            a0,
            a1,
            b0,
            b1,
            mov(R0, 1),
            Insn::JumpIf { width, op, dst: R1, src: Src::Reg(R2), off: 1 },
            mov(R0, 0),
            Insn::Exit,
        ]) == 1
    };
    let minus = u64::MAX;
    for (op, less, equal, greater) in [
        (Eq, false, true, false),
        (Ne, true, false, true),
        (Gt, false, false, true),
        (Ge, false, true, true),
        (Lt, true, false, false),
        (Le, true, true, false),
        (Sgt, true, false, false),
        (Sge, true, true, false),
        (Slt, false, false, true),
        (Sle, false, true, true),
    ] {
        for w in [Width::W64, Width::W32] {
            // 1 and -1: which is less depends on the sign.
            assert_eq!(taken(w, op, 1, minus), less, "{op:?}");
            assert_eq!(taken(w, op, 1, 1), equal, "{op:?}");
            assert_eq!(taken(w, op, minus, 1), greater, "{op:?}");
        }
    }
    assert!(taken(Width::W64, Set, 1 << 40, 1 << 40));
    assert!(!taken(Width::W32, Set, 1 << 40, 1 << 40));
    assert!(taken(Width::W32, Eq, 1 << 40, 1 << 41));
    for width in [Width::W64, Width::W32] {
        let goto = Insn::Goto { width, off: 1 };
        assert_eq!(result(&[mov(R0, 1), goto, mov(R0, 2), Insn::Exit]), 1);
    }
}

#[test]
fn loads_and_stores_at_any_alignment() {
    let mut mem = vec![0; 16];
    for off in 0..8i16 {
        let prog = [
            store(Size::DW, R1, off, Src::Imm(-2)),
            store(Size::B, R1, off, Src::Imm(0x81)),
            load(Size::DW, R0, R1, off),
            Insn::Exit,
        ];
        let mut want = (-2i64).to_ne_bytes();
        want[0] = 0x81;
        assert_eq!(on(&prog, &mut mem), Ok(u64::from_ne_bytes(want)));
    }
    let mut mem = 0xfedc_ba98_7654_32f1u64.to_ne_bytes().to_vec();
    let signed = |size| Insn::Load { size, signed: true, dst: R0, src: R1, off: 0 };
    if cfg!(target_endian = "little") {
        assert_eq!(on(&[signed(Size::B), Insn::Exit], &mut mem), Ok(0xf1u8 as i8 as u64));
        assert_eq!(on(&[load(Size::H, R0, R1, 0), Insn::Exit], &mut mem), Ok(0x32f1));
        assert_eq!(on(&[load(Size::W, R0, R1, 4), Insn::Exit], &mut mem), Ok(0xfedc_ba98));
    }
    let stack = [
        store(Size::DW, R10, -512, Src::Reg(R1)),
        load(Size::DW, R2, R10, -512),
        load(Size::B, R0, R2, 0),
        Insn::Exit,
    ];
    assert_eq!(on(&stack, &mut vec![9]), Ok(9));
}

#[test]
fn atomics() {
    use AtomicOp::*;
    let go = |size, op, old: u64, val: u64, r0: u64| {
        let mut mem = old.to_ne_bytes().to_vec();
        let [a, b] = imm(R2, val);
        let [c, d] = imm(R0, r0);
        let atomic = Insn::Atomic { size, op, dst: R1, src: R2, off: 0 };
        // R0 ends as R0 * 1 + R2 * 3, to see both.
        let mul = alu(Width::W64, AluOp::Mul, R2, Src::Imm(3));
        let sum = alu(Width::W64, AluOp::Add, R0, Src::Reg(R2));
        let ret = on(&[a, b, c, d, atomic, mul, sum, Insn::Exit], &mut mem).unwrap();
        (u64::from_ne_bytes(mem.try_into().unwrap()), ret)
    };
    assert_eq!(go(Size::DW, Add, 5, 7, 0), (12, 21));
    assert_eq!(go(Size::DW, FetchAdd, 5, 7, 0), (12, 15));
    assert_eq!(go(Size::DW, FetchOr, 4, 3, 0), (7, 12));
    assert_eq!(go(Size::DW, And, 6, 3, 0), (2, 9));
    assert_eq!(go(Size::DW, FetchAnd, 6, 3, 0), (2, 18));
    assert_eq!(go(Size::DW, FetchXor, 6, 3, 0), (5, 18));
    assert_eq!(go(Size::DW, Xchg, 6, 3, 0), (3, 18));
    assert_eq!(go(Size::DW, Cmpxchg, 6, 3, 6), (3, 6 + 9));
    assert_eq!(go(Size::DW, Cmpxchg, 6, 3, 5), (6, 6 + 9));
    if cfg!(target_endian = "little") {
        let high = 0xffff_ffff_0000_0000;
        assert_eq!(go(Size::W, FetchAdd, high | 0xffff_ffff, 1, 0), (high, 3 * 0xffff_ffff));
        assert_eq!(go(Size::W, Cmpxchg, 6, 3, high | 6), (3, 6 + 9));
    }
    let mut mem = vec![0; 16];
    let odd = Insn::Atomic { size: Size::W, op: Add, dst: R1, src: R2, off: 2 };
    let trap = on(&[odd, Insn::Exit], &mut mem).unwrap_err();
    assert!(matches!(trap.kind, TrapKind::Misaligned { size: Size::W, .. }), "{trap}");
    let release = Insn::StoreRelease { size: Size::H, dst: R1, src: R2, off: 2 };
    let acquire = Insn::LoadAcquire { size: Size::H, dst: R0, src: R1, off: 2 };
    assert_eq!(on(&[release, acquire, Insn::Exit], &mut mem), Ok(16));
}

#[test]
fn may_goto_ends_an_endless_loop() {
    // The instruction budget is smaller than the loop budget, so this one traps ...
    let endless = [Insn::MayGoto { off: 1 }, Insn::Goto { width: Width::W64, off: -2 }, Insn::Exit];
    let trap = on(&endless, &mut Vec::new()).unwrap_err();
    assert_eq!(trap.kind, TrapKind::InsnBudget);
    if cfg!(miri) {
        return;
    }
    // ... and with more of it the loop ends after 8 Mi iterations.
    let count = [
        mov(R0, 0),
        Insn::MayGoto { off: 2 },
        add(R0, 1),
        Insn::Goto { width: Width::W64, off: -3 },
        Insn::Exit,
    ];
    let prog = Prog::unverified(count.to_vec(), Vec::new(), &NoHelpers).unwrap();
    let mut host = FixedHost::default();
    let mut rt = Runtime::new(&mut host, Slot::new(0).unwrap(), Mode::Checked);
    assert_eq!(run(&prog, &mut MemContext::new(&[]), &mut rt), Ok(8 << 20));
}

#[test]
fn subprograms_keep_r6_to_r9_and_have_their_own_stack() {
    let prog = [
        mov(R6, 7),
        store(Size::DW, R10, -8, Src::Imm(1)),
        mov(R1, 30),
        Insn::Call(CallTarget::Local(5)),
        load(Size::DW, R2, R10, -8),
        alu(Width::W64, AluOp::Add, R0, Src::Reg(R6)),
        alu(Width::W64, AluOp::Add, R0, Src::Reg(R2)),
        Insn::Exit,
        mov(R0, 99),
        mov(R6, 100),
        store(Size::DW, R10, -8, Src::Reg(R1)),
        load(Size::DW, R0, R10, -8),
        Insn::Exit,
    ];
    assert_eq!(result(&prog), 38);
    let forever = [Insn::Call(CallTarget::Local(-1)), Insn::Exit];
    let trap = on(&forever, &mut Vec::new()).unwrap_err();
    assert_eq!(trap, Trap { slot: 0, kind: TrapKind::CallDepth });
}

#[test]
fn wild_accesses_trap() {
    for (addr, off) in [(8u64, 0i16), (u64::MAX - 3, 0), (0, 0), (0xffff_c000_0000_0000, 0)] {
        let [a, b] = imm(R2, addr);
        let trap = on(&[a, b, load(Size::DW, R0, R2, off), Insn::Exit], &mut vec![0; 8]);
        let Err(Trap { slot: 2, kind: TrapKind::BadAccess { len: 8, access, .. } }) = trap else {
            panic!("{trap:?}");
        };
        assert_eq!(access, Access::Read);
    }
    for (base, off) in [(R1, -1), (R1, 1), (R10, 0), (R10, -513)] {
        let put = store(Size::DW, base, off, Src::Imm(0));
        let trap = on(&[put, Insn::Exit], &mut vec![0; 8]).unwrap_err();
        assert!(matches!(trap.kind, TrapKind::BadAccess { access: Access::Write, .. }), "{trap}");
    }
    // A frame that was left is no longer there.
    let dangling = [
        Insn::Call(CallTarget::Local(2)),
        load(Size::B, R0, R0, -1),
        Insn::Exit,
        mov_reg(R0, R10),
        Insn::Exit,
    ];
    assert_eq!(on(&dangling, &mut Vec::new()).unwrap_err().slot, 1);
    let past = on(&[mov(R0, 0)], &mut Vec::new()).unwrap_err();
    assert_eq!(past.to_string(), "trap at insn 1: execution ran past the last instruction");
}

#[test]
fn bad_programs_are_refused() {
    let err =
        |insns: &[Insn]| Prog::unverified(insns.to_vec(), Vec::new(), &NoHelpers).unwrap_err();
    assert_eq!(err(&[]).kind, ProgErrorKind::Empty);
    let far = Insn::Goto { width: Width::W64, off: 1 };
    assert_eq!(err(&[far, Insn::Exit]).kind, ProgErrorKind::BadTarget(2));
    let back = Insn::Goto { width: Width::W32, off: i32::MIN };
    assert!(matches!(err(&[back, Insn::Exit]).kind, ProgErrorKind::BadTarget(_)));
    let [a, b] = imm(R0, 0);
    let into = Insn::Goto { width: Width::W64, off: 1 };
    assert_eq!(err(&[into, a, b, Insn::Exit]).kind, ProgErrorKind::BadTarget(2));
    assert_eq!(err(&[a, Insn::Exit]).kind, ProgErrorKind::HalfImm64);
    assert_eq!(err(&[b, Insn::Exit]).kind, ProgErrorKind::HalfImm64);
    let call = Insn::Call(CallTarget::Helper(5));
    assert_eq!(err(&[call, Insn::Exit]).kind, ProgErrorKind::NoHelper(5));
    let map = Insn::LdImm64 { dst: R0, imm: Imm64::MapIdx(-1, 0) };
    assert_eq!(err(&[map, b, Insn::Exit]).kind, ProgErrorKind::NoMap(-1));
}

const fn proto(name: &'static str, args: [ArgType; 5]) -> HelperProto {
    HelperProto { id: 1000, name, args, ..HelperProto::PLAIN }
}

const NONE: ArgType = ArgType::None;
const READ: MemArg = MemArg { access: MemAccess::Read, nullable: Nullable::Yes };
const WRITE: MemArg = MemArg { access: MemAccess::Write, nullable: Nullable::No };

static COPY: HelperProto = proto(
    "copy",
    [ArgType::FixedMem(WRITE, 4), ArgType::Mem(READ), ArgType::SizeOrZero, NONE, NONE],
);

fn copy(call: &mut Call<'_>) -> u64 {
    let from = call.mem(1).copy_in();
    let n = from.len().min(4);
    assert!(call.mem(1).copy_out(0, b"x").is_err(), "read-only");
    match call.mem(0).copy_out(0, &from[..n]) {
        Ok(()) => n as u64,
        Err(_) => u64::MAX,
    }
}

#[test]
fn helpers_get_checked_memory() {
    let table = [HelperEntry { proto: &COPY, run: copy }];
    let call = Insn::Call(CallTarget::Helper(1000));
    let copy_to = |dst: Insn, len: i32| {
        let prog = [mov_reg(R2, R1), dst, mov(R3, len), call, Insn::Exit];
        let mut mem = b"abcdefgh".to_vec();
        (with(&prog, &table, &mut mem), mem)
    };
    let (ret, mem) = copy_to(add(R1, 4), 3);
    assert_eq!((ret, mem.as_slice()), (Ok(3), b"abcdabch".as_slice()));
    let (ret, _) = copy_to(add(R1, 5), 3);
    assert!(matches!(ret.unwrap_err().kind, TrapKind::BadAccess { access: Access::Write, .. }));
    let (ret, _) = copy_to(add(R1, 0), 9);
    let want = Access::Read;
    assert!(
        matches!(ret.unwrap_err().kind, TrapKind::BadAccess { len: 9, access, .. } if access == want)
    );
    // NULL where it is allowed is empty memory.
    let null = [mov(R2, 0), mov(R3, 8), call, Insn::Exit];
    assert_eq!(with(&null, &table, &mut b"abcd".to_vec()), Ok(0));
}

static LOOP: HelperProto =
    proto("loop", [ArgType::Anything, ArgType::Func, ArgType::StackOrNull, NONE, NONE]);

fn bpf_loop(call: &mut Call<'_>) -> u64 {
    let (n, data) = (call.scalar(0), call.scalar(2));
    for i in 0..n {
        match call.callback(1, [i, data, 0, 0, 0]) {
            Some(0) => {}
            Some(_) => return i + 1,
            None => return 0,
        }
    }
    n
}

#[test]
fn callbacks_run_on_their_own_frame() {
    let table = [HelperEntry { proto: &LOOP, run: bpf_loop }];
    let program = |body: [Insn; 5]| {
        let mut p = vec![
            store(Size::DW, R10, -8, Src::Imm(0)),
            mov(R1, 10),
            Insn::LdImm64 { dst: R2, imm: Imm64::Func(6, 0) },
            Insn::Imm64Hi,
            mov_reg(R3, R10),
            add(R3, -8),
            Insn::Call(CallTarget::Helper(1000)),
            load(Size::DW, R0, R10, -8),
            Insn::Exit,
        ];
        p.extend(body);
        p.push(Insn::Exit);
        p
    };
    let sum = program([
        load(Size::DW, R3, R2, 0),
        alu(Width::W64, AluOp::Add, R3, Src::Reg(R1)),
        store(Size::DW, R2, 0, Src::Reg(R3)),
        mov(R6, 5),
        mov(R0, 0),
    ]);
    assert_eq!(with(&sum, &table, &mut Vec::new()), Ok(45));
    let stray = program([mov(R0, 0), mov(R0, 0), mov(R0, 0), load(Size::B, R0, R0, 0), mov(R0, 0)]);
    let trap = with(&stray, &table, &mut Vec::new()).unwrap_err();
    assert_eq!(trap.slot, 12, "{trap}");
    // A callback that starts the loop again runs out of frames.
    let mut again = program([mov(R1, 1), mov(R1, 1), mov(R1, 1), mov(R1, 1), mov(R1, 1)]);
    again[10] = Insn::LdImm64 { dst: R2, imm: Imm64::Func(-2, 0) };
    again[11] = Insn::Imm64Hi;
    again[12] = mov(R3, 0);
    again[13] = Insn::Call(CallTarget::Helper(1000));
    let trap = with(&again, &table, &mut Vec::new()).unwrap_err();
    assert_eq!(trap.kind, TrapKind::CallDepth);
}

static TAIL: HelperProto = proto("tail", [ArgType::Ctx, NONE, NONE, NONE, NONE]);

std::thread_local! {
    static NEXT: std::cell::RefCell<Option<Arc<Prog>>> = const { std::cell::RefCell::new(None) };
}

fn tail(call: &mut Call<'_>) -> u64 {
    let next = NEXT.with_borrow(|n| n.clone());
    match next.is_some_and(|n| call.tail_call(n)) {
        true => 0,
        false => u64::MAX,
    }
}

#[test]
fn tail_calls_end_after_33() {
    let table = [HelperEntry { proto: &TAIL, run: tail }];
    // Counts its own runs in the context; goes on after the call that fails. Called from a subprogram, so that
    // the frame above it must come back.
    let count = [
        Insn::Call(CallTarget::Local(2)),
        add(R0, 1000),
        Insn::Exit,
        load(Size::W, R2, R1, 0),
        add(R2, 1),
        store(Size::W, R1, 0, Src::Reg(R2)),
        mov_reg(R6, R1),
        Insn::Call(CallTarget::Helper(1000)),
        load(Size::W, R0, R6, 0),
        Insn::Exit,
    ];
    let prog = Arc::new(Prog::unverified(count.to_vec(), Vec::new(), table.as_slice()).unwrap());
    NEXT.set(Some(prog));
    let mut mem = vec![0; 4];
    // Each of the 34 programs adds 1000 when its subprogram's frame returns.
    assert_eq!(with(&count, &table, &mut mem), Ok(34 * 1000 + 34));
    assert_eq!(mem, 34u32.to_ne_bytes());
    NEXT.set(None);
    assert_eq!(with(&count, &table, &mut vec![0; 4]), Ok(1001));
    let not_ctx = [add(R1, 1), Insn::Call(CallTarget::Helper(1000)), Insn::Exit];
    let trap = with(&not_ctx, &table, &mut vec![0; 4]).unwrap_err();
    assert_eq!(trap.to_string(), "trap at insn 1: argument 1 of helper tail is not the context");
}

#[test]
fn legacy_loads_that_fail_end_the_function_with_zero() {
    // A MemContext has no packet.
    let abs = Insn::LdAbs { size: Size::H, imm: 12 };
    assert_eq!(on(&[mov(R0, 5), abs, mov(R0, 6), Insn::Exit], &mut vec![0; 64]), Ok(0));
    let ind = Insn::LdInd { size: Size::W, src: R2, imm: 12 };
    let in_subprog =
        [Insn::Call(CallTarget::Local(2)), add(R0, 3), Insn::Exit, ind, mov(R0, 6), Insn::Exit];
    assert_eq!(on(&in_subprog, &mut vec![0; 64]), Ok(3));
}
