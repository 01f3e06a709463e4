//! Members of the kernel's structures that programs of a type may write (`btf_struct_access` of its operations).

use super::member::Span;
use crate::reject::BtfReject;
use skep_btf::{Btf, TypeId};

/// What a program may write of the kernel's objects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum BtfWrites {
    /// Nothing.
    Nothing,
    /// What a congestion control algorithm sets (`bpf_tcp_ca`).
    TcpSock,
    /// The state of `bpf_dummy_ops`.
    DummyState,
    /// The mark of a connection (`nf_conn`).
    ConnMark,
}

/// Members of `tcp_sock` that may be written, each by its path from there. `icsk_ca_priv` at any offset within.
const TCP_SOCK: &[&[&str]] = &[
    &["inet_conn", "icsk_inet", "sk", "sk_pacing_rate"],
    &["inet_conn", "icsk_inet", "sk", "sk_pacing_status"],
    &["inet_conn", "icsk_ca_priv"],
    &["inet_conn", "icsk_ack", "pending"],
    &["snd_cwnd"],
    &["snd_cwnd_cnt"],
    &["snd_cwnd_stamp"],
    &["snd_ssthresh"],
    &["ecn_flags"],
    &["app_limited"],
];

/// Judges a store into an object.
pub(super) fn check_write(
    writes: BtfWrites,
    btf: &Btf,
    id: TypeId,
    at: Span,
) -> Result<(), BtfReject> {
    let name = btf.type_by_id(id).map_or("", |t| t.name());
    let (paths, owner): (&[&[&str]], &'static str) = match (writes, name) {
        (BtfWrites::TcpSock, "tcp_sock") => (TCP_SOCK, "tcp_sock"),
        (BtfWrites::ConnMark, "nf_conn") => (&[&["mark"]], "nf_conn"),
        (BtfWrites::ConnMark, "nf_conn___init") => (&[&["ct", "mark"], &["mark"]], "nf_conn"),
        (BtfWrites::DummyState, "bpf_dummy_ops_state") => {
            let size = btf.size_of(id).unwrap_or(0);
            let end = u64::from(at.off) + u64::from(at.size);
            let err = BtfReject::WriteOutside { off: at.off, size: at.size };
            return if end <= size { Ok(()) } else { Err(err) };
        }
        (BtfWrites::DummyState, _) => return Err(BtfReject::OnlyDummyState {}),
        (BtfWrites::Nothing | BtfWrites::TcpSock | BtfWrites::ConnMark, _) => {
            return Err(BtfReject::OnlyRead {});
        }
    };
    let member = paths
        .iter()
        .filter_map(|p| member_at(btf, id, p))
        .find(|m| m.off == at.off || (m.is_array && m.off <= at.off && at.off < m.off + m.size));
    let Some(m) = member else {
        return Err(BtfReject::NoWriteAt { name: owner, off: at.off });
    };
    let end = m.off + m.size;
    if u64::from(at.off) + u64::from(at.size) > u64::from(end) {
        return Err(BtfReject::WriteBeyond { off: at.off, size: at.size, name: owner, end });
    }
    Ok(())
}

struct Place {
    off: u32,
    size: u32,
    is_array: bool,
}

/// Where the member at the end of a path lies; also through members without a name.
fn member_at(btf: &Btf, id: TypeId, path: &[&str]) -> Option<Place> {
    let mut ty = btf.skip_typedefs_and_modifiers(id)?;
    let mut off = 0u32;
    for name in path {
        let (at, member) = named_member(btf, ty.id(), name, 0)?;
        off = off.checked_add(at)?;
        ty = btf.skip_typedefs_and_modifiers(member)?;
    }
    let size = u32::try_from(btf.size_of(ty.id()).ok()?).ok()?;
    Some(Place { off, size, is_array: ty.as_array().is_some() })
}

fn named_member(btf: &Btf, id: TypeId, name: &str, depth: u32) -> Option<(u32, TypeId)> {
    const MAX_DEPTH: u32 = 8;
    let def = btf.type_by_id(id)?.as_composite()?;
    for m in def.members.iter() {
        if m.name == name {
            return Some((m.bit_offset / 8, m.ty));
        }
        if m.name.is_empty() && depth < MAX_DEPTH {
            let inner = btf.skip_typedefs_and_modifiers(m.ty)?;
            if let Some((off, ty)) = named_member(btf, inner.id(), name, depth + 1) {
                return Some(((m.bit_offset / 8).checked_add(off)?, ty));
            }
        }
    }
    None
}
