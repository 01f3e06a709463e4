//! [`MapCaller`]: the bpf(2) map commands, by the live kernel ([`Kernel`]) and by Skep ([`Skep`]).

use skep_abi::Errno;
use skep_abi::insn::RawInsn;
use skep_host::kernel::{KernelMap, KernelProg, LoadAttr, TestRun};
use skep_maps::{MapSpec, ProgCompat, ProgObject, UserMap, slot};
use std::any::Any;
use std::cell::RefCell;
use std::sync::Arc;

/// What a program array is given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Prog {
    /// A socket filter.
    First,
    /// Another socket filter.
    Second,
    /// An XDP program, which no array of socket filters takes.
    OtherType,
    /// A number that is no descriptor.
    BadFd,
}

/// Who carries out `BPF_MAP_CREATE`.
pub(super) trait MapCaller {
    /// What it gives.
    type Map: CallerMap;
    /// `BPF_MAP_CREATE`.
    fn create(&self, spec: &MapSpec) -> Result<Self::Map, Errno>;
}

/// A map through a descriptor.
pub(super) trait CallerMap {
    /// `BPF_MAP_LOOKUP_ELEM`.
    fn lookup(&self, key: &[u8], flags: u64) -> Result<Vec<u8>, Errno>;
    /// `BPF_MAP_LOOKUP_AND_DELETE_ELEM`.
    fn lookup_and_delete(&self, key: &[u8], flags: u64) -> Result<Vec<u8>, Errno>;
    /// `BPF_MAP_UPDATE_ELEM`.
    fn update(&self, key: &[u8], value: &[u8], flags: u64) -> Result<(), Errno>;
    /// `BPF_MAP_DELETE_ELEM`.
    fn delete(&self, key: &[u8]) -> Result<(), Errno>;
    /// `BPF_MAP_GET_NEXT_KEY`.
    fn next_key(&self, key: Option<&[u8]>) -> Result<Vec<u8>, Errno>;
    /// `BPF_MAP_FREEZE`.
    fn freeze(&self) -> Result<(), Errno>;
    /// What a program gets from `bpf_map_update_elem`, with a key of 4 and a value of 8 bytes.
    fn program_update(&self, key: i32, value: i32, flags: i32) -> i32;
    /// What a program gets from `bpf_map_delete_elem`.
    fn program_delete(&self, key: i32) -> i32;
    /// What a program reads, as 32 bits, at the address that `bpf_map_lookup_elem` gives it; after that
    /// it stores `then` there. 0 when there is no such element.
    fn program_lookup(&self, key: i32, then: i32) -> i32;
    /// `BPF_MAP_UPDATE_ELEM` with a program as the value.
    fn put(&self, key: &[u8], prog: Prog, flags: u64) -> Result<(), Errno>;
    /// `BPF_MAP_LOOKUP_ELEM` of a program; which, if it is one that was put in.
    fn program(&self, key: &[u8], flags: u64) -> Result<Prog, Errno>;
}

/// The live kernel.
pub(super) struct Kernel;

/// A map of the live kernel and the programs that were put into it.
pub(super) struct KernelCallerMap {
    map: KernelMap,
    progs: RefCell<Vec<(Prog, KernelProg)>>,
}

impl MapCaller for Kernel {
    type Map = KernelCallerMap;

    fn create(&self, spec: &MapSpec) -> Result<KernelCallerMap, Errno> {
        let map = KernelMap::create(spec)?;
        Ok(KernelCallerMap { map, progs: RefCell::default() })
    }
}

fn load(prog: Prog) -> KernelProg {
    let insns = [
        RawInsn { code: 0xb7, imm: prog as i32, ..RawInsn::default() },
        RawInsn { code: 0x95, ..RawInsn::default() },
    ];
    let prog_type = prog_type_of(prog);
    KernelProg::load(&LoadAttr { prog_type, insns: &insns, ..LoadAttr::default() })
        .expect("returns a constant")
}

fn prog_type_of(prog: Prog) -> u32 {
    match prog {
        Prog::First | Prog::Second => 1,
        Prog::OtherType => 6,
        Prog::BadFd => 0,
    }
}

const STORE_WORD: u8 = 0x62;
const STORE_DOUBLE: u8 = 0x7a;
const LOAD_DOUBLE: u8 = 0x79;
const MOVE: u8 = 0xbf;
const MOVE_IMM: u8 = 0xb7;
const ADD_IMM: u8 = 0x07;
const JUMP_EQ_IMM: u8 = 0x15;
const CALL: u8 = 0x85;
const EXIT: u8 = 0x95;

fn insn(code: u8, dst: u8, src: u8, off: i16, imm: i32) -> RawInsn {
    RawInsn { code, dst, src, off, imm }
}

impl KernelCallerMap {
    /// Runs a program that calls a helper with the map, a key, a value and flags, and then does `rest`.
    fn run(&self, helper: i32, [key, value, flags]: [i32; 3], rest: &[RawInsn]) -> i32 {
        let mut insns = vec![
            insn(STORE_WORD, 10, 0, -4, key),
            insn(STORE_DOUBLE, 10, 0, -16, value),
            insn(0x18, 1, 1, 0, self.map.fd()),
            insn(0, 0, 0, 0, 0),
            insn(MOVE, 2, 10, 0, 0),
            insn(ADD_IMM, 2, 0, 0, -4),
            insn(MOVE, 3, 10, 0, 0),
            insn(ADD_IMM, 3, 0, 0, -16),
            insn(MOVE_IMM, 4, 0, 0, flags),
            insn(CALL, 0, 0, 0, helper),
        ];
        insns.extend_from_slice(rest);
        insns.push(insn(EXIT, 0, 0, 0, 0));
        let load = LoadAttr { prog_type: 3, insns: &insns, ..LoadAttr::default() };
        let prog = KernelProg::load(&load).expect("a sound program");
        let packet = [0; 64];
        let run = prog.test_run(&TestRun { data: &packet, ..TestRun::default() }).expect("a run");
        run.retval as i32
    }
}

impl CallerMap for KernelCallerMap {
    fn program_update(&self, key: i32, value: i32, flags: i32) -> i32 {
        self.run(2, [key, value, flags], &[])
    }

    fn program_delete(&self, key: i32) -> i32 {
        self.run(3, [key, 0, 0], &[])
    }

    fn program_lookup(&self, key: i32, then: i32) -> i32 {
        let rest = [
            insn(JUMP_EQ_IMM, 0, 0, 3, 0),
            insn(LOAD_DOUBLE, 1, 0, 0, 0),
            insn(STORE_DOUBLE, 0, 0, 0, then),
            insn(MOVE, 0, 1, 0, 0),
        ];
        self.run(1, [key, 0, 0], &rest)
    }

    fn lookup(&self, key: &[u8], flags: u64) -> Result<Vec<u8>, Errno> {
        self.map.lookup(key, flags)
    }

    fn lookup_and_delete(&self, key: &[u8], flags: u64) -> Result<Vec<u8>, Errno> {
        self.map.lookup_and_delete(key, flags)
    }

    fn update(&self, key: &[u8], value: &[u8], flags: u64) -> Result<(), Errno> {
        self.map.update(key, value, flags)
    }

    fn delete(&self, key: &[u8]) -> Result<(), Errno> {
        self.map.delete(key)
    }

    fn next_key(&self, key: Option<&[u8]>) -> Result<Vec<u8>, Errno> {
        self.map.next_key(key)
    }

    fn freeze(&self) -> Result<(), Errno> {
        self.map.freeze()
    }

    fn put(&self, key: &[u8], prog: Prog, flags: u64) -> Result<(), Errno> {
        if prog == Prog::BadFd {
            return self.map.update(key, &0x7fff_0000i32.to_ne_bytes(), flags);
        }
        let mut progs = self.progs.borrow_mut();
        if !progs.iter().any(|(p, _)| *p == prog) {
            progs.push((prog, load(prog)));
        }
        let (_, loaded) = progs.iter().find(|(p, _)| *p == prog).expect("loaded above");
        self.map.update(key, &loaded.fd().to_ne_bytes(), flags)
    }

    fn program(&self, key: &[u8], flags: u64) -> Result<Prog, Errno> {
        let id = self.map.lookup(key, flags)?;
        let progs = self.progs.borrow();
        let found = progs.iter().find(|(_, p)| id_of(p).to_ne_bytes()[..] == id[..]);
        Ok(found.expect("a program that was put in").0)
    }
}

/// The kernel shows a program's id in the descriptor's fdinfo.
fn id_of(prog: &KernelProg) -> u32 {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", prog.fd())).expect("fdinfo");
    let line = info.lines().find_map(|l| l.strip_prefix("prog_id:")).expect("an id");
    line.trim().parse().expect("a number")
}

/// Skep.
pub(super) struct Skep;

impl MapCaller for Skep {
    type Map = UserMap;

    fn create(&self, spec: &MapSpec) -> Result<UserMap, Errno> {
        Ok(UserMap::new(skep_maps::create(spec)?))
    }
}

/// A program as maps see it.
#[derive(Debug)]
struct Dummy(Prog);

impl ProgObject for Dummy {
    fn id(&self) -> u32 {
        100 + self.0 as u32
    }

    fn compat(&self) -> ProgCompat {
        ProgCompat { prog_type: prog_type_of(self.0), expected_attach_type: 0, token: 0 }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The result of a helper as a program returns it.
fn helper_result(result: Result<(), Errno>) -> i32 {
    result.map_or_else(|e| -e.raw(), |()| 0)
}

impl CallerMap for UserMap {
    fn program_update(&self, key: i32, value: i32, flags: i32) -> i32 {
        let guard = slot::acquire();
        let (value, flags) = (i64::from(value).to_ne_bytes(), i64::from(flags) as u64);
        helper_result(self.map().update(&key.to_ne_bytes(), &value, flags, guard.slot()))
    }

    fn program_delete(&self, key: i32) -> i32 {
        let _run = slot::acquire();
        helper_result(self.map().delete(&key.to_ne_bytes()))
    }

    fn program_lookup(&self, key: i32, then: i32) -> i32 {
        let guard = slot::acquire();
        let Some(addr) = self.map().lookup(&key.to_ne_bytes(), guard.slot()) else { return 0 };
        assert!(self.map().owns(addr, 8));
        let at = core::ptr::with_exposed_provenance_mut::<i64>(addr as usize);
        // SAFETY: the map owns these aligned bytes, which no other thread uses.
        unsafe { at.replace(i64::from(then)) as i32 }
    }

    fn lookup(&self, key: &[u8], flags: u64) -> Result<Vec<u8>, Errno> {
        UserMap::lookup(self, key, flags)
    }

    fn lookup_and_delete(&self, key: &[u8], flags: u64) -> Result<Vec<u8>, Errno> {
        UserMap::lookup_and_delete(self, key, flags)
    }

    fn update(&self, key: &[u8], value: &[u8], flags: u64) -> Result<(), Errno> {
        UserMap::update(self, key, value, flags)
    }

    fn delete(&self, key: &[u8]) -> Result<(), Errno> {
        UserMap::delete(self, key)
    }

    fn next_key(&self, key: Option<&[u8]>) -> Result<Vec<u8>, Errno> {
        UserMap::next_key(self, key)
    }

    fn freeze(&self) -> Result<(), Errno> {
        UserMap::freeze(self)
    }

    fn put(&self, key: &[u8], prog: Prog, flags: u64) -> Result<(), Errno> {
        let named = || match prog {
            Prog::BadFd => Err(Errno::EBADF),
            Prog::First | Prog::Second | Prog::OtherType => {
                Ok(Arc::new(Dummy(prog)) as skep_maps::ProgRef)
            }
        };
        self.update_prog(key, named, flags)
    }

    fn program(&self, key: &[u8], flags: u64) -> Result<Prog, Errno> {
        let id = UserMap::lookup(self, key, flags)?;
        let progs = [Prog::First, Prog::Second, Prog::OtherType];
        let found = progs.into_iter().find(|p| Dummy(*p).id().to_ne_bytes()[..] == id[..]);
        Ok(found.expect("a program that was put in"))
    }
}
