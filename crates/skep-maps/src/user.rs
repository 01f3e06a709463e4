//! [`UserMap`]: a map as a descriptor gives it: the checks that the bpf(2) commands make before they
//! reach the type (`map_lookup_elem` and its like in the kernel's syscall code).

use crate::ops::MapOps;
use crate::prog_array::ProgRef;
use crate::uapi::BPF_F_LOCK;
use skep_abi::Errno;
use std::sync::Arc;

/// What a descriptor allows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AccessMode {
    /// Both.
    ReadWrite,
    /// Reading only (`BPF_F_RDONLY`).
    ReadOnly,
    /// Writing only (`BPF_F_WRONLY`).
    WriteOnly,
}

/// A map with the access that its holder has.
#[derive(Clone, Debug)]
pub struct UserMap {
    map: Arc<dyn MapOps>,
    mode: AccessMode,
}

impl UserMap {
    /// The holder that created `map`: its flags decide about access.
    pub fn new(map: Arc<dyn MapOps>) -> UserMap {
        let mode = map.spec().access_mode();
        UserMap { map, mode }
    }

    /// A holder with another access.
    pub fn with_mode(map: Arc<dyn MapOps>, mode: AccessMode) -> UserMap {
        UserMap { map, mode }
    }

    /// The map.
    pub fn map(&self) -> &Arc<dyn MapOps> {
        &self.map
    }

    fn check_read(&self) -> Result<(), Errno> {
        match self.mode {
            AccessMode::ReadWrite | AccessMode::ReadOnly => Ok(()),
            AccessMode::WriteOnly => Err(Errno::EPERM),
        }
    }

    /// Write access of the holder, which a frozen map takes away from all.
    fn check_write(&self) -> Result<(), Errno> {
        match self.mode {
            AccessMode::ReadWrite | AccessMode::WriteOnly if !self.map.is_frozen() => Ok(()),
            AccessMode::ReadWrite | AccessMode::WriteOnly | AccessMode::ReadOnly => {
                Err(Errno::EPERM)
            }
        }
    }

    /// `BPF_MAP_LOOKUP_ELEM`.
    ///
    /// # Errors
    /// `EINVAL` flags, `EPERM` no read access, `ENOENT`.
    pub fn lookup(&self, key: &[u8], flags: u64) -> Result<Vec<u8>, Errno> {
        if flags & !BPF_F_LOCK != 0 {
            return Err(Errno::EINVAL);
        }
        self.check_read()?;
        let mut value = vec![0; self.map.user_value_size()];
        self.map.user_lookup(key, &mut value, flags)?;
        Ok(value)
    }

    /// `BPF_MAP_LOOKUP_AND_DELETE_ELEM`.
    ///
    /// # Errors
    /// `EINVAL` flags, `EPERM` not both accesses or frozen, `ENOTSUPP` not for this type, `ENOENT`.
    pub fn lookup_and_delete(&self, key: &[u8], flags: u64) -> Result<Vec<u8>, Errno> {
        if flags & !BPF_F_LOCK != 0 {
            return Err(Errno::EINVAL);
        }
        self.check_read()?;
        self.check_write()?;
        if flags & BPF_F_LOCK != 0 {
            return Err(Errno::EINVAL);
        }
        let mut value = vec![0; self.map.user_value_size()];
        self.map.user_lookup_and_delete(key, &mut value, flags)?;
        Ok(value)
    }

    /// `BPF_MAP_UPDATE_ELEM`; `value` is as long as user space gives it.
    ///
    /// # Errors
    /// `EPERM` no write access or frozen, and the type's.
    pub fn update(&self, key: &[u8], value: &[u8], flags: u64) -> Result<(), Errno> {
        self.check_write()?;
        if flags & BPF_F_LOCK != 0 {
            return Err(Errno::EINVAL);
        }
        self.map.user_update(key, value, flags)
    }

    /// `BPF_MAP_UPDATE_ELEM` of a program array, with the program that the value names.
    ///
    /// # Errors
    /// As [`update`](Self::update); `EINVAL` for a map that does not hold programs.
    pub fn update_prog(
        &self,
        key: &[u8],
        prog: impl FnOnce() -> Result<ProgRef, Errno>,
        flags: u64,
    ) -> Result<(), Errno> {
        self.check_write()?;
        if flags & BPF_F_LOCK != 0 {
            return Err(Errno::EINVAL);
        }
        self.map.as_prog_array().ok_or(Errno::EINVAL)?.set(key, prog, flags)
    }

    /// `BPF_MAP_DELETE_ELEM`.
    ///
    /// # Errors
    /// `EPERM` no write access or frozen, and the type's.
    pub fn delete(&self, key: &[u8]) -> Result<(), Errno> {
        self.check_write()?;
        self.map.user_delete(key)
    }

    /// `BPF_MAP_GET_NEXT_KEY`.
    ///
    /// # Errors
    /// `EPERM` no read access, `ENOENT` after the last.
    pub fn next_key(&self, key: Option<&[u8]>) -> Result<Vec<u8>, Errno> {
        self.check_read()?;
        let mut next = vec![0; self.map.spec().key_size as usize];
        self.map.next_key(key, &mut next)?;
        Ok(next)
    }

    /// `BPF_MAP_FREEZE`.
    ///
    /// # Errors
    /// `EPERM` no write access or already frozen, `EBUSY` while a write is under way.
    pub fn freeze(&self) -> Result<(), Errno> {
        self.check_write()?;
        self.map.freeze()
    }
}
