//! How context fields are written down: constructors for what they have in common.

use skep_abi::insn::Size;
use skep_verifier::env::{CtxField, CtxFieldKind, CtxWrite, Narrow, Nullable, SockRet};

/// A number of 32 bits, readable in parts.
pub(super) const fn number(name: &'static str, off: u32) -> CtxField {
    CtxField::number(name, off)
}

/// A number of 32 bits, read as a whole.
pub(super) const fn whole(name: &'static str, off: u32) -> CtxField {
    narrow(number(name, off), Narrow::No)
}

/// A number of 64 bits, read as a whole.
pub(super) const fn wide(name: &'static str, off: u32) -> CtxField {
    CtxField { size: 8, max_access: Size::DW, ..whole(name, off) }
}

/// An array of numbers of 32 bits, each read as a whole.
pub(super) const fn words(name: &'static str, off: u32, size: u32) -> CtxField {
    CtxField { size, ..whole(name, off) }
}

/// Numbers of at most 32 bits, readable in parts.
pub(super) const fn bytes(name: &'static str, off: u32, size: u32) -> CtxField {
    CtxField { size, ..number(name, off) }
}

/// Numbers of at most 64 bits, readable in parts.
pub(super) const fn wide_bytes(name: &'static str, off: u32, size: u32) -> CtxField {
    CtxField { size, max_access: Size::DW, ..number(name, off) }
}

/// Which parts may be read.
pub(super) const fn narrow(f: CtxField, narrow: Narrow) -> CtxField {
    CtxField { kind: CtxFieldKind::Scalar { narrow }, ..f }
}

/// Who may write.
pub(super) const fn writable(f: CtxField, write: CtxWrite) -> CtxField {
    CtxField { write, ..f }
}

/// An address of 64 bits.
pub(super) const fn pointer(name: &'static str, off: u32, kind: CtxFieldKind) -> CtxField {
    CtxField { kind, ..wide(name, off) }
}

/// An address in 32 bits, as packet pointers were first shown.
pub(super) const fn short_pointer(name: &'static str, off: u32, kind: CtxFieldKind) -> CtxField {
    CtxField { kind, ..whole(name, off) }
}

/// A socket.
pub(super) const fn socket(
    name: &'static str,
    off: u32,
    sort: SockRet,
    nullable: Nullable,
) -> CtxField {
    pointer(name, off, CtxFieldKind::Socket(sort, nullable))
}
