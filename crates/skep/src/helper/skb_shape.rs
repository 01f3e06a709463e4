//! Helpers that change a packet's length or headers. Facts: net/core/filter.c.

use super::{ANY, CTX, Helper, changes_pkt, helper_of, proto, ret};
use crate::packet::{
    CsumState, ETH_HLEN, ETH_P_8021AD, ETH_P_8021Q, ETH_P_IP, ETH_P_IPV6, SKB_MAX_LEN, Skb,
};
use crate::prog_type::ProgTypes;
use skep_abi::Errno;
use skep_vm::Call;

const TC: ProgTypes = ProgTypes::TC;
const TC_SK: ProgTypes = TC.with(ProgTypes::SK_SKB);
const SIZES: ProgTypes = TC_SK.with(ProgTypes::LWT_XMIT);

pub(super) static HELPERS: &[Helper] = &[
    helper_of(changes_pkt(proto(18, "skb_vlan_push", &[CTX, ANY, ANY])), (4, 3), TC, |c| {
        ret(vlan_push(c))
    }),
    helper_of(changes_pkt(proto(19, "skb_vlan_pop", &[CTX])), (4, 3), TC, |c| {
        ret(c.ctx::<Skb>().map_or(Err(Errno::EINVAL), Skb::vlan_pop))
    }),
    helper_of(changes_pkt(proto(31, "skb_change_proto", &[CTX, ANY, ANY])), (4, 8), TC, |c| {
        ret(change_proto(c))
    }),
    helper_of(changes_pkt(proto(38, "skb_change_tail", &[CTX, ANY, ANY])), (4, 9), SIZES, |c| {
        ret(change_tail(c))
    }),
    helper_of(changes_pkt(proto(43, "skb_change_head", &[CTX, ANY, ANY])), (4, 10), SIZES, |c| {
        ret(change_head(c))
    }),
    helper_of(
        changes_pkt(proto(50, "skb_adjust_room", &[CTX, ANY, ANY, ANY])),
        (4, 13),
        TC_SK,
        |c| ret(adjust_room(c)),
    ),
];

fn vlan_push(call: &mut Call<'_>) -> Result<(), Errno> {
    let (proto, tci) = (u16::from_be(call.scalar(1) as u16), call.scalar(2) as u16);
    let proto = if proto == ETH_P_8021AD { proto } else { ETH_P_8021Q };
    call.ctx::<Skb>().ok_or(Errno::EINVAL)?.vlan_push(proto, tci)
}

fn change_proto(call: &mut Call<'_>) -> Result<(), Errno> {
    let (proto, flags) = (u16::from_be(call.scalar(1) as u16), call.scalar(2));
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    call.ctx::<Skb>().ok_or(Errno::EINVAL)?.change_proto(proto)
}

fn change_tail(call: &mut Call<'_>) -> Result<(), Errno> {
    let (len, flags) = (call.scalar(1) as u32 as usize, call.scalar(2));
    let skb = call.ctx::<Skb>().ok_or(Errno::EINVAL)?;
    if flags != 0 || len > SKB_MAX_LEN || len < skb.min_len() {
        return Err(Errno::EINVAL);
    }
    if skb.encapsulated {
        return Err(Errno::ENOTSUPP);
    }
    skb.resize(len);
    Ok(())
}

fn change_head(call: &mut Call<'_>) -> Result<(), Errno> {
    let (more, flags) = (call.scalar(1) as u32 as usize, call.scalar(2));
    let skb = call.ctx::<Skb>().ok_or(Errno::EINVAL)?;
    if flags != 0 || skb.len() + more > SKB_MAX_LEN {
        return Err(Errno::EINVAL);
    }
    skb.push_head(more);
    Ok(())
}

const ENCAP_L3_IPV4: u64 = 1 << 1;
const ENCAP_L3_IPV6: u64 = 1 << 2;
const ENCAP_L4_GRE: u64 = 1 << 3;
const ENCAP_L4_UDP: u64 = 1 << 4;
const FIXED_GSO: u64 = 1;
const NO_CSUM_RESET: u64 = 1 << 5;
const ENCAP_L2_ETH: u64 = 1 << 6;
const DECAP_L3_IPV4: u64 = 1 << 7;
const DECAP_L3_IPV6: u64 = 1 << 8;
/// The top byte is the length of an inner link header.
const ENCAP_L2_SHIFT: u32 = 56;
const ENCAP_L3: u64 = ENCAP_L3_IPV4 | ENCAP_L3_IPV6;
const DECAP_L3: u64 = DECAP_L3_IPV4 | DECAP_L3_IPV6;
const ALL_FLAGS: u64 = FIXED_GSO
    | ENCAP_L3
    | ENCAP_L4_GRE
    | ENCAP_L4_UDP
    | NO_CSUM_RESET
    | ENCAP_L2_ETH
    | DECAP_L3
    | 0xff << ENCAP_L2_SHIFT;

fn header_len(protocol: u16) -> Option<usize> {
    match protocol {
        ETH_P_IP => Some(20),
        ETH_P_IPV6 => Some(40),
        _ => None,
    }
}

fn adjust_room(call: &mut Call<'_>) -> Result<(), Errno> {
    /// Longest difference in bytes.
    const MAX_DIFF: usize = 0xfff;
    let (diff, mode, flags) = (call.scalar(1) as i32, call.scalar(2) as u32, call.scalar(3));
    let skb = call.ctx::<Skb>().ok_or(Errno::EINVAL)?;
    let len = diff.unsigned_abs() as usize;
    let shrink = diff < 0;
    if flags & !ALL_FLAGS != 0 {
        return Err(Errno::EINVAL);
    }
    if len > MAX_DIFF {
        return Err(Errno::EFAULT);
    }
    let mut min_left = header_len(skb.protocol()).ok_or(Errno::ENOTSUPP)?;
    // BPF_ADJ_ROOM_NET, BPF_ADJ_ROOM_MAC
    let off = match mode {
        0 => skb.mac_header_len() + min_left,
        1 => skb.mac_header_len(),
        _ => return Err(Errno::ENOTSUPP),
    };
    if flags & DECAP_L3 != 0 {
        if !shrink {
            return Err(Errno::EINVAL);
        }
        min_left = match flags & DECAP_L3 {
            DECAP_L3_IPV4 => 20,
            DECAP_L3_IPV6 => 40,
            _ => return Err(Errno::EINVAL),
        };
    }
    let network_len = (skb.len() as i64 - skb.net_offset()).max(0) as usize;
    let too_short = shrink && (len >= network_len || network_len - len < min_left);
    if too_short || (!shrink && skb.len() + len > SKB_MAX_LEN) {
        return Err(Errno::ENOTSUPP);
    }
    if shrink {
        net_shrink(skb, off, len, flags)?
    } else {
        net_grow(skb, off, len, flags)?
    }
    if flags & NO_CSUM_RESET == 0 {
        skb.csum = CsumState::None;
    }
    Ok(())
}

fn net_grow(skb: &mut Skb, off: usize, len: usize, flags: u64) -> Result<(), Errno> {
    let encap = flags & ENCAP_L3 != 0;
    if encap {
        let inner_mac_len = (flags >> ENCAP_L2_SHIFT) as usize;
        let both = |pair: u64| flags & pair == pair;
        if both(ENCAP_L3) || both(ENCAP_L4_GRE | ENCAP_L4_UDP) {
            return Err(Errno::EINVAL);
        }
        if flags & ENCAP_L2_ETH != 0 && inner_mac_len < ETH_HLEN {
            return Err(Errno::EINVAL);
        }
        if skb.encapsulated {
            return Err(Errno::from_raw(EALREADY));
        }
        if inner_mac_len > len {
            return Err(Errno::EINVAL);
        }
    }
    skb.insert(off, len);
    if encap {
        skb.encapsulated = true;
        match (flags & ENCAP_L3, skb.protocol()) {
            (ENCAP_L3_IPV6, ETH_P_IP) => skb.set_protocol(ETH_P_IPV6),
            (ENCAP_L3_IPV4, ETH_P_IPV6) => skb.set_protocol(ETH_P_IP),
            _ => {}
        }
    }
    Ok(())
}

const EALREADY: i32 = 114;

fn net_shrink(skb: &mut Skb, off: usize, len: usize, flags: u64) -> Result<(), Errno> {
    if flags & !(FIXED_GSO | DECAP_L3 | NO_CSUM_RESET) != 0 {
        return Err(Errno::EINVAL);
    }
    if off + len > skb.len() {
        return Err(Errno::ENOMEM);
    }
    skb.remove(off, len);
    match (flags & DECAP_L3, skb.protocol()) {
        (DECAP_L3_IPV6, ETH_P_IP) => skb.set_protocol(ETH_P_IPV6),
        (DECAP_L3_IPV4, ETH_P_IPV6) => skb.set_protocol(ETH_P_IP),
        _ => {}
    }
    Ok(())
}
