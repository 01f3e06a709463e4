//! Helpers that read and write packets and their metadata. Facts: net/core/filter.c.

use super::{ANY, CTX, Helper, IN, OUT, SIZE, changes_pkt, helper_of, proto, ret};
use crate::packet::{Redirect, Skb, XdpBuff, skb_field};
use crate::prog_type::ProgTypes;
use skep_abi::Errno;
use skep_vm::Call;

const TC: ProgTypes = ProgTypes::TC;
const TC_LWT: ProgTypes = TC.with(ProgTypes::LWT_XMIT);
const SK: ProgTypes = ProgTypes::SK_SKB;
const SKB: ProgTypes =
    ProgTypes::SOCKET_FILTER.with(TC).with(ProgTypes::CGROUP_SKB).with(ProgTypes::SK_REUSEPORT);
const LOADS: ProgTypes = SKB.with(ProgTypes::LWT).with(SK).with(ProgTypes::FLOW_DISSECTOR);

pub(super) static HELPERS: &[Helper] = &[
    helper_of(
        changes_pkt(proto(9, "skb_store_bytes", &[CTX, ANY, IN, SIZE, ANY])),
        (4, 1),
        TC_LWT.with(SK),
        |c| ret(store_bytes(c)),
    ),
    helper_of(proto(26, "skb_load_bytes", &[CTX, ANY, OUT, SIZE]), (4, 5), LOADS, |c| {
        let off = i64::from(c.scalar(1) as u32);
        let allowed = off <= i64::from(i32::MAX);
        load_bytes(c, allowed.then_some(off))
    }),
    helper_of(
        proto(68, "skb_load_bytes_relative", &[CTX, ANY, OUT, SIZE, ANY]),
        (4, 18),
        SKB,
        load_relative,
    ),
    helper_of(proto(23, "redirect", &[ANY, ANY]), (4, 4), TC_LWT.with(ProgTypes::XDP), redirect),
    helper_of(proto(32, "skb_change_type", &[CTX, ANY]), (4, 8), TC, change_type),
    helper_of(proto(34, "get_hash_recalc", &[CTX]), (4, 8), TC.with(ProgTypes::LWT), |c| {
        c.ctx::<Skb>().map_or(0, |skb| u64::from(skb.hash_recalc()))
    }),
    helper_of(proto(48, "set_hash", &[CTX, ANY]), (4, 13), TC, |c| {
        let hash = c.scalar(1) as u32;
        set_hash(c, hash)
    }),
    helper_of(proto(41, "set_hash_invalid", &[CTX]), (4, 9), TC_LWT, |c| set_hash(c, 0)),
    helper_of(
        changes_pkt(proto(39, "skb_pull_data", &[CTX, ANY])),
        (4, 9),
        TC.with(ProgTypes::LWT).with(SK),
        pull_data,
    ),
];

/// `BPF_F_RECOMPUTE_CSUM`, which matters only for sums that devices computed.
const RECOMPUTE_CSUM: u64 = 1;
const INVALIDATE_HASH: u64 = 2;

fn store_bytes(call: &mut Call<'_>) -> Result<(), Errno> {
    let (off, flags) = (call.scalar(1) as u32, call.scalar(4));
    if flags & !(RECOMPUTE_CSUM | INVALIDATE_HASH) != 0 {
        return Err(Errno::EINVAL);
    }
    let off = i32::try_from(off).map_err(|_| Errno::EFAULT)?;
    let data = call.mem(2).copy_in();
    let skb = call.ctx::<Skb>().ok_or(Errno::EFAULT)?;
    skb.write(off as usize, &data).ok_or(Errno::EFAULT)?;
    if flags & INVALIDATE_HASH != 0 {
        skb.clear_hash();
    }
    Ok(())
}

/// Copies from an offset of the view; zeroes the memory where it cannot.
fn load_bytes(call: &mut Call<'_>, off: Option<i64>) -> u64 {
    let len = call.mem(2).len();
    let data = match (off, call.ctx::<Skb>()) {
        (Some(off), Some(skb)) => skb.read_at(off, len),
        _ => None,
    };
    match data {
        Some(data) if call.mem(2).copy_out(0, &data).is_ok() => 0,
        _ => {
            call.mem(2).zero();
            Errno::EFAULT.to_ret()
        }
    }
}

fn load_relative(call: &mut Call<'_>) -> u64 {
    let (off, start) = (i64::from(call.scalar(1) as u32), call.scalar(4) as u32);
    let base = call.ctx::<Skb>().and_then(|skb| match start {
        // BPF_HDR_START_MAC, BPF_HDR_START_NET
        0 => Some(skb.mac_offset()),
        1 => Some(skb.net_offset()),
        _ => None,
    });
    let off = if off > 0xffff { None } else { base.map(|b| b + off) };
    load_bytes(call, off)
}

/// Answers the verdict that makes the redirection happen.
fn redirect(call: &mut Call<'_>) -> u64 {
    const TC_ACT_SHOT: u64 = 2;
    const TC_ACT_REDIRECT: u64 = 7;
    const XDP_ABORTED: u64 = 0;
    const XDP_REDIRECT: u64 = 4;
    const INGRESS: u64 = 1;
    let (ifindex, flags) = (call.scalar(0) as u32, call.scalar(1));
    if let Some(skb) = call.ctx::<Skb>() {
        if flags & !INGRESS != 0 {
            return TC_ACT_SHOT;
        }
        skb.redirect = Some(Redirect { ifindex, flags });
        return TC_ACT_REDIRECT;
    }
    match call.ctx::<XdpBuff>() {
        Some(xdp) if flags == 0 => {
            xdp.redirect = Some(Redirect { ifindex, flags });
            XDP_REDIRECT
        }
        _ => XDP_ABORTED,
    }
}

fn change_type(call: &mut Call<'_>) -> u64 {
    /// `PACKET_OTHERHOST`, the last that may be changed from and to.
    const OTHERHOST: u32 = 3;
    let to = call.scalar(1) as u32;
    let Some(skb) = call.ctx::<Skb>() else { return Errno::EINVAL.to_ret() };
    if to > OTHERHOST || skb.get(skb_field::PKT_TYPE) > OTHERHOST {
        return Errno::EINVAL.to_ret();
    }
    skb.set(skb_field::PKT_TYPE, to);
    0
}

fn set_hash(call: &mut Call<'_>, hash: u32) -> u64 {
    if let Some(skb) = call.ctx::<Skb>() {
        skb.set(skb_field::HASH, hash);
    }
    0
}

/// The packet is linear, so there is nothing to pull.
fn pull_data(call: &mut Call<'_>) -> u64 {
    let len = call.scalar(1) as u32 as usize;
    match call.ctx::<Skb>() {
        Some(skb) if len <= skb.len() => 0,
        _ => Errno::ENOMEM.to_ret(),
    }
}
