//! Asking the kernel as somebody without privileges: [`unprivileged`], for which [`UnprivilegedBpf`] must allow bpf(2).

use std::io;

/// Capabilities that bpf(2) asks for: CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_PERFMON and CAP_BPF (`linux/capability.h`).
const BPF_CAPS: u64 = 1 << 12 | 1 << 21 | 1 << 38 | 1 << 39;
/// `_LINUX_CAPABILITY_VERSION_3`.
const VERSION: u32 = 0x2008_0522;
const UNPRIVILEGED_BPF_DISABLED: &str = "/proc/sys/kernel/unprivileged_bpf_disabled";

/// `struct __user_cap_header_struct`.
#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

/// `struct __user_cap_data_struct`, of 32 capabilities.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Runs something on a thread of its own that has none of the capabilities that bpf(2) asks for.
///
/// # Errors
/// Of capget(2) and capset(2).
///
/// # Panics
/// When `run` does.
pub fn unprivileged<T: Send>(run: impl FnOnce() -> T + Send) -> io::Result<T> {
    with_only(0, run)
}

/// As [`unprivileged`], but with those of the capabilities that are in `keep`, a bit for each number
/// (`linux/capability.h`).
///
/// # Errors
/// Of capget(2) and capset(2).
///
/// # Panics
/// When `run` does.
pub fn with_only<T: Send>(keep: u64, run: impl FnOnce() -> T + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        // Capabilities belong to a thread, so this one's are not touched.
        let thread = scope.spawn(|| drop_caps(BPF_CAPS & !keep).map(|()| run()));
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn drop_caps(caps: u64) -> io::Result<()> {
    let mut header = Header { version: VERSION, pid: 0 };
    let mut data = [Data::default(); 2];
    // SAFETY: version 3 of the interface reads one header and writes two data structures.
    let got = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, data.as_mut_ptr()) };
    if got != 0 {
        return Err(io::Error::last_os_error());
    }
    for (i, part) in data.iter_mut().enumerate() {
        part.effective &= !((caps >> (32 * i)) as u32);
    }
    // SAFETY: as above; both structures are only read.
    let set = unsafe { libc::syscall(libc::SYS_capset, &raw mut header, data.as_ptr()) };
    if set != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// While it lives, users without privileges may use bpf(2); afterwards the setting is what it was.
///
/// The setting is the whole machine's.
#[derive(Debug)]
pub struct UnprivilegedBpf {
    before: String,
}

impl UnprivilegedBpf {
    /// Sets `kernel.unprivileged_bpf_disabled` to 0.
    ///
    /// # Errors
    /// Of reading or writing the setting: once it is 1, it stays.
    pub fn allow() -> io::Result<UnprivilegedBpf> {
        let before = std::fs::read_to_string(UNPRIVILEGED_BPF_DISABLED)?;
        std::fs::write(UNPRIVILEGED_BPF_DISABLED, "0")?;
        Ok(UnprivilegedBpf { before })
    }
}

impl Drop for UnprivilegedBpf {
    fn drop(&mut self) {
        // Nobody is left to tell.
        let _ = std::fs::write(UNPRIVILEGED_BPF_DISABLED, self.before.trim());
    }
}
