//! Helpers that exist only for translated classic BPF: ancillary loads that are not context fields.
//! Facts: net/core/filter.c, net/core/flow_dissector.c.

use super::{ANY, CTX, Helper, helper_of, proto};
use crate::packet::{ETH_P_IP, ETH_P_IPV6, Skb};
use crate::prog_type::ProgTypes;
use skep_abi::insn::cbpf::{HELPER_HATYPE, HELPER_NLATTR, HELPER_NLATTR_NEST, HELPER_PAY_OFFSET};
use skep_vm::Call;

const SF: ProgTypes = ProgTypes::SOCKET_FILTER;
const NO_VERSION: (u16, u16) = (0, 0);

pub(super) static HELPERS: &[Helper] = &[
    helper_of(proto(HELPER_PAY_OFFSET, "skb_get_pay_offset", &[CTX]), NO_VERSION, SF, |c| {
        c.ctx::<Skb>().map_or(0, |skb| pay_offset(skb))
    }),
    helper_of(proto(HELPER_NLATTR, "skb_get_nlattr", &[CTX, ANY, ANY]), NO_VERSION, SF, nlattr),
    helper_of(
        proto(HELPER_NLATTR_NEST, "skb_get_nlattr_nest", &[CTX, ANY, ANY]),
        NO_VERSION,
        SF,
        nlattr_nest,
    ),
    // ARPHRD_LOOPBACK: where packets are taken to come from.
    helper_of(proto(HELPER_HATYPE, "skb_get_hatype", &[CTX]), NO_VERSION, SF, |_| 772),
];

/// Where the transport's payload begins, from the start of the packet; 0 where that is not known.
///
/// DEVIATION: the kernel's flow dissector also looks through tunnels and MPLS.
fn pay_offset(skb: &Skb) -> u64 {
    let at = |off: usize, len: usize| skb.read(off, len);
    let Some((proto, l4)) = transport(skb) else { return 0 };
    let len = match proto {
        // TCP's header says its own length; the others have a fixed one.
        6 => match at(l4 + 12, 1) {
            Some(b) => usize::from(b[0] >> 4) * 4,
            None => return l4 as u64,
        },
        17 | 136 => 8,
        1 | 58 | 2 => 8,
        132 => 12,
        33 => 12,
        _ => 0,
    };
    (l4 + len) as u64
}

/// Protocol and offset of the transport header.
fn transport(skb: &Skb) -> Option<(u8, usize)> {
    let mut off = usize::try_from(skb.net_offset()).ok()?;
    match skb.protocol() {
        ETH_P_IP => {
            let head = skb.read(off, 20)?;
            let fragment = u16::from_be_bytes([head[6], head[7]]) & 0x1fff;
            let len = usize::from(head[0] & 0xf) * 4;
            (fragment == 0 && len >= 20).then_some((head[9], off + len))
        }
        ETH_P_IPV6 => {
            let mut next = skb.read(off, 40)?[6];
            off += 40;
            // Hop-by-hop, routing and destination options.
            for _ in 0..8 {
                if !matches!(next, 0 | 43 | 60) {
                    break;
                }
                let ext = skb.read(off, 2)?;
                (next, off) = (ext[0], off + (usize::from(ext[1]) + 1) * 8);
            }
            Some((next, off))
        }
        _ => None,
    }
}

/// Length of an attribute's header.
const NLA_HDRLEN: usize = 4;

/// Offset of the first attribute of a type in `off..end`.
fn find(skb: &Skb, mut off: usize, end: usize, kind: u16) -> Option<usize> {
    while off + NLA_HDRLEN <= end {
        let head = skb.read(off, NLA_HDRLEN)?;
        let len = usize::from(u16::from_ne_bytes([head[0], head[1]]));
        if len < NLA_HDRLEN || off + len > end {
            return None;
        }
        // The two top bits of the type are flags.
        if u16::from_ne_bytes([head[2], head[3]]) & 0x3fff == kind {
            return Some(off);
        }
        off += len.next_multiple_of(4);
    }
    None
}

fn nlattr(call: &mut Call<'_>) -> u64 {
    let (off, kind) = (call.scalar(1) as u32 as usize, call.scalar(2) as u32);
    let Ok(kind) = u16::try_from(kind) else { return 0 };
    let Some(skb) = call.ctx::<Skb>() else { return 0 };
    find(skb, off, skb.len(), kind).unwrap_or(0) as u64
}

fn nlattr_nest(call: &mut Call<'_>) -> u64 {
    let (off, kind) = (call.scalar(1) as u32 as usize, call.scalar(2) as u32);
    let Ok(kind) = u16::try_from(kind) else { return 0 };
    let Some(skb) = call.ctx::<Skb>() else { return 0 };
    let Some(head) = skb.read(off, NLA_HDRLEN) else { return 0 };
    let len = usize::from(u16::from_ne_bytes([head[0], head[1]]));
    if len > skb.len() - off {
        return 0;
    }
    find(skb, off + NLA_HDRLEN, off + len, kind).unwrap_or(0) as u64
}
