//! Checksum helpers. Facts: net/core/filter.c, net/core/utils.c.

use super::{ANY, CTX, Helper, IN_OR_NULL, SIZE0, changes_pkt, helper_of, pkt_access, proto};
use crate::packet::{Skb, csum};
use crate::prog_type::ProgTypes;
use skep_abi::Errno;
use skep_vm::Call;

use crate::packet::CsumState;

const TC: ProgTypes = ProgTypes::TC;
const TC_LWT: ProgTypes = TC.with(ProgTypes::LWT_XMIT);

pub(super) static HELPERS: &[Helper] = &[
    helper_of(
        changes_pkt(proto(10, "l3_csum_replace", &[CTX, ANY, ANY, ANY, ANY])),
        (4, 1),
        TC_LWT,
        |c| l3_replace(c).unwrap_or_else(Errno::to_ret),
    ),
    helper_of(
        changes_pkt(proto(11, "l4_csum_replace", &[CTX, ANY, ANY, ANY, ANY])),
        (4, 1),
        TC_LWT,
        |c| l4_replace(c).unwrap_or_else(Errno::to_ret),
    ),
    helper_of(
        pkt_access(proto(28, "csum_diff", &[IN_OR_NULL, SIZE0, IN_OR_NULL, SIZE0, ANY])),
        (4, 6),
        TC.with(ProgTypes::XDP).with(ProgTypes::LWT),
        csum_diff,
    ),
    helper_of(proto(40, "csum_update", &[CTX, ANY]), (4, 9), TC_LWT, csum_update),
    helper_of(proto(135, "csum_level", &[CTX, ANY]), (5, 8), TC_LWT, csum_level),
];

/// `BPF_F_HDR_FIELD_MASK`: size of the field that changed; 0 for a difference.
const FIELD_MASK: u64 = 0xf;
const PSEUDO_HDR: u64 = 1 << 4;
const MARK_MANGLED_0: u64 = 1 << 5;
const MARK_ENFORCE: u64 = 1 << 6;
const IPV6: u64 = 1 << 7;
/// `CSUM_MANGLED_0`: what a UDP checksum of zero is sent as.
const MANGLED_0: u16 = 0xffff;

/// The checksum field's offset, if it may be one, and its value.
fn field(call: &mut Call<'_>) -> Result<(usize, u16), Errno> {
    let offset = call.scalar(1) as u32;
    if offset > 0xffff || offset & 1 != 0 {
        return Err(Errno::EFAULT);
    }
    let skb = call.ctx::<Skb>().ok_or(Errno::EFAULT)?;
    let bytes = skb.read(offset as usize, 2).ok_or(Errno::EFAULT)?;
    Ok((offset as usize, u16::from_ne_bytes([bytes[0], bytes[1]])))
}

fn store(call: &mut Call<'_>, offset: usize, check: u16) -> Result<u64, Errno> {
    let skb = call.ctx::<Skb>().ok_or(Errno::EFAULT)?;
    skb.write(offset, &check.to_ne_bytes()).ok_or(Errno::EFAULT)?;
    Ok(0)
}

fn l3_replace(call: &mut Call<'_>) -> Result<u64, Errno> {
    let (from, to, flags) = (call.scalar(2), call.scalar(3), call.scalar(4));
    if flags & !FIELD_MASK != 0 {
        return Err(Errno::EINVAL);
    }
    let (offset, check) = field(call)?;
    let check = match flags & FIELD_MASK {
        0 if from != 0 => return Err(Errno::EINVAL),
        0 => csum::replace_by_diff(check, to as u32),
        2 => csum::replace2(check, from as u16, to as u16),
        4 => csum::replace4(check, from as u32, to as u32),
        _ => return Err(Errno::EINVAL),
    };
    store(call, offset, check)
}

fn l4_replace(call: &mut Call<'_>) -> Result<u64, Errno> {
    let (from, to, flags) = (call.scalar(2), call.scalar(3), call.scalar(4));
    if flags & !(FIELD_MASK | PSEUDO_HDR | MARK_MANGLED_0 | MARK_ENFORCE | IPV6) != 0 {
        return Err(Errno::EINVAL);
    }
    let (offset, check) = field(call)?;
    let mangled = flags & MARK_MANGLED_0 != 0;
    if mangled && flags & MARK_ENFORCE == 0 && check == 0 {
        return Ok(0);
    }
    let check = match flags & FIELD_MASK {
        0 if from != 0 => return Err(Errno::EINVAL),
        0 => csum::replace_by_diff(check, to as u32),
        2 => csum::replace4(check, u32::from(from as u16), u32::from(to as u16)),
        4 => csum::replace4(check, from as u32, to as u32),
        _ => return Err(Errno::EINVAL),
    };
    store(call, offset, if mangled && check == 0 { MANGLED_0 } else { check })
}

fn csum_diff(call: &mut Call<'_>) -> u64 {
    let seed = call.scalar(4) as u32;
    let from = call.mem(0).copy_in();
    let to = call.mem(2).copy_in();
    let sum = match (!from.is_empty(), !to.is_empty()) {
        (true, true) => csum::sub(csum::partial(&to, seed), csum::partial(&from, 0)),
        (false, true) => csum::partial(&to, seed),
        (true, false) => !csum::partial(&from, !seed),
        (false, false) => seed,
    };
    u64::from(csum::fold_raw(sum))
}

/// Only packets whose checksum the device computed (`CHECKSUM_COMPLETE`) have a sum to update: none here.
fn csum_update(_call: &mut Call<'_>) -> u64 {
    Errno::ENOTSUPP.to_ret()
}

/// Highest level that there is (`SKB_MAX_CSUM_LEVEL`).
const MAX_LEVEL: u8 = 3;

fn csum_level(call: &mut Call<'_>) -> u64 {
    let level = call.scalar(1);
    let Some(skb) = call.ctx::<Skb>() else { return Errno::EINVAL.to_ret() };
    skb.csum = match (level, skb.csum) {
        // BPF_CSUM_LEVEL_QUERY
        (0, CsumState::Unnecessary(n)) => return u64::from(n),
        (0, CsumState::None) => return Errno::EACCES.to_ret(),
        // BPF_CSUM_LEVEL_INC
        (1, CsumState::Unnecessary(n)) => {
            CsumState::Unnecessary(n.saturating_add(1).min(MAX_LEVEL))
        }
        (1, CsumState::None) => CsumState::Unnecessary(0),
        // BPF_CSUM_LEVEL_DEC
        (2, CsumState::Unnecessary(n)) => match n.checked_sub(1) {
            Some(n) => CsumState::Unnecessary(n),
            None => CsumState::None,
        },
        (2, CsumState::None) => CsumState::None,
        // BPF_CSUM_LEVEL_RESET
        (3, _) => CsumState::None,
        _ => return Errno::EINVAL.to_ret(),
    };
    0
}
