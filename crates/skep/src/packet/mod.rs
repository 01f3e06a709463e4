//! Packets as programs see them: [`Skb`] and [`XdpBuff`], and the checksum arithmetic they share.

pub mod csum;
mod skb;
mod skb_shape;
mod xdp;

pub(crate) use skb::CsumState;
pub use skb::{Redirect, Skb, SkbView, field as skb_field};
pub(crate) use skb_shape::MAX_LEN as SKB_MAX_LEN;
pub use xdp::{XdpBuff, field as xdp_field};

/// `ETH_HLEN`: destination, source, type.
pub(crate) const ETH_HLEN: usize = 14;
/// `ETH_P_IP`.
pub(crate) const ETH_P_IP: u16 = 0x0800;
/// `ETH_P_IPV6`.
pub(crate) const ETH_P_IPV6: u16 = 0x86dd;
/// `ETH_P_8021Q`.
pub(crate) const ETH_P_8021Q: u16 = 0x8100;
/// `ETH_P_8021AD`.
pub(crate) const ETH_P_8021AD: u16 = 0x88a8;
/// `VLAN_HLEN`.
pub(crate) const VLAN_HLEN: usize = 4;
/// Smallest number that is an Ethernet type and not a length (`ETH_P_802_3_MIN`).
const ETH_P_802_3_MIN: u16 = 0x0600;
/// `ETH_P_802_3`.
const ETH_P_802_3: u16 = 0x0001;
/// `ETH_P_802_2`.
const ETH_P_802_2: u16 = 0x0004;

/// The protocol that a type or length field means, where `sap` are the two bytes after it (`eth_type_trans`).
pub(crate) fn eth_protocol(type_or_len: u16, sap: Option<[u8; 2]>) -> u16 {
    if type_or_len >= ETH_P_802_3_MIN {
        type_or_len
    } else if sap == Some([0xff, 0xff]) {
        ETH_P_802_3
    } else {
        ETH_P_802_2
    }
}
