//! Helpers of XDP programs. Facts: net/core/filter.c.

use super::{ANY, CTX, Helper, IN, OUT, SIZE, changes_pkt, helper_of, proto, ret};
use crate::packet::XdpBuff;
use crate::prog_type::ProgTypes;
use skep_abi::Errno;
use skep_vm::Call;

const XDP: ProgTypes = ProgTypes::XDP;

pub(super) static HELPERS: &[Helper] = &[
    helper_of(changes_pkt(proto(44, "xdp_adjust_head", &[CTX, ANY])), (4, 10), XDP, |c| {
        adjust(c, XdpBuff::adjust_head)
    }),
    helper_of(changes_pkt(proto(54, "xdp_adjust_meta", &[CTX, ANY])), (4, 15), XDP, |c| {
        adjust(c, XdpBuff::adjust_meta)
    }),
    helper_of(changes_pkt(proto(65, "xdp_adjust_tail", &[CTX, ANY])), (4, 18), XDP, |c| {
        adjust(c, XdpBuff::adjust_tail)
    }),
    helper_of(
        proto(188, "xdp_get_buff_len", &[CTX]),
        (5, 18),
        // Tracing programs may ask too, and so syscall programs, which have no packet.
        XDP,
        |c| c.ctx::<XdpBuff>().map_or(0, |xdp| xdp.len() as u64),
    ),
    helper_of(proto(189, "xdp_load_bytes", &[CTX, ANY, OUT, SIZE]), (5, 18), XDP, |c| ret(load(c))),
    helper_of(proto(190, "xdp_store_bytes", &[CTX, ANY, IN, SIZE]), (5, 18), XDP, |c| {
        ret(store(c))
    }),
];

fn adjust(call: &mut Call<'_>, f: fn(&mut XdpBuff, i32) -> Result<(), Errno>) -> u64 {
    let delta = call.scalar(1) as i32;
    ret(call.ctx::<XdpBuff>().map_or(Err(Errno::EINVAL), |xdp| f(xdp, delta)))
}

/// Offset and length, where they are such as the kernel looks at.
fn bounds(call: &Call<'_>) -> Result<(usize, usize), Errno> {
    let (off, len) = (call.scalar(1) as u32, call.scalar(3) as u32);
    if off > 0xffff || len > 0xffff {
        return Err(Errno::EFAULT);
    }
    Ok((off as usize, len as usize))
}

fn load(call: &mut Call<'_>) -> Result<(), Errno> {
    let (off, len) = bounds(call)?;
    let xdp = call.ctx::<XdpBuff>().ok_or(Errno::EINVAL)?;
    let data = xdp.read(off, len).ok_or(Errno::EINVAL)?;
    call.mem(2).copy_out(0, &data).map_err(|_| Errno::EFAULT)
}

fn store(call: &mut Call<'_>) -> Result<(), Errno> {
    let (off, _) = bounds(call)?;
    let data = call.mem(2).copy_in();
    let xdp = call.ctx::<XdpBuff>().ok_or(Errno::EINVAL)?;
    xdp.write(off, &data).ok_or(Errno::EINVAL)
}
