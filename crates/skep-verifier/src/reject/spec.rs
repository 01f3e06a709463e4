//! [`SpecReject`]: reasons about what an unprivileged program might do under speculation.

use super::RejectKind;
use crate::domain::Tnum;

kinds! {
    /// A reason about what an unprivileged program might do under speculation.
    enum SpecReject delegates {}
    MixedBounds { reg: u8 } = EACCES,
        "R{reg} has unknown scalar with mixed signed bounds, pointer arithmetic with it prohibited for !root";
    PointerKind { reg: u8 } = EACCES,
        "R{reg} has pointer with unsupported alu operation, pointer arithmetic with it prohibited for !root";
    Paths { reg: u8, verb: &'static str } = EACCES,
        "R{reg} tried to {verb} from different maps, paths or scalars, pointer arithmetic with it prohibited for !root";
    Limit { reg: u8, verb: &'static str } = EACCES,
        "R{reg} tried to {verb} beyond pointer bounds, pointer arithmetic with it prohibited for !root";
    StackVariable { reg: u8, var_off: Tnum, off: i64 } = EACCES,
        "R{reg} variable stack access prohibited for !root, var_off={var_off} off={off}";
    StackRange { reg: u8, off: i64 } = EACCES,
        "R{reg} stack pointer arithmetic goes out of range, prohibited for !root; off={off}";
    MapValueRange { inner: Box<RejectKind>, reg: u8 } = EACCES,
        "{inner}\nR{reg} pointer arithmetic of map value goes out of range, prohibited for !root";
    WriteOverSpill { insn: u32, off: i64 } = EINVAL,
        "spilled ptr in range of var-offset stack write; insn {insn}, ptr off: {off}";
    WriteOverUninit { insn: u32, off: i64 } = EINVAL,
        "uninit stack in range of var-offset write prohibited for !root; insn {insn}, off: {off}";
    TailCallMaps { } = EINVAL, "tail_call abusing map_ptr";
    JumpTooFar { off: i32 } = ERANGE, "a jump over {off} slots is too far once offsets are masked";
}
