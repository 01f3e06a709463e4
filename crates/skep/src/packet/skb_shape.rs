//! Growing, shrinking and re-heading an [`Skb`]. Facts: net/core/filter.c, net/core/skbuff.c of Linux 6.18.

use super::skb::{Skb, field};
use super::{ETH_HLEN, ETH_P_IP, ETH_P_IPV6, VLAN_HLEN, eth_protocol};
use skep_abi::Errno;
use skep_vm::NativeMem;

/// Longest packet that helpers grow to, in bytes (`BPF_SKB_MAX_LEN`: what fits into four pages).
pub(crate) const MAX_LEN: usize = 4 * 4096 - 320;

impl Skb {
    /// Makes `len` bytes of room before the data, and keeps what is before it.
    fn need_headroom(&mut self, len: usize) {
        if self.head >= len {
            return;
        }
        let more = len - self.head + 64;
        let mut buf = NativeMem::zeroed(self.buf.len() + more);
        let old = self.buf.to_vec(0, self.buf.len()).unwrap_or_default();
        let _ = buf.write(more, &old);
        self.buf = buf;
        self.head += more;
        self.mac += more;
        self.net += more;
    }

    /// Makes `len` bytes of room after the data.
    fn need_tailroom(&mut self, len: usize) {
        let end = self.head + self.len;
        if self.buf.len() - end >= len {
            return;
        }
        let mut buf = NativeMem::zeroed(end + len + 64);
        let old = self.buf.to_vec(0, end).unwrap_or_default();
        let _ = buf.write(0, &old);
        self.buf = buf;
    }

    /// Puts `len` zero bytes before the data; headers stay where they are.
    pub(crate) fn push(&mut self, len: usize) {
        self.need_headroom(len);
        self.head -= len;
        self.len += len;
        let _ = self.buf.fill(self.head, len, 0);
        self.sync();
    }

    /// Takes `len` bytes (at most all) off the front of the data.
    pub(crate) fn pull(&mut self, len: usize) {
        let len = len.min(self.len);
        self.head += len;
        self.len -= len;
        self.sync();
    }

    /// Sets the length, with zeros for what is new.
    pub(crate) fn resize(&mut self, len: usize) {
        if len > self.len {
            let more = len - self.len;
            self.need_tailroom(more);
            let _ = self.buf.fill(self.head + self.len, more, 0);
        }
        self.len = len;
        self.sync();
    }

    /// Puts `len` zero bytes at `off`; the headers before them move to the front.
    pub(crate) fn insert(&mut self, off: usize, len: usize) {
        self.push(len);
        let front = off.min(self.len - len);
        let _ = self.buf.copy_within(self.head + len, self.head, front);
        let _ = self.buf.fill(self.head + front, len, 0);
        self.mac = self.mac.saturating_sub(len);
        self.net = self.net.saturating_sub(len);
    }

    /// Takes the `len` bytes at `off` out; the headers before them move back.
    pub(crate) fn remove(&mut self, off: usize, len: usize) {
        if off + len > self.len {
            return;
        }
        let _ = self.buf.copy_within(self.head, self.head + len, off);
        self.pull(len);
        self.mac += len;
        self.net += len;
    }

    /// Length of the link header in bytes (`skb_mac_header_len`).
    pub(crate) fn mac_header_len(&self) -> usize {
        self.net.saturating_sub(self.mac)
    }

    /// Puts `len` zero bytes in front; they are the link header from now on.
    pub(crate) fn push_head(&mut self, len: usize) {
        self.push(len);
        self.mac = self.head;
    }

    /// `bpf_skb_vlan_push`: the tag goes beside the packet; one that is there already goes into it.
    pub(crate) fn vlan_push(&mut self, proto: u16, tci: u16) -> Result<(), Errno> {
        if let Some((old_proto, old_tci)) = self.vlan_tag() {
            if self.head != self.mac {
                return Err(Errno::EINVAL);
            }
            let addresses = 12;
            self.insert(addresses, VLAN_HLEN);
            let [p0, p1] = old_proto.to_be_bytes();
            let [t0, t1] = old_tci.to_be_bytes();
            self.write(addresses, &[p0, p1, t0, t1]).ok_or(Errno::EINVAL)?;
            self.set_protocol(old_proto);
        }
        self.set_vlan_tag(Some((proto, tci)));
        Ok(())
    }

    /// `bpf_skb_vlan_pop`: drops the tag beside the packet or else the first in it; the next one in it, if there is
    /// one, goes beside.
    pub(crate) fn vlan_pop(&mut self) -> Result<(), Errno> {
        if self.vlan_tag().is_some() {
            self.set_vlan_tag(None);
        } else {
            if !Skb::is_vlan(self.protocol()) {
                return Ok(());
            }
            self.vlan_take()?;
        }
        let proto = self.protocol();
        if Skb::is_vlan(proto) {
            let tci = self.vlan_take()?;
            self.set_vlan_tag(Some((proto, tci)));
        }
        Ok(())
    }

    /// Takes the first tag out of the packet; answers its TCI.
    fn vlan_take(&mut self) -> Result<u16, Errno> {
        let head = self.read(0, ETH_HLEN + VLAN_HLEN).ok_or(Errno::ENOMEM)?;
        let sap = self.read(ETH_HLEN + VLAN_HLEN, 2).map(|b| [b[0], b[1]]);
        let net = self.net;
        self.remove(12, VLAN_HLEN);
        self.net = net.max(self.mac + ETH_HLEN);
        self.set_protocol(eth_protocol(u16::from_be_bytes([head[16], head[17]]), sap));
        Ok(u16::from_be_bytes([head[14], head[15]]))
    }

    /// `bpf_skb_change_proto`: 20 bytes more or less for the network header.
    pub(crate) fn change_proto(&mut self, to: u16) -> Result<(), Errno> {
        const DIFF: usize = 20;
        let off = self.mac_header_len();
        match (self.protocol(), to) {
            (ETH_P_IP, ETH_P_IPV6) => self.insert(off, DIFF),
            (ETH_P_IPV6, ETH_P_IP) => {
                if off + DIFF > self.len {
                    return Err(Errno::ENOMEM);
                }
                self.remove(off, DIFF);
            }
            _ => return Err(Errno::ENOTSUPP),
        }
        self.set_protocol(to);
        self.clear_hash();
        Ok(())
    }

    /// Shortest length that `bpf_skb_change_tail` may cut to, in bytes.
    pub(crate) fn min_len(&self) -> usize {
        usize::try_from(self.net_offset()).unwrap_or(0)
    }

    /// What `bpf_get_hash_recalc` answers: the hash that is there, or one of the addresses and ports.
    ///
    /// DEVIATION: the kernel mixes in a secret; this hash is the same in each run.
    pub(crate) fn hash_recalc(&mut self) -> u32 {
        let known = self.get(field::HASH);
        if known != 0 {
            return known;
        }
        let take = match self.protocol() {
            ETH_P_IP => 12..24,
            ETH_P_IPV6 => 8..44,
            _ => 0..0,
        };
        let start = self.net_offset() + take.start as i64;
        let bytes = self.read_at(start, take.len()).unwrap_or_default();
        // FNV-1a.
        let hash =
            bytes.iter().fold(0x811c_9dc5u32, |h, b| (h ^ u32::from(*b)).wrapping_mul(16_777_619));
        let hash = hash.max(1);
        self.set(field::HASH, hash);
        hash
    }
}
