//! Classic BPF on the live kernel: [`ClassicSocket`] runs a filter on packets, [`seccomp_accepts`] validates one.

use skep_abi::Errno;
use skep_abi::insn::cbpf::SockFilter;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixDatagram;

/// A pair of sockets with a filter on the receiving one.
#[derive(Debug)]
pub struct ClassicSocket {
    sender: UnixDatagram,
    receiver: UnixDatagram,
}

fn last_errno() -> Errno {
    Errno::from_raw(io::Error::last_os_error().raw_os_error().unwrap_or(libc::EINVAL))
}

/// The filter in the kernel's layout.
fn native(filter: &[SockFilter]) -> Vec<libc::sock_filter> {
    filter.iter().map(|f| libc::sock_filter { code: f.code, jt: f.jt, jf: f.jf, k: f.k }).collect()
}

/// `struct sock_fprog`, which points into `filter`; a filter that is too long to count is cut.
fn program(filter: &mut [libc::sock_filter]) -> libc::sock_fprog {
    let len = filter.len().min(usize::from(u16::MAX)) as u16;
    libc::sock_fprog { len, filter: filter.as_mut_ptr() }
}

impl ClassicSocket {
    /// Attaches a filter (`SO_ATTACH_FILTER`).
    ///
    /// # Errors
    /// `EINVAL` for a filter that is not valid; others of making sockets.
    pub fn attach(filter: &[SockFilter]) -> Result<ClassicSocket, Errno> {
        let (sender, receiver) = UnixDatagram::pair()
            .map_err(|e| Errno::from_raw(e.raw_os_error().unwrap_or(libc::EMFILE)))?;
        receiver
            .set_nonblocking(true)
            .map_err(|e| Errno::from_raw(e.raw_os_error().unwrap_or(libc::EBADF)))?;
        set_filter(receiver.as_raw_fd(), filter)?;
        Ok(ClassicSocket { sender, receiver })
    }

    /// Sends a packet through the filter: how many bytes of it are let through, or `None` if it is dropped.
    ///
    /// # Errors
    /// Of send(2) and recv(2).
    pub fn filter(&self, packet: &[u8]) -> io::Result<Option<usize>> {
        self.sender.send(packet)?;
        let mut buf = vec![0; packet.len()];
        match self.receiver.recv(&mut buf) {
            Ok(len) => Ok(Some(len)),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(e) => Err(e),
        }
    }
}

fn set_filter(fd: RawFd, filter: &[SockFilter]) -> Result<(), Errno> {
    let mut filter = native(filter);
    let program = program(&mut filter);
    // SAFETY: the option's value is a `sock_fprog` of the size given; its filter lives until after the call, and the
    // kernel copies both.
    let ret = unsafe {
        libc::setsockopt(
            fd,
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    };
    if ret == 0 { Ok(()) } else { Err(last_errno()) }
}

/// Whether the kernel takes this as a seccomp filter.
///
/// The filter is installed on a thread that ends right afterwards, so it must let that thread's last system calls pass.
///
/// # Errors
/// `EINVAL` for a filter that is not valid; `EACCES` without the privilege to install one.
pub fn seccomp_accepts(filter: &[SockFilter]) -> Result<(), Errno> {
    const SECCOMP_SET_MODE_FILTER: libc::c_long = 1;
    let mut filter = native(filter);
    let install = move || {
        let program = program(&mut filter);
        // SAFETY: the argument is a `sock_fprog` whose filter lives until after the call; the kernel copies both. Without
        // flags it concerns this thread only.
        let ret = unsafe {
            libc::syscall(
                libc::SYS_seccomp,
                SECCOMP_SET_MODE_FILTER,
                0 as libc::c_long,
                &raw const program,
            )
        };
        if ret == 0 { Ok(()) } else { Err(last_errno()) }
    };
    std::thread::spawn(install).join().unwrap_or(Err(Errno::EFAULT))
}
