//! [`XdpBuff`]: a packet as XDP programs see it (`struct xdp_buff`).
//!
//! The frame lies in a page with headroom before it, as `BPF_PROG_TEST_RUN` and most drivers have it. The native
//! context is `xdp_md` as in the UAPI, with the packet pointers after its end.

use super::ETH_HLEN;
use core::any::Any;
use skep_abi::Errno;
use skep_abi::insn::Size;
use skep_vm::{Context, NativeMem, Region, RegionAccess};

use super::skb::Redirect;

/// Offsets in `struct xdp_md` (linux/bpf.h), and of the native pointers after it.
pub mod field {
    #![expect(missing_docs, reason = "the names are those of the UAPI")]
    pub const DATA: u32 = 0;
    pub const DATA_END: u32 = 4;
    pub const DATA_META: u32 = 8;
    pub const INGRESS_IFINDEX: u32 = 12;
    pub const RX_QUEUE_INDEX: u32 = 16;
    pub const EGRESS_IFINDEX: u32 = 20;
    /// Size of the UAPI struct.
    pub const SIZE: u32 = 24;
    pub const NATIVE_DATA: u32 = 24;
    pub const NATIVE_DATA_END: u32 = 32;
    pub const NATIVE_DATA_META: u32 = 40;
    /// Size of the native context.
    pub const NATIVE_SIZE: u32 = 48;
}

/// `XDP_PACKET_HEADROOM`.
const HEADROOM: usize = 256;
/// What the kernel keeps at the start of the headroom (`struct xdp_frame`), in bytes.
const FRAME_INFO: usize = 40;
/// What the kernel keeps at the end of the page (`struct skb_shared_info`), in bytes.
const TAIL_INFO: usize = 320;
/// Longest frame that fits into a page, in bytes.
pub(crate) const MAX_LINEAR: usize = 4096 - HEADROOM - TAIL_INFO;
/// Longest metadata, in bytes, is below this (`xdp_metalen_invalid`).
const META_LIMIT: usize = 256;

/// A frame in its page.
#[derive(Debug)]
pub struct XdpBuff {
    ctx: NativeMem,
    buf: NativeMem,
    /// Offsets in `buf`, ascending.
    meta: usize,
    data: usize,
    end: usize,
    pub(crate) redirect: Option<Redirect>,
}

impl XdpBuff {
    /// A frame with `meta_len` bytes of metadata before it, both in `bytes`, received on the loopback interface.
    ///
    /// A frame that is too long for a page gets a larger one, so that captures of large segments can be played.
    ///
    /// # Errors
    /// `EINVAL` if the frame is shorter than an Ethernet header, or for metadata that is not a multiple of 4 bytes
    /// or longer than the headroom.
    pub fn new(bytes: &[u8], meta_len: usize) -> Result<XdpBuff, Errno> {
        if bytes.len() < meta_len.saturating_add(ETH_HLEN) {
            return Err(Errno::EINVAL);
        }
        if !meta_len.is_multiple_of(4) || meta_len > HEADROOM - FRAME_INFO {
            return Err(Errno::EINVAL);
        }
        let room = MAX_LINEAR.max(bytes.len() - meta_len);
        let mut buf = NativeMem::zeroed(HEADROOM + room);
        let meta = HEADROOM - meta_len;
        let _ = buf.write(meta, bytes);
        let ctx = NativeMem::zeroed(field::NATIVE_SIZE as usize);
        let end = meta + bytes.len();
        let mut xdp = XdpBuff { ctx, buf, meta, data: HEADROOM, end, redirect: None };
        xdp.set(field::INGRESS_IFINDEX, 1);
        xdp.sync();
        Ok(xdp)
    }

    /// A 32-bit field of the context, see [`field`].
    pub fn get(&self, off: u32) -> u32 {
        self.ctx.get(off as usize, Size::W).unwrap_or(0) as u32
    }

    /// Sets a 32-bit field of the context.
    pub fn set(&mut self, off: u32, val: u32) {
        let _ = self.ctx.set(off as usize, Size::W, u64::from(val));
    }

    /// Length of the frame without metadata, in bytes.
    pub fn len(&self) -> usize {
        self.end - self.data
    }

    /// Whether there is no frame; there always is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Length of the metadata, in bytes.
    pub fn meta_len(&self) -> usize {
        self.data - self.meta
    }

    /// The frame, without metadata.
    pub fn to_vec(&self) -> Vec<u8> {
        self.buf.to_vec(self.data, self.len()).unwrap_or_default()
    }

    /// Metadata and frame, as `BPF_PROG_TEST_RUN` gives them out.
    pub fn to_vec_with_meta(&self) -> Vec<u8> {
        self.buf.to_vec(self.meta, self.end - self.meta).unwrap_or_default()
    }

    /// Where the program asked for the packet to be sent, if it did.
    pub fn redirect(&self) -> Option<Redirect> {
        self.redirect
    }

    pub(crate) fn read(&self, off: usize, len: usize) -> Option<Vec<u8>> {
        let end = off.checked_add(len)?;
        if end > self.len() { None } else { self.buf.to_vec(self.data + off, len).ok() }
    }

    pub(crate) fn write(&mut self, off: usize, data: &[u8]) -> Option<()> {
        let end = off.checked_add(data.len())?;
        if end > self.len() { None } else { self.buf.write(self.data + off, data).ok() }
    }

    /// `bpf_xdp_adjust_head`: moves the start by `delta`; metadata moves along.
    pub(crate) fn adjust_head(&mut self, delta: i32) -> Result<(), Errno> {
        let data = offset(self.data, delta)?;
        let meta_len = self.meta_len();
        if data < FRAME_INFO + meta_len || data + ETH_HLEN > self.end {
            return Err(Errno::EINVAL);
        }
        let meta = data - meta_len;
        let _ = self.buf.copy_within(self.meta, meta, meta_len);
        (self.meta, self.data) = (meta, data);
        self.sync();
        Ok(())
    }

    /// `bpf_xdp_adjust_meta`: moves the start of the metadata by `delta`.
    pub(crate) fn adjust_meta(&mut self, delta: i32) -> Result<(), Errno> {
        let meta = offset(self.meta, delta)?;
        if meta < FRAME_INFO || meta > self.data {
            return Err(Errno::EINVAL);
        }
        let len = self.data - meta;
        if !len.is_multiple_of(4) || len >= META_LIMIT {
            return Err(Errno::EACCES);
        }
        self.meta = meta;
        self.sync();
        Ok(())
    }

    /// `bpf_xdp_adjust_tail`: moves the end by `delta`, with zeros for what is new.
    pub(crate) fn adjust_tail(&mut self, delta: i32) -> Result<(), Errno> {
        let end = offset(self.end, delta)?;
        if end > self.buf.len() || end < self.data + ETH_HLEN {
            return Err(Errno::EINVAL);
        }
        if end > self.end {
            let _ = self.buf.fill(self.end, end - self.end, 0);
        }
        self.end = end;
        self.sync();
        Ok(())
    }

    fn sync(&mut self) {
        let base = self.buf.addr();
        for (slot, off) in [
            (field::NATIVE_DATA, self.data),
            (field::NATIVE_DATA_END, self.end),
            (field::NATIVE_DATA_META, self.meta),
        ] {
            let _ = self.ctx.set(slot as usize, Size::DW, base + off as u64);
        }
    }
}

fn offset(from: usize, delta: i32) -> Result<usize, Errno> {
    usize::try_from(from as i64 + i64::from(delta)).map_err(|_| Errno::EINVAL)
}

impl Context for XdpBuff {
    fn ctx_mem(&self) -> &NativeMem {
        &self.ctx
    }

    fn regions<'a>(&'a self, out: &mut Vec<Region<'a>>) {
        out.extend(self.ctx.region(0, field::NATIVE_SIZE as usize, RegionAccess::Read));
        let len = self.end - self.meta;
        out.extend(self.buf.region(self.meta, len, RegionAccess::ReadWrite));
    }

    fn ld_abs(&self, _off: i32, _size: Size) -> Option<u64> {
        None
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}
