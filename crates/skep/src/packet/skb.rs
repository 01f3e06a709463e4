//! [`Skb`]: a packet as socket filters and traffic control programs see it (`struct sk_buff`).
//!
//! The packet is linear, with room before and after it. The native context is `__sk_buff` as in the UAPI, with
//! the packet pointers, which do not fit into its 32-bit fields, after its end. Growing and shrinking is
//! in `skb_shape`.

use super::{ETH_HLEN, ETH_P_8021AD, ETH_P_8021Q, ETH_P_IP, ETH_P_IPV6, eth_protocol};
use core::any::Any;
use skep_abi::Errno;
use skep_abi::insn::Size;
use skep_vm::{Context, NativeMem, Region, RegionAccess};

/// Offsets in `struct __sk_buff` (linux/bpf.h), and of the native pointers after it.
pub mod field {
    #![expect(missing_docs, reason = "the names are those of the UAPI")]
    pub const LEN: u32 = 0;
    pub const PKT_TYPE: u32 = 4;
    pub const MARK: u32 = 8;
    pub const QUEUE_MAPPING: u32 = 12;
    pub const PROTOCOL: u32 = 16;
    pub const VLAN_PRESENT: u32 = 20;
    pub const VLAN_TCI: u32 = 24;
    pub const VLAN_PROTO: u32 = 28;
    pub const PRIORITY: u32 = 32;
    pub const INGRESS_IFINDEX: u32 = 36;
    pub const IFINDEX: u32 = 40;
    pub const TC_INDEX: u32 = 44;
    pub const CB: u32 = 48;
    pub const HASH: u32 = 68;
    pub const TC_CLASSID: u32 = 72;
    pub const DATA: u32 = 76;
    pub const DATA_END: u32 = 80;
    pub const NAPI_ID: u32 = 84;
    pub const DATA_META: u32 = 140;
    pub const TSTAMP: u32 = 152;
    pub const WIRE_LEN: u32 = 160;
    pub const GSO_SEGS: u32 = 164;
    /// Never set: there are no sockets.
    pub const SK: u32 = 168;
    pub const GSO_SIZE: u32 = 176;
    pub const TSTAMP_TYPE: u32 = 180;
    pub const HWTSTAMP: u32 = 184;
    /// Size of the UAPI struct.
    pub const SIZE: u32 = 192;
    pub const NATIVE_DATA: u32 = 192;
    pub const NATIVE_DATA_END: u32 = 200;
    pub const NATIVE_DATA_META: u32 = 208;
    /// Size of the native context.
    pub const NATIVE_SIZE: u32 = 216;
}

/// Where a program's view of the packet starts, and whether it may address it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SkbView {
    /// From the network header, without direct access: socket filters, in a test run.
    Network,
    /// From the link header, without direct access: socket filters of packet sockets, as a capture is made through.
    Capture,
    /// From the link header, with direct access: traffic control.
    Link,
}

/// Where a program wants a packet sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Redirect {
    /// Interface number.
    pub ifindex: u32,
    /// `BPF_F_INGRESS` or 0.
    pub flags: u64,
}

/// What is known of the checksum (`ip_summed` and `csum_level`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CsumState {
    /// `CHECKSUM_NONE`.
    None,
    /// `CHECKSUM_UNNECESSARY`, with the number of verified layers above the first.
    Unnecessary(u8),
}

/// Room before the packet that is kept free for pushes, in bytes (`NET_SKB_PAD`).
const HEADROOM: usize = 64;
/// Room after the packet, in bytes.
const TAILROOM: usize = 64;

/// A packet with what is known of it.
#[derive(Debug)]
pub struct Skb {
    ctx: NativeMem,
    pub(super) buf: NativeMem,
    /// Offset of the data in `buf`.
    pub(super) head: usize,
    pub(super) len: usize,
    /// Offset of the link header in `buf`.
    pub(super) mac: usize,
    /// Offset of the network header in `buf`.
    pub(super) net: usize,
    view: SkbView,
    pub(crate) csum: CsumState,
    /// Whether headers were pushed as a tunnel.
    pub(crate) encapsulated: bool,
    pub(crate) redirect: Option<Redirect>,
}

impl Skb {
    /// An Ethernet frame as received on the loopback interface, which is what `BPF_PROG_TEST_RUN` makes of
    /// its input.
    ///
    /// # Errors
    /// `EINVAL` if the frame is too short for its Ethernet header, or for the IP header that its type promises.
    pub fn new(frame: &[u8], view: SkbView) -> Result<Skb, Errno> {
        let type_or_len = frame.get(12..14).ok_or(Errno::EINVAL)?;
        let sap = frame.get(14..16).map(|b| [b[0], b[1]]);
        let protocol = eth_protocol(u16::from_be_bytes([type_or_len[0], type_or_len[1]]), sap);
        let least = match protocol {
            ETH_P_IP => ETH_HLEN + 20,
            ETH_P_IPV6 => ETH_HLEN + 40,
            _ => ETH_HLEN,
        };
        if frame.len() < least {
            return Err(Errno::EINVAL);
        }
        let mut skb = Skb {
            ctx: NativeMem::zeroed(field::NATIVE_SIZE as usize),
            buf: NativeMem::zeroed(0),
            head: 0,
            len: 0,
            mac: HEADROOM,
            net: HEADROOM + ETH_HLEN,
            view,
            csum: CsumState::None,
            encapsulated: false,
            redirect: None,
        };
        skb.refill(frame, protocol);
        skb.set(field::IFINDEX, 1);
        Ok(skb)
    }

    fn refill(&mut self, frame: &[u8], protocol: u16) {
        self.buf = NativeMem::zeroed(HEADROOM + frame.len() + TAILROOM);
        // Within the buffer just made.
        let _ = self.buf.write(HEADROOM, frame);
        let skip = match self.view {
            SkbView::Network => ETH_HLEN,
            SkbView::Capture | SkbView::Link => 0,
        };
        self.head = HEADROOM + skip;
        self.len = frame.len() - skip;
        self.set_protocol(protocol);
        // PACKET_HOST, _MULTICAST, _OTHERHOST. The loopback interface's own and broadcast addresses are zero.
        let pkt_type = match &frame[..6] {
            [0, 0, 0, 0, 0, 0] => 0,
            [first, ..] if first & 1 == 1 => 2,
            _ => 3,
        };
        self.set(field::PKT_TYPE, pkt_type);
        self.sync();
    }

    /// Length of the packet as the program sees it, in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the program sees no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The packet from where the program's view starts.
    pub fn to_vec(&self) -> Vec<u8> {
        self.buf.to_vec(self.head, self.len).unwrap_or_default()
    }

    /// The packet as it would go out on a wire: with the tag that is kept beside it.
    pub fn to_vec_with_tag(&self) -> Vec<u8> {
        let mut frame = self.to_vec();
        let addresses = 12;
        if let Some((proto, tci)) = self.vlan_tag()
            && self.mac == self.head
            && frame.len() >= ETH_HLEN
        {
            let [p0, p1] = proto.to_be_bytes();
            let [t0, t1] = tci.to_be_bytes();
            frame.splice(addresses..addresses, [p0, p1, t0, t1]);
        }
        frame
    }

    /// Where the program asked for the packet to be sent, if it did.
    pub fn redirect(&self) -> Option<Redirect> {
        self.redirect
    }

    /// A 32-bit field of the context, see [`field`].
    pub fn get(&self, off: u32) -> u32 {
        self.ctx.get(off as usize, Size::W).unwrap_or(0) as u32
    }

    /// Sets a 32-bit field of the context.
    pub fn set(&mut self, off: u32, val: u32) {
        // Offsets are those of `field`, all within.
        let _ = self.ctx.set(off as usize, Size::W, u64::from(val));
    }

    /// A 64-bit field of the context.
    pub fn get64(&self, off: u32) -> u64 {
        self.ctx.get(off as usize, Size::DW).unwrap_or(0)
    }

    /// Sets a 64-bit field of the context.
    pub fn set64(&mut self, off: u32, val: u64) {
        let _ = self.ctx.set(off as usize, Size::DW, val);
    }

    /// The protocol in host order.
    pub fn protocol(&self) -> u16 {
        u16::from_be(self.get(field::PROTOCOL) as u16)
    }

    pub(crate) fn set_protocol(&mut self, protocol: u16) {
        self.set(field::PROTOCOL, u32::from(protocol.to_be()));
    }

    /// Whether `protocol` is that of a VLAN tag.
    pub(crate) fn is_vlan(protocol: u16) -> bool {
        matches!(protocol, ETH_P_8021Q | ETH_P_8021AD)
    }

    /// The tag that is kept beside the packet: protocol in host order, and TCI.
    pub fn vlan_tag(&self) -> Option<(u16, u16)> {
        let proto = u16::from_be(self.get(field::VLAN_PROTO) as u16);
        (self.get(field::VLAN_PRESENT) != 0).then(|| (proto, self.get(field::VLAN_TCI) as u16))
    }

    /// Sets or clears the tag that is kept beside the packet.
    pub fn set_vlan_tag(&mut self, tag: Option<(u16, u16)>) {
        let (proto, tci) = tag.unwrap_or((0, 0));
        self.set(field::VLAN_PRESENT, u32::from(tag.is_some()));
        self.set(field::VLAN_PROTO, u32::from(proto.to_be()));
        self.set(field::VLAN_TCI, u32::from(tci));
    }

    pub(crate) fn clear_hash(&mut self) {
        self.set(field::HASH, 0);
    }

    /// Copies bytes from `off` of the program's view.
    pub(crate) fn read(&self, off: usize, len: usize) -> Option<Vec<u8>> {
        let end = off.checked_add(len)?;
        if end > self.len { None } else { self.buf.to_vec(self.head + off, len).ok() }
    }

    /// Writes bytes at `off` of the program's view.
    pub(crate) fn write(&mut self, off: usize, data: &[u8]) -> Option<()> {
        let end = off.checked_add(data.len())?;
        if end > self.len { None } else { self.buf.write(self.head + off, data).ok() }
    }

    /// Offset of the link header from the view's start; negative for a view from the network header.
    pub(crate) fn mac_offset(&self) -> i64 {
        self.mac as i64 - self.head as i64
    }

    /// Offset of the network header from the view's start.
    pub(crate) fn net_offset(&self) -> i64 {
        self.net as i64 - self.head as i64
    }

    /// Reads from an offset that may lie before the view, but not before the buffer.
    pub(crate) fn read_at(&self, off: i64, len: usize) -> Option<Vec<u8>> {
        let at = usize::try_from(self.head as i64 + off).ok()?;
        let end = at.checked_add(len)?;
        if end > self.head + self.len { None } else { self.buf.to_vec(at, len).ok() }
    }

    /// Writes what follows from the packet's shape into the context.
    pub(super) fn sync(&mut self) {
        let data = self.buf.addr() + self.head as u64;
        self.set(field::LEN, self.len as u32);
        self.set64(field::NATIVE_DATA, data);
        self.set64(field::NATIVE_DATA_META, data);
        self.set64(field::NATIVE_DATA_END, data + self.len as u64);
    }
}

/// `SKF_NET_OFF` and `SKF_LL_OFF` (linux/filter.h).
const SKF_NET_OFF: i64 = -0x10_0000;
const SKF_LL_OFF: i64 = -0x20_0000;

impl Context for Skb {
    fn ctx_mem(&self) -> &NativeMem {
        &self.ctx
    }

    fn regions<'a>(&'a self, out: &mut Vec<Region<'a>>) {
        let (fields, pointers) = (field::SIZE as usize, field::NATIVE_DATA as usize);
        out.extend(self.ctx.region(0, fields, RegionAccess::ReadWrite));
        // A program that could write these could address anything.
        let rest = field::NATIVE_SIZE as usize - pointers;
        out.extend(self.ctx.region(pointers, rest, RegionAccess::Read));
        if self.view == SkbView::Link {
            out.extend(self.buf.region(self.head, self.len, RegionAccess::ReadWrite));
        }
    }

    fn ld_abs(&self, off: i32, size: Size) -> Option<u64> {
        let (off, len) = (i64::from(off), size.bytes() as usize);
        let bytes = if off >= 0 {
            self.read(usize::try_from(off).ok()?, len)?
        } else if off >= SKF_NET_OFF {
            self.read_at(self.net_offset() + off - SKF_NET_OFF, len)?
        } else if off >= SKF_LL_OFF {
            self.read_at(self.mac_offset() + off - SKF_LL_OFF, len)?
        } else {
            return None;
        };
        Some(bytes.iter().fold(0, |n, b| n << 8 | u64::from(*b)))
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}
