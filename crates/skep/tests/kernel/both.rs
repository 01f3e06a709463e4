//! [`Case`]: one program for two callers, the live kernel and Skep.

use skep::{LoadErrorKind, RawProgram, RunError, System, TestRun};
use skep_abi::Errno;
use skep_abi::insn::RawInsn;
use skep_abi::insn::asm::assemble;
use skep_btf::build::BtfBuilder;
use skep_btf::{Btf, ByteOrder, FuncLinkage, Int, TypeId};
use skep_host::kernel::{self, KernelBtf, KernelMap, KernelProg, LoadAttr};
use skep_maps::MapSpec;
use std::sync::Arc;

pub(crate) const SOCKET_FILTER: u32 = 1;
pub(crate) const SCHED_CLS: u32 = 3;
pub(crate) const XDP: u32 = 6;
pub(crate) const SYSCALL: u32 = 31;

/// A map of a case.
#[derive(Clone, Debug)]
pub(crate) struct TestMap {
    pub(crate) spec: MapSpec,
    /// Content of element 0.
    pub(crate) content: Option<Vec<u8>>,
    /// Keys whose values are compared afterwards.
    pub(crate) keys: Vec<Vec<u8>>,
}

impl TestMap {
    /// An array of one value, which is map 0 of most cases: programs write into it what is to be compared.
    pub(crate) fn value(content: &[u8]) -> TestMap {
        TestMap {
            spec: MapSpec {
                map_type: 2,
                key_size: 4,
                value_size: content.len() as u32,
                max_entries: 1,
                name: "value".into(),
                ..MapSpec::default()
            },
            content: Some(content.to_vec()),
            keys: vec![vec![0; 4]],
        }
    }

    /// A frozen value that programs only read.
    pub(crate) fn rodata(content: &[u8]) -> TestMap {
        let mut map = TestMap::value(content);
        map.spec.flags = 1 << 7;
        map.spec.name = ".rodata".into();
        map
    }
}

/// One program with its input.
#[derive(Clone, Debug, Default)]
pub(crate) struct Case {
    pub(crate) prog_type: u32,
    pub(crate) text: String,
    pub(crate) license: Option<&'static str>,
    pub(crate) data: Vec<u8>,
    pub(crate) ctx: Option<Vec<u8>>,
    pub(crate) repeat: u32,
    pub(crate) maps: Vec<TestMap>,
    /// First slots of the functions, the program itself included; needed for callbacks.
    pub(crate) funcs: Vec<u32>,
    /// Programs of the same type for the program array that is the last map, by index.
    pub(crate) tails: Vec<String>,
}

/// `int f(void *)` for each function: the kernel wants to know that callbacks are functions.
fn types(funcs: &[u32]) -> (Btf, Vec<(u32, u32)>) {
    let mut b = BtfBuilder::new();
    let int = b.add_int("int", Int { size: 4, bits: 32, bit_offset: 0, encoding: Int::SIGNED });
    let ctx = b.add_ptr(TypeId(0));
    let proto = b.add_func_proto(int, &[("ctx", ctx)]);
    let info = funcs.iter().map(|start| {
        let id = b.add_func(&format!("f{start}"), proto, FuncLinkage::Static);
        (*start, id.0)
    });
    let info = info.collect();
    (b.build().unwrap(), info)
}

/// What both callers must agree on.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) retval: u32,
    pub(crate) data: Vec<u8>,
    pub(crate) ctx: Vec<u8>,
    pub(crate) values: Vec<Result<Vec<u8>, Errno>>,
}

impl core::fmt::Debug for Outcome {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let hex = |b: &[u8]| b.iter().map(|b| format!("{b:02x}")).collect::<String>();
        writeln!(f, "retval {} data {} {}", self.retval as i32, self.data.len(), hex(&self.data))?;
        writeln!(f, "ctx {}", hex(&self.ctx))?;
        for v in &self.values {
            writeln!(f, "value {:?}", v.as_ref().map(|v| hex(v)))?;
        }
        Ok(())
    }
}

/// Where it ended instead.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Failure {
    Load(Errno),
    Run(Errno),
}

pub(crate) type Answer = Result<Outcome, Failure>;

/// An IPv4 UDP packet of 60 bytes, with an odd destination address.
pub(crate) fn packet() -> Vec<u8> {
    let mut p = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    p.extend([0x45, 0, 0, 46, 0x12, 0x34, 0x40, 0, 64, 17, 0xa5, 0x3c]);
    p.extend([10, 0, 0, 1, 10, 0, 0, 2, 0x30, 0x39, 0, 53, 0, 26, 0x6a, 0x5b]);
    p.extend(100..118);
    p
}

pub(crate) fn case(prog_type: u32, text: &str) -> Case {
    let data = if prog_type == SYSCALL { Vec::new() } else { packet() };
    Case { prog_type, text: text.to_owned(), data, ..Case::default() }
}

impl Case {
    pub(crate) fn data(mut self, data: &[u8]) -> Case {
        self.data = data.to_vec();
        self
    }

    pub(crate) fn ctx(mut self, ctx: &[u8]) -> Case {
        self.ctx = Some(ctx.to_vec());
        self
    }

    pub(crate) fn map(mut self, map: TestMap) -> Case {
        self.maps.push(map);
        self
    }

    /// Both answers, which must be equal; `None` where there is no kernel to ask.
    #[track_caller]
    #[expect(clippy::print_stdout, reason = "whoever runs the tests must see what was skipped")]
    pub(crate) fn check(&self) -> Option<Answer> {
        if let Err(why) = kernel::available() {
            println!("skipped: {why}");
            return None;
        }
        let (ours, log) = self.skep();
        let (theirs, kernel_log) = self.kernel();
        assert_eq!(
            ours, theirs,
            "left is Skep, right the kernel\n{}\n-- Skep: {log}\n-- kernel: {kernel_log}",
            self.text
        );
        Some(ours)
    }

    /// As [`Case::check`], but the kernel may refuse at the load what Skep refuses with the same errno in the run: it
    /// looks at constant format strings that early.
    #[track_caller]
    pub(crate) fn check_early(&self) {
        if kernel::available().is_err() {
            self.check();
            return;
        }
        match (self.skep().0, self.kernel()) {
            (Ok(ours), (Err(Failure::Load(errno)), log)) if log.contains("format string") => {
                assert_eq!(u64::from(ours.retval), errno.to_ret() as u32 as u64, "{}", self.text);
            }
            _ => {
                self.check();
            }
        }
    }

    /// As [`Case::check`], and the program must run with this result.
    #[track_caller]
    pub(crate) fn returns(&self, want: i32) {
        if let Some(answer) = self.check() {
            match answer {
                Ok(o) => assert_eq!(o.retval as i32, want, "{}", self.text),
                Err(e) => panic!("{e:?}\n{}", self.text),
            }
        }
    }

    pub(crate) fn funcs(mut self, funcs: &[u32]) -> Case {
        self.funcs = funcs.to_vec();
        self
    }

    /// Skep's answer, with its log.
    pub(crate) fn skep(&self) -> (Answer, String) {
        let system = System::with_checks();
        let mut maps = Vec::new();
        for m in &self.maps {
            let map = skep_maps::create(&m.spec).unwrap();
            if let Some(content) = &m.content {
                map.user_update(&[0; 4], content, 0).unwrap();
            }
            if m.spec.flags & (1 << 7) != 0 {
                map.freeze().unwrap();
            }
            maps.push(map);
        }
        let (btf, func_info) = types(&self.funcs);
        let request = RawProgram {
            name: "case".into(),
            prog_type: self.prog_type,
            insns: raw(&self.text),
            license: self.license.unwrap_or("GPL").into(),
            maps: maps.clone(),
            btf: Some(Arc::new(btf)),
            func_info,
            ..RawProgram::default()
        };
        let prog = match system.load_raw(&request) {
            Ok(p) => p,
            Err(e) => {
                assert!(!matches!(e.kind, LoadErrorKind::Link(_)), "{e}");
                return (Err(Failure::Load(e.errno())), e.to_string());
            }
        };
        for (index, text) in self.tails.iter().enumerate() {
            let tail = RawProgram { insns: raw(text), func_info: Vec::new(), ..request.clone() };
            let tail = system.load_raw(&tail).unwrap();
            let array = maps.last().unwrap().as_prog_array().unwrap();
            array.set(&(index as u32).to_ne_bytes(), || Ok(tail as _), 0).unwrap();
        }
        let run = TestRun { data_in: &self.data, ctx_in: self.ctx.as_deref(), repeat: self.repeat };
        let out = match system.test_run(&prog, &run) {
            Ok(out) => out,
            Err(RunError::Refused { errno, reason }) => {
                return (Err(Failure::Run(errno)), reason.into());
            }
            Err(RunError::Trap(trap)) => panic!("{trap}\n{}", self.text),
        };
        let values = self.maps.iter().zip(&maps).flat_map(|(m, map)| {
            m.keys.iter().map(|key| {
                let mut value = vec![0; map.user_value_size()];
                map.user_lookup(key, &mut value, 0).map(|()| value)
            })
        });
        let outcome = Outcome {
            retval: out.retval,
            data: out.data_out,
            ctx: out.ctx_out,
            values: values.collect(),
        };
        (Ok(outcome), String::new())
    }

    /// The kernel's answer, with its log.
    pub(crate) fn kernel(&self) -> (Answer, String) {
        let mut maps = Vec::new();
        for m in &self.maps {
            let s = &m.spec;
            let map = KernelMap::create(&MapSpec {
                map_type: s.map_type,
                key_size: s.key_size,
                value_size: s.value_size,
                max_entries: s.max_entries,
                flags: s.flags,
                ..MapSpec::default()
            })
            .unwrap();
            if let Some(content) = &m.content {
                map.update(&[0; 4], content, 0).unwrap();
            }
            if s.flags & (1 << 7) != 0 {
                map.freeze().unwrap();
            }
            maps.push(map);
        }
        let fds: Vec<i32> = maps.iter().map(KernelMap::fd).collect();
        let insns = raw(&self.text);
        let (btf, func_info) = types(&self.funcs);
        let btf = KernelBtf::load(&btf.to_bytes(ByteOrder::HOST)).unwrap();
        let attr = LoadAttr {
            prog_type: self.prog_type,
            insns: &insns,
            license: self.license.unwrap_or("GPL"),
            // BPF_F_SLEEPABLE, which syscall programs must have.
            flags: if self.prog_type == SYSCALL { 1 << 4 } else { 0 },
            fd_array: &fds,
            btf: (!self.funcs.is_empty()).then_some(&btf),
            func_info: &func_info,
            ..LoadAttr::default()
        };
        let prog = match KernelProg::load(&attr) {
            Ok(p) => p,
            Err(e) => {
                let again = KernelProg::load(&LoadAttr { log_level: 1, ..attr });
                return (Err(Failure::Load(e.errno)), again.map_or_else(|e| e.log, |p| p.log));
            }
        };
        let mut tails = Vec::new();
        for (index, text) in self.tails.iter().enumerate() {
            let insns = raw(text);
            let attr = LoadAttr { insns: &insns, btf: None, func_info: &[], ..attr };
            let tail = KernelProg::load(&attr).unwrap();
            let index = (index as u32).to_ne_bytes();
            maps.last().unwrap().update(&index, &tail.fd().to_ne_bytes(), 0).unwrap();
            tails.push(tail);
        }
        let room = if self.prog_type == SYSCALL { 0 } else { 1 << 16 };
        let ctx_room = match (&self.ctx, self.prog_type) {
            (None, _) | (_, SYSCALL) => 0,
            _ => 256,
        };
        let out = prog.test_run(&kernel::TestRun {
            data: &self.data,
            ctx: self.ctx.as_deref().unwrap_or_default(),
            repeat: self.repeat,
            data_out_size: room,
            ctx_out_size: ctx_room,
            ..kernel::TestRun::default()
        });
        let out = match out {
            Ok(out) => out,
            Err(e) => return (Err(Failure::Run(e)), prog.log.clone()),
        };
        let values = self
            .maps
            .iter()
            .zip(&maps)
            .flat_map(|(m, map)| m.keys.iter().map(|key| map.lookup(key, 0)));
        let outcome =
            Outcome { retval: out.retval, data: out.data, ctx: out.ctx, values: values.collect() };
        (Ok(outcome), prog.log.clone())
    }
}

fn raw(text: &str) -> Vec<RawInsn> {
    match assemble(text) {
        Ok(insns) => insns,
        Err(e) => panic!("{e}\n{text}"),
    }
}
