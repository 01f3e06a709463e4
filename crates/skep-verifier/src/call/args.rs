//! Helper arguments against the prototype (`check_func_arg`).

use crate::env::{ArgType, HelperProto, MapProps, MemAccess, MemArg, Nullable};
use crate::mem::{Exact, HelperMem, RawFill, ZeroSize};
use crate::pre::MapId;
use crate::reject::RejectKind;
use crate::state::{RegKind, RegState};
use crate::walk::{Res, Stop, Walk};
use skep_abi::insn::Reg;
use skep_abi::uapi::{
    BPF_F_INNER_MAP, BPF_F_RDONLY_PROG, BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_PERCPU_ARRAY,
};

/// Memory sizes that helpers are given stay below this (`BPF_MAX_VAR_SIZ`).
const MAX_VAR_SIZE: u64 = 1 << 29;

/// What the arguments of one call said.
#[derive(Clone, Debug, Default)]
pub(super) struct CallArgs {
    /// The map argument.
    pub(super) map: Option<MapId>,
    /// The map argument's key, where it is a known number.
    pub(super) const_key: Option<u64>,
    /// The callback.
    pub(super) callback: Option<u16>,
    /// Stack memory that the helper fills.
    pub(super) fills: [Option<RawFill>; 5],
}

fn arg_reg(i: usize) -> Res<Reg> {
    u8::try_from(i + 1).ok().and_then(Reg::new).ok_or(Stop::Bug("too many arguments"))
}

/// Whether every key below `max_entries` is always there (`can_elide_value_nullness`).
// SOUND: so it is in arrays, but an array in a map of maps may be replaced by a smaller one if its template allows that.
pub(super) fn has_all_elements(map: &MapProps) -> bool {
    matches!(map.map_type, BPF_MAP_TYPE_ARRAY | BPF_MAP_TYPE_PERCPU_ARRAY)
        && map.flags & BPF_F_INNER_MAP == 0
}

impl Walk<'_> {
    pub(super) fn check_args(&mut self, proto: &HelperProto) -> Res<CallArgs> {
        let mut call = CallArgs::default();
        for (i, arg) in proto.args.iter().enumerate() {
            if *arg == ArgType::None {
                continue;
            }
            let r = arg_reg(i)?;
            self.check_readable(r)?;
            let before = i.checked_sub(1).and_then(|p| proto.args.get(p)).copied();
            let fill = self.check_arg(proto, *arg, before, r, &mut call)?;
            if let Some(slot) = call.fills.get_mut(i) {
                *slot = fill;
            }
        }
        Ok(call)
    }

    fn check_arg(
        &mut self,
        proto: &HelperProto,
        arg: ArgType,
        before: Option<ArgType>,
        r: Reg,
        call: &mut CallArgs,
    ) -> Res<Option<RawFill>> {
        let reg = *self.cur.reg(r);
        if arg == ArgType::Anything {
            if self.is_secret(r) {
                return Err(RejectKind::LeakIntoHelper { reg: r.num() }.into());
            }
            return Ok(None);
        }
        if reg.kind.is_packet() && !proto.pkt_access {
            return Err(RejectKind::HelperPacket {}.into());
        }
        let nullable = matches!(
            arg,
            ArgType::Mem(MemArg { nullable: Nullable::Yes, .. })
                | ArgType::FixedMem(MemArg { nullable: Nullable::Yes, .. }, _)
                | ArgType::StackOrNull
        );
        let is_null = nullable && reg.is_null();
        if is_null {
            // SOUND: another number in its place would not be NULL.
            self.mark_precise(r)?;
        } else {
            check_type(&reg, arg, r)?;
            // SOUND: a moved function pointer would name an instruction that was never verified as an entry.
            if matches!(reg.kind, RegKind::Ctx | RegKind::Func(_)) {
                self.check_unmoved(r)?;
            }
        }
        let exact = |size: u32, access: MemAccess| HelperMem {
            access,
            size: size.into(),
            exact: Exact::Yes,
            zero: ZeroSize::Forbidden,
        };
        let map_of = |call: &CallArgs| call.map.ok_or(Stop::Bug("no map argument before"));
        match arg {
            ArgType::None | ArgType::Anything | ArgType::Ctx | ArgType::StackOrNull => Ok(None),
            ArgType::ConstMap => {
                if let RegKind::Map(id) = reg.kind {
                    call.map = Some(id);
                }
                Ok(None)
            }
            ArgType::MapKey => {
                let map = self.map(map_of(call)?)?;
                let (size, is_array) = (map.key_size, has_all_elements(map));
                let fill = self.check_helper_mem(r, exact(size, MemAccess::Read))?;
                if is_array {
                    call.const_key = self.constant_on_stack(r, size)?;
                }
                Ok(fill)
            }
            ArgType::MapValue => {
                let size = self.map(map_of(call)?)?.value_size;
                self.check_helper_mem(r, exact(size, MemAccess::Read))
            }
            ArgType::UninitMapValue => {
                let size = self.map(map_of(call)?)?.value_size;
                self.check_helper_mem(r, exact(size, MemAccess::Write))
            }
            // Judged with its size, which is the next argument.
            ArgType::Mem(_) => Ok(None),
            ArgType::FixedMem(_, _) if is_null => Ok(None),
            ArgType::FixedMem(m, size) => self.check_helper_mem(r, exact(size, m.access)),
            ArgType::Size => self.check_size(before, r, ZeroSize::Forbidden),
            ArgType::SizeOrZero => self.check_size(before, r, ZeroSize::Allowed),
            ArgType::Func => {
                if let RegKind::Func(subprog) = reg.kind {
                    call.callback = Some(subprog);
                }
                Ok(None)
            }
            ArgType::ConstStr => {
                self.check_const_str(r)?;
                Ok(None)
            }
        }
    }

    /// A size, and the memory before it (`check_mem_size_reg`).
    fn check_size(
        &mut self,
        before: Option<ArgType>,
        r: Reg,
        zero: ZeroSize,
    ) -> Res<Option<RawFill>> {
        let Some(ArgType::Mem(mem)) = before else {
            return Err(Stop::Bug("a size without memory before it"));
        };
        let base =
            r.num().checked_sub(1).and_then(Reg::new).ok_or(Stop::Bug("no memory argument"))?;
        let num = self.cur.reg(r).num;
        let reg = r.num();
        if num.smin() < 0 {
            return Err(RejectKind::SizeNegative { reg }.into());
        }
        if num.umin() == 0 && zero == ZeroSize::Forbidden {
            return Err(RejectKind::SizeZero { reg, min: 0, max: num.umax() }.into());
        }
        if num.umax() >= MAX_VAR_SIZE {
            return Err(RejectKind::SizeUnbounded { reg }.into());
        }
        let exact = if num.const_value().is_some() { Exact::Yes } else { Exact::No };
        let m = HelperMem { access: mem.access, size: num.umax(), exact, zero };
        let fill = self.check_helper_mem(base, m)?;
        self.mark_precise(r)?;
        Ok(fill)
    }

    /// A string constant: in a read-only map, at a known offset, with its end (`check_reg_const_str`).
    fn check_const_str(&self, r: Reg) -> Res<()> {
        let reg = *self.cur.reg(r);
        let RegKind::MapValue(id) = reg.kind else { return Err(Stop::Bug("not a map value")) };
        let map = self.map(id)?;
        let reg_no = r.num();
        let Some(bytes) = map.frozen_data.as_ref().filter(|_| map.flags & BPF_F_RDONLY_PROG != 0)
        else {
            return Err(RejectKind::StrNotReadOnly { reg: reg_no }.into());
        };
        let Some(var) = reg.num.const_value() else {
            return Err(RejectKind::StrVariable { reg: reg_no }.into());
        };
        let at = i64::from(reg.off).checked_add(var as i64).and_then(|o| usize::try_from(o).ok());
        let end = at.and_then(|a| bytes.get(a..)).and_then(|s| s.iter().position(|b| *b == 0));
        match end {
            Some(_) => Ok(()),
            None => Err(RejectKind::StrNoEnd {}.into()),
        }
    }
}

/// The register is of a kind that the argument takes (`check_reg_type`).
fn check_type(state: &RegState, arg: ArgType, r: Reg) -> Res<()> {
    let kind = state.kind;
    let mem = matches!(
        kind,
        RegKind::Stack(_)
            | RegKind::Packet(_)
            | RegKind::PacketMeta(_)
            | RegKind::MapKey(_)
            | RegKind::MapValue(_)
    );
    let (ok, expected) = match arg {
        ArgType::None | ArgType::Anything => (true, ""),
        ArgType::ConstMap => (matches!(kind, RegKind::Map(_)), "map_ptr"),
        ArgType::MapKey | ArgType::MapValue | ArgType::UninitMapValue => {
            (mem, "fp, pkt, pkt_meta, map_key, map_value")
        }
        ArgType::Mem(_) | ArgType::FixedMem(..) => {
            (mem, "fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_")
        }
        ArgType::Size | ArgType::SizeOrZero => (kind == RegKind::Scalar, "scalar"),
        ArgType::Ctx => (kind == RegKind::Ctx, "ctx"),
        ArgType::Func => (matches!(kind, RegKind::Func(_)), "func"),
        ArgType::StackOrNull => (matches!(kind, RegKind::Stack(_)), "fp"),
        ArgType::ConstStr => (matches!(kind, RegKind::MapValue(_)), "map_value"),
    };
    if ok && !state.may_be_null() {
        return Ok(());
    }
    let (reg, ty) = (r.num(), state.type_text());
    Err(RejectKind::ArgType { reg, ty, expected: expected.into() }.into())
}
