//! What touches the real kernel: for now, [`kernel`], the live bpf(2) as the oracle of tests.

#[cfg(target_os = "linux")]
pub mod kernel;
