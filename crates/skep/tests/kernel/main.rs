//! Each program type and helper against the live kernel's `BPF_PROG_TEST_RUN`: the same program, packet, context and
//! maps for both; the same verdict, result, packet, context and map contents. Where they differ, the kernel is right.
#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

#[cfg(target_os = "linux")]
mod both;
#[cfg(target_os = "linux")]
mod calls;
#[cfg(target_os = "linux")]
mod context;
#[cfg(target_os = "linux")]
mod csum;
#[cfg(target_os = "linux")]
mod judged;
#[cfg(target_os = "linux")]
mod maps;
#[cfg(target_os = "linux")]
mod skb;
#[cfg(target_os = "linux")]
mod text;
#[cfg(target_os = "linux")]
mod xdp;
