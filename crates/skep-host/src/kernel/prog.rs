//! [`KernelProg`]: a program of the live kernel, loaded, run and dumped.

use super::sys::{Attr, bpf, bpf_fd};
use skep_abi::Errno;
use skep_abi::insn::RawInsn;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

const PROG_LOAD: u32 = 5;
const BTF_LOAD: u32 = 18;
const LOG_SIZE_BYTES: usize = 16 << 20;
const PROG_TEST_RUN: u32 = 10;
const OBJ_GET_INFO_BY_FD: u32 = 15;

/// What a program is loaded from (`BPF_PROG_LOAD`).
#[derive(Clone, Copy, Debug)]
pub struct LoadAttr<'a> {
    /// `BPF_PROG_TYPE_*`.
    pub prog_type: u32,
    /// `BPF_*` attach type, where the program type asks for one.
    pub expected_attach_type: u32,
    /// Instructions.
    pub insns: &'a [RawInsn],
    /// Licence.
    pub license: &'a str,
    /// `BPF_F_*` flags.
    pub flags: u32,
    /// 0, or bits 1 (each branch), 2 (each instruction), 4 (statistics).
    pub log_level: u32,
    /// Room for the log, which is cleared for each load. A longer log fails the load with `ENOSPC`.
    pub log_size_bytes: usize,
    /// Name, at most 15 bytes.
    pub name: &'a str,
    /// Descriptors for `BPF_PSEUDO_MAP_IDX` and kernel functions of modules.
    pub fd_array: &'a [RawFd],
    /// The program's BTF, which callbacks need.
    pub btf: Option<&'a KernelBtf>,
    /// First slot and BTF type id of each subprogram, with `btf`.
    pub func_info: &'a [(u32, u32)],
    /// `struct bpf_line_info` records, with `btf`.
    pub line_info: &'a [[u32; 4]],
    /// Type in the kernel's BTF that the program attaches to, or 0.
    pub attach_btf_id: u32,
}

/// BTF in the live kernel; the descriptor is closed on drop.
#[derive(Debug)]
pub struct KernelBtf {
    pub(super) fd: OwnedFd,
}

impl KernelBtf {
    /// `BPF_BTF_LOAD`.
    ///
    /// # Errors
    /// The kernel's errno with its log.
    pub fn load(data: &[u8]) -> Result<KernelBtf, LoadError> {
        let quiet = {
            let mut attr = Attr::new();
            attr.set_slice(0, data);
            attr.set_u32(16, data.len() as u32);
            bpf_fd(BTF_LOAD, &mut attr)
        };
        let errno = match quiet {
            Ok(fd) => return Ok(KernelBtf { fd }),
            Err(errno) => errno,
        };
        // Once more, to learn why: the log of types that are taken may be longer than the room for it.
        let mut log = vec![0u8; LOG_SIZE_BYTES];
        {
            let mut attr = Attr::new();
            attr.set_slice(0, data);
            attr.set_slice_mut(8, &mut log);
            attr.set_u32(16, data.len() as u32);
            attr.set_u32(20, LOG_SIZE_BYTES as u32);
            attr.set_u32(24, 1);
            let _ = bpf_fd(BTF_LOAD, &mut attr);
        }
        Err(LoadError { errno, log: until_nul(&log) })
    }
}

fn until_nul(log: &[u8]) -> String {
    let end = log.iter().position(|&b| b == 0).unwrap_or(log.len());
    String::from_utf8_lossy(&log[..end]).into_owned()
}

impl Default for LoadAttr<'_> {
    fn default() -> Self {
        LoadAttr {
            prog_type: 0,
            expected_attach_type: 0,
            insns: &[],
            license: "GPL",
            flags: 0,
            log_level: 0,
            log_size_bytes: LOG_SIZE_BYTES,
            name: "skep_test",
            fd_array: &[],
            btf: None,
            func_info: &[],
            line_info: &[],
            attach_btf_id: 0,
        }
    }
}

/// A refused load.
#[derive(Clone, Debug)]
pub struct LoadError {
    /// Why, as a number.
    pub errno: Errno,
    /// The verifier log, empty without a log level.
    pub log: String,
}

impl core::fmt::Display for LoadError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}\n{}", self.errno, self.log)
    }
}

/// A loaded program of the live kernel; the descriptor is closed on drop.
#[derive(Debug)]
pub struct KernelProg {
    fd: OwnedFd,
    /// The verifier log, empty without a log level.
    pub log: String,
}

/// What a test run gets (`BPF_PROG_TEST_RUN`).
#[derive(Clone, Debug, Default)]
pub struct TestRun<'a> {
    /// Packet; empty for syscall programs.
    pub data: &'a [u8],
    /// Context as user space gives it; empty for none.
    pub ctx: &'a [u8],
    /// How many runs; 0 counts as 1.
    pub repeat: u32,
    /// `BPF_F_TEST_*`.
    pub flags: u32,
    /// Room for the packet as the program leaves it, in bytes; 0 asks for none.
    pub data_out_size: usize,
    /// Room for the context as the program leaves it, in bytes; 0 asks for none.
    pub ctx_out_size: usize,
}

/// What a test run gives.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TestRunOutput {
    /// The program's result.
    pub retval: u32,
    /// The packet as the program left it.
    pub data: Vec<u8>,
    /// The context as the program left it.
    pub ctx: Vec<u8>,
    /// Mean time of one run.
    pub duration_ns: u32,
}

impl KernelProg {
    /// `BPF_PROG_LOAD`.
    ///
    /// # Errors
    /// The kernel's errno with the verifier log.
    pub fn load(load: &LoadAttr<'_>) -> Result<KernelProg, LoadError> {
        let insns: Vec<u8> = load.insns.iter().flat_map(|i| i.to_le_bytes()).collect();
        let license = [load.license.as_bytes(), b"\0"].concat();
        let fds: Vec<u8> = load.fd_array.iter().flat_map(|fd| fd.to_ne_bytes()).collect();
        let func_info: Vec<u8> = load
            .func_info
            .iter()
            .flat_map(|(slot, id)| [slot.to_ne_bytes(), id.to_ne_bytes()].concat())
            .collect();
        let line_info: Vec<u8> =
            load.line_info.iter().flatten().flat_map(|word| word.to_ne_bytes()).collect();
        let mut log = vec![0u8; if load.log_level == 0 { 0 } else { load.log_size_bytes }];
        let log_size = log.len() as u32;
        let result = {
            let mut attr = Attr::new();
            attr.set_u32(0, load.prog_type);
            attr.set_u32(4, load.insns.len() as u32);
            attr.set_slice(8, &insns);
            attr.set_slice(16, &license);
            if load.log_level != 0 {
                attr.set_u32(24, load.log_level);
                attr.set_u32(28, log_size);
                attr.set_slice_mut(32, &mut log);
            }
            attr.set_u32(44, load.flags);
            attr.set_name(48, load.name);
            attr.set_u32(68, load.expected_attach_type);
            if let Some(btf) = load.btf {
                attr.set_u32(72, btf.fd.as_raw_fd() as u32);
                attr.set_u32(76, 8);
                attr.set_slice(80, &func_info);
                attr.set_u32(88, load.func_info.len() as u32);
                if !line_info.is_empty() {
                    attr.set_u32(92, 16);
                    attr.set_slice(96, &line_info);
                    attr.set_u32(104, load.line_info.len() as u32);
                }
            }
            attr.set_u32(108, load.attach_btf_id);
            if !fds.is_empty() {
                attr.set_slice(120, &fds);
            }
            bpf_fd(PROG_LOAD, &mut attr)
        };
        let log = until_nul(&log);
        match result {
            Ok(fd) => Ok(KernelProg { fd, log }),
            Err(errno) => Err(LoadError { errno, log }),
        }
    }

    /// The descriptor, for program arrays.
    pub fn fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// `BPF_PROG_TEST_RUN`.
    ///
    /// # Errors
    /// The kernel's; `ENOSPC` where an output did not fit.
    pub fn test_run(&self, run: &TestRun<'_>) -> Result<TestRunOutput, Errno> {
        let mut data_out = vec![0; run.data_out_size];
        let mut ctx_out = vec![0; run.ctx_out_size];
        let (retval, data_len, duration_ns, ctx_len) = {
            let mut attr = Attr::new();
            attr.set_u32(0, self.fd() as u32);
            if !run.data.is_empty() {
                attr.set_u32(8, run.data.len() as u32);
                attr.set_slice(16, run.data);
            }
            if run.data_out_size != 0 {
                attr.set_u32(12, run.data_out_size as u32);
                attr.set_slice_mut(24, &mut data_out);
            }
            attr.set_u32(32, run.repeat);
            if !run.ctx.is_empty() {
                attr.set_u32(40, run.ctx.len() as u32);
                attr.set_slice(48, run.ctx);
            }
            if run.ctx_out_size != 0 {
                attr.set_u32(44, run.ctx_out_size as u32);
                attr.set_slice_mut(56, &mut ctx_out);
            }
            attr.set_u32(64, run.flags);
            bpf(PROG_TEST_RUN, &mut attr)?;
            (attr.u32(4), attr.u32(12), attr.u32(36), attr.u32(44))
        };
        data_out.truncate(data_len as usize);
        ctx_out.truncate(ctx_len as usize);
        Ok(TestRunOutput { retval, data: data_out, ctx: ctx_out, duration_ns })
    }

    /// The translated instructions (`BPF_OBJ_GET_INFO_BY_FD`, `xlated_prog_insns`).
    ///
    /// # Errors
    /// The kernel's.
    pub fn xlated(&self) -> Result<Vec<RawInsn>, Errno> {
        const INFO_SIZE: usize = 256;
        const XLATED_LEN: usize = 20;
        const XLATED_PTR: usize = 32;
        let mut insns: Vec<u8> = Vec::new();
        // First call: how long; second call: the bytes.
        for _ in 0..2 {
            let mut info = vec![0u8; INFO_SIZE];
            let room = insns.len() as u32;
            info[XLATED_LEN..XLATED_LEN + 4].copy_from_slice(&room.to_ne_bytes());
            let addr = if insns.is_empty() { 0 } else { insns.as_mut_ptr() as u64 };
            info[XLATED_PTR..XLATED_PTR + 8].copy_from_slice(&addr.to_ne_bytes());
            {
                let mut attr = Attr::new();
                attr.set_u32(0, self.fd() as u32);
                attr.set_u32(4, INFO_SIZE as u32);
                attr.set_slice_mut(8, &mut info);
                bpf(OBJ_GET_INFO_BY_FD, &mut attr)?;
            }
            if insns.is_empty() {
                let len = &info[XLATED_LEN..XLATED_LEN + 4];
                let len = u32::from_ne_bytes([len[0], len[1], len[2], len[3]]);
                insns = vec![0; len as usize];
            }
        }
        Ok(insns
            .chunks_exact(RawInsn::SIZE)
            .map(|c| RawInsn::from_le_bytes([c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]]))
            .collect())
    }
}
