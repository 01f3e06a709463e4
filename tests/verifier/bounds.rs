//! The bounds that Skep's number domain computes against those in the live kernel's log.
//!
//! Random straight-line programs narrow unknown registers by conditional jumps and compute with them. The log
//! of the first path names the bounds after every instruction; ours must be the same text.

use skep_abi::insn::{AluOp, CallTarget, EndianOp, Insn, JmpOp, Reg, Size, Src, Width, encode};
use skep_host::kernel::{KernelProg, LoadAttr};
use skep_tests::random::Rng;
use skep_verifier::domain::{Edge, Scalar, Tnum, branch_taken, refine};

const PRANDOM: CallTarget = CallTarget::Helper(7);
const REGS: [Reg; 4] = [Reg::R6, Reg::R7, Reg::R8, Reg::R9];
const PROGRAMS: u64 = 1500;
const STEPS: usize = 24;

/// A program and, for each slot, the register that it narrows or writes with its bounds after it.
struct Case {
    insns: Vec<Insn>,
    expect: Vec<(At, Reg, Scalar)>,
    /// The slot at which our model says that the path ends, if it does before the last one.
    ends_at: Option<usize>,
}

/// Where in the log bounds are looked for.
#[derive(Clone, Copy)]
enum At {
    /// After the instruction of a slot.
    After(usize),
    /// Where the jump edge from a slot to another one is taken up.
    Entering(usize, usize),
}

fn generate(rng: &mut Rng) -> Case {
    let mut insns = Vec::new();
    for reg in REGS {
        insns.push(Insn::Call(PRANDOM));
        insns.push(mov(reg, Reg::R0));
    }
    // Overwrites R0, so that no register is linked with another.
    insns.push(Insn::Call(PRANDOM));
    let mut case = Case { insns, expect: Vec::new(), ends_at: None };
    let mut regs = [Scalar::UNKNOWN; REGS.len()];
    for _ in 0..STEPS {
        if !step(rng, &mut case, &mut regs) {
            break;
        }
    }
    // What leaves the path leads to the last two instructions.
    let end = case.insns.len();
    for (slot, insn) in case.insns.iter_mut().enumerate() {
        match insn {
            Insn::JumpIf { off, .. } if *off == 0 => *off = (end - slot - 1) as i16,
            Insn::Goto { off, .. } => *off = (end - slot - 1) as i32,
            _ => {}
        }
    }
    case.insns.push(Insn::Alu {
        width: Width::W64,
        op: AluOp::Mov,
        dst: Reg::R0,
        src: Src::Imm(0),
    });
    case.insns.push(Insn::Exit);
    case
}

fn mov(dst: Reg, src: Reg) -> Insn {
    Insn::Alu { width: Width::W64, op: AluOp::Mov, dst, src: Src::Reg(src) }
}

/// Appends one instruction; false if the path ends with it.
fn step(rng: &mut Rng, case: &mut Case, regs: &mut [Scalar; REGS.len()]) -> bool {
    let slot = case.insns.len();
    let (d, s) = (rng.below(REGS.len()), rng.below(REGS.len()));
    let dst = REGS[d];
    let width = rng.pick(&[Width::W32, Width::W64]);
    match rng.below(10) {
        0..=3 => {
            let op = rng.pick(JmpOp::ALL);
            let by_reg = d != s && rng.chance(35);
            let src = if by_reg { Src::Reg(REGS[s]) } else { Src::Imm(rng.imm()) };
            let mut b = match src {
                Src::Reg(_) => regs[s],
                Src::Imm(v) => Scalar::imm(v),
            };
            if is_contradictory(op, width, &regs[d], &b) {
                return true;
            }
            let taken = branch_taken(op, width, &regs[d], &b);
            if taken.is_none() && rng.chance(30) {
                // The path goes on over the jump edge.
                case.insns.push(Insn::JumpIf { width, op, dst, src, off: 1 });
                case.insns.push(Insn::Goto { width: Width::W64, off: 0 });
                let at = At::Entering(slot, slot + 2);
                refine(op, width, Edge::Jump, &mut regs[d], &mut b).expect("checked above");
                case.expect.push((at, dst, regs[d]));
                if by_reg {
                    regs[s] = b;
                    case.expect.push((at, REGS[s], b));
                }
                return true;
            }
            case.insns.push(Insn::JumpIf { width, op, dst, src, off: 0 });
            match taken {
                Some(Edge::Jump) => {
                    case.ends_at = Some(slot);
                    return false;
                }
                Some(Edge::Fallthrough) => return true,
                None => {}
            }
            if refine(op, width, Edge::Fallthrough, &mut regs[d], &mut b).is_err() {
                case.ends_at = Some(slot);
                return false;
            }
            case.expect.push((At::After(slot), dst, regs[d]));
            if by_reg {
                regs[s] = b;
                case.expect.push((At::After(slot), REGS[s], b));
            }
            return true;
        }
        4 => {
            let from = rng.pick(&[Size::B, Size::H, Size::W]);
            if from == Size::W && width == Width::W32 {
                case.insns.push(Insn::Alu { width, op: AluOp::Mov, dst, src: Src::Reg(dst) });
                regs[d] = regs[d].zero_extend32();
            } else {
                case.insns.push(Insn::MovSx { width, from, dst, src: dst });
                regs[d] = regs[d].sign_extend(from, width);
            }
        }
        5 => {
            if rng.chance(50) {
                case.insns.push(Insn::Neg { width, dst });
                regs[d] = regs[d].neg(width);
            } else {
                let op = rng.pick(&[EndianOp::Le, EndianOp::Be, EndianOp::Swap]);
                let size = rng.pick(&[Size::H, Size::W, Size::DW]);
                case.insns.push(Insn::Endian { op, size, dst });
                regs[d] = regs[d].endian(op, size);
            }
        }
        _ => {
            let op = rng.pick(&[
                AluOp::Add,
                AluOp::Sub,
                AluOp::Mul,
                AluOp::Div,
                AluOp::Or,
                AluOp::And,
                AluOp::And,
                AluOp::Lsh,
                AluOp::Rsh,
                AluOp::Rsh,
                AluOp::Arsh,
                AluOp::Mod,
                AluOp::Xor,
                AluOp::Mov,
            ]);
            let imm = match op {
                AluOp::Lsh | AluOp::Rsh | AluOp::Arsh if width == Width::W32 => {
                    rng.below(32) as i32
                }
                AluOp::Lsh | AluOp::Rsh | AluOp::Arsh => rng.below(64) as i32,
                AluOp::Div | AluOp::Mod => 7,
                _ => rng.imm(),
            };
            let by_reg = op != AluOp::Mov && rng.chance(40);
            let (src, b) = if by_reg {
                (Src::Reg(REGS[s]), regs[s])
            } else {
                (Src::Imm(imm), Scalar::imm(imm))
            };
            case.insns.push(Insn::Alu { width, op, dst, src });
            // The log shows the path with -1 first.
            if matches!(op, AluOp::And | AluOp::Or)
                && b.const_value().is_some()
                && let Some((ones, _)) = regs[d].split_sign_mask()
            {
                regs[d] = ones;
            }
            regs[d] = regs[d].alu(width, op, &b);
        }
    }
    case.expect.push((At::After(slot), dst, regs[d]));
    true
}

/// Whether an edge is impossible although the bounds do not decide the jump. The kernel then warns about
/// itself ("REG INVARIANTS VIOLATION", which taints it) and forgets the bounds; we know that the edge is
/// dead.
fn is_contradictory(op: JmpOp, width: Width, a: &Scalar, b: &Scalar) -> bool {
    branch_taken(op, width, a, b).is_none()
        && [Edge::Jump, Edge::Fallthrough].into_iter().any(|edge| {
            let (mut a, mut b) = (*a, *b);
            refine(op, width, edge, &mut a, &mut b).is_err()
        })
}

/// The text of a register in a log line, without precision mark and id.
fn printed(line: &str, reg: Reg) -> Option<String> {
    let name = format!(" R{}=", reg.num());
    let rest = &line[line.find(&name)? + name.len()..];
    let rest = rest.strip_prefix('P').unwrap_or(rest);
    let Some(fields) = rest.strip_prefix("scalar(") else {
        return Some(rest.split(' ').next().unwrap_or_default().to_owned());
    };
    let mut depth = 1;
    let end = fields.find(|c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        depth == 0
    })?;
    let fields = &fields[..end];
    let kept = match fields.strip_prefix("id=") {
        Some(with_id) => with_id.split_once(',').map_or("", |(_, f)| f),
        None => fields,
    };
    Some(format!("scalar({kept})"))
}

/// The bounds that a text from the log stands for; a bound that is not printed says nothing.
fn parse(text: &str) -> Option<Scalar> {
    let num = |v: &str| match (v.strip_prefix("0x"), v.parse::<i64>()) {
        (Some(hex), _) => u64::from_str_radix(hex, 16).ok(),
        (None, v) => v.ok().map(|v| v as u64),
    };
    let Some(fields) = text.strip_prefix("scalar(").and_then(|t| t.strip_suffix(')')) else {
        return num(text).map(Scalar::constant);
    };
    let mut s = Scalar::UNKNOWN;
    for field in fields.split(',').filter(|f| !f.is_empty()) {
        let mut names: Vec<&str> = field.split('=').collect();
        let value = names.pop()?;
        for name in names {
            match name {
                "smin" => s.s64.min = num(value)? as i64,
                "smax" => s.s64.max = num(value)? as i64,
                "umin" => s.u64.min = num(value)?,
                "umax" => s.u64.max = num(value)?,
                "smin32" => s.s32.min = num(value)? as i32,
                "smax32" => s.s32.max = num(value)? as i32,
                "umin32" => s.u32.min = num(value)? as u32,
                "umax32" => s.u32.max = num(value)? as u32,
                "var_off" => {
                    let (v, m) = value.strip_prefix('(')?.strip_suffix(')')?.split_once("; ")?;
                    s.var_off = Tnum { value: num(v)?, mask: num(m)? };
                }
                _ => return None,
            }
        }
    }
    Some(s)
}

/// The first line that the log has for a place.
fn first_line(log: &str, at: At) -> Option<&str> {
    let (start, contains) = match at {
        At::After(slot) => (format!("{slot}: ("), ';'),
        At::Entering(from, to) => (format!("from {from} to {to}: "), '='),
    };
    log.lines().find(|l| l.starts_with(&start) && l.contains(contains))
}

#[test]
fn bounds_equal_those_in_the_kernel_log() {
    if !skep_tests::has_live_kernel() {
        return;
    }
    let mut rng = Rng::new(0x5ca1a7);
    let (mut compared, mut tighter) = (0, 0);
    let mut differ = Vec::new();
    for number in 0..PROGRAMS {
        let case = generate(&mut rng);
        let raw = encode(&case.insns);
        let load = LoadAttr { prog_type: 1, insns: &raw, log_level: 2, ..LoadAttr::default() };
        let prog = KernelProg::load(&load).unwrap_or_else(|e| panic!("program {number}: {e}"));
        for (at, reg, ours) in &case.expect {
            let Some(line) = first_line(&prog.log, *at) else { continue };
            // A register that the kernel does not print did not change.
            let Some(theirs) = printed(line, *reg) else { continue };
            compared += 1;
            if theirs == ours.to_log() {
                continue;
            }
            let parsed = parse(&theirs).unwrap_or_else(|| panic!("cannot read {line}"));
            if ours.is_subset_of(&parsed) {
                tighter += 1;
            } else {
                differ.push(format!("program {number}: {line}\n  ours: {}", ours.to_log()));
            }
            // What follows in this program builds on the difference.
            break;
        }
        if let Some(slot) = case.ends_at {
            // The kernel must not go on behind a jump that we say is taken.
            if let Some(line) =
                first_line(&prog.log, At::After(slot + 1)).filter(|l| !l.contains("r0 = 0"))
            {
                differ.push(format!("program {number}: the kernel goes on after {slot}: {line}"));
            }
        }
    }
    println!("{compared} bounds compared, ours tighter {tighter}, {} differ", differ.len());
    for line in differ.iter().take(20) {
        println!("{line}");
    }
    assert!(compared > PROGRAMS * 5, "only {compared} compared");
    assert!(tighter * 1000 < compared, "{tighter} of {compared} are tighter than the kernel's");
    assert!(differ.is_empty(), "{} of {compared} differ", differ.len());
}
