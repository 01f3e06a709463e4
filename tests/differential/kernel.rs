//! [`KernelJudge`]: programs under the live kernel's verifier and `BPF_PROG_TEST_RUN`.

use std::collections::BTreeMap;
use std::os::fd::RawFd;

use skep_abi::Errno;
use skep_abi::insn::encode;
use skep_btf::ByteOrder;
use skep_host::kernel::{KernelBtf, KernelMap, KernelProg, LoadAttr, LoadError, TestRun};
use skep_maps::MapSpec;

use super::{Answer, Outcome, Verdict};
use crate::generate::{DATA_MAPS, Generated, MAPS, initial_entries, initial_entry};

/// The live kernel with the maps that generated programs use.
#[derive(Debug)]
pub struct KernelJudge {
    maps: Vec<KernelMap>,
}

impl KernelJudge {
    /// Creates the maps.
    ///
    /// # Errors
    /// Names the map and the kernel's errno.
    pub fn new() -> Result<KernelJudge, String> {
        let create = |(n, spec): (usize, &crate::generate::GeneratedMap)| {
            KernelMap::create(&MapSpec {
                map_type: spec.map_type,
                key_size: spec.key_size,
                value_size: spec.value_size,
                max_entries: spec.max_entries,
                ..MapSpec::default()
            })
            .map_err(|e| format!("creating map {n} in the kernel: {e}"))
        };
        let maps = MAPS.iter().enumerate().map(create).collect::<Result<Vec<_>, _>>()?;
        Ok(KernelJudge { maps })
    }

    /// Loads a program without running it; the error has the log of the given level.
    ///
    /// # Errors
    /// The kernel's.
    pub fn load(&self, program: &Generated, log_level: u32) -> Result<KernelProg, LoadError> {
        let fds: Vec<RawFd> = self.maps.iter().map(KernelMap::fd).collect();
        let (btf, func_info) = program.function_info();
        // A program without other functions needs no types.
        let btf = match func_info.len() {
            0 | 1 => None,
            _ => Some(KernelBtf::load(&btf.to_bytes(ByteOrder::Little))?),
        };
        KernelProg::load(&LoadAttr {
            prog_type: program.flavor.prog_type(),
            insns: &encode(&program.insns),
            fd_array: &fds,
            log_level,
            btf: btf.as_ref(),
            func_info: if btf.is_some() { &func_info } else { &[] },
            ..LoadAttr::default()
        })
    }

    /// Verdict and run.
    pub fn ask(&self, program: &Generated) -> Answer {
        match self.load(program, 0) {
            Ok(prog) => {
                Answer { verdict: Verdict::Accepted, run: Some(self.run(&prog, &program.packet)) }
            }
            // Too complex, after a million instructions: that is reason enough, and took seconds.
            Err(quiet) if quiet.errno == Errno::E2BIG => {
                Answer { verdict: Verdict::Rejected(quiet.errno.to_string()), run: None }
            }
            Err(quiet) => {
                // Once more, to learn why.
                let why = match self.load(program, 1) {
                    Ok(_) => quiet.errno.to_string(),
                    Err(e) => format!("{}: {}", e.errno, reason(&e.log)),
                };
                // The kernel's verifier contradicts itself: that is no verdict.
                let verdict = if quiet.errno == Errno::EFAULT && why.contains("verifier bug") {
                    Verdict::Abstained(why)
                } else {
                    Verdict::Rejected(why)
                };
                Answer { verdict, run: None }
            }
        }
    }

    fn run(&self, prog: &KernelProg, packet: &[u8]) -> Result<Outcome, String> {
        self.reset()?;
        let run = TestRun { data: packet, data_out_size: 4096, ..TestRun::default() };
        let out = prog.test_run(&run).map_err(|e| format!("test run in the kernel: {e}"))?;
        let maps = self.maps[..DATA_MAPS].iter().map(contents).collect::<Result<Vec<_>, _>>()?;
        Ok(Outcome { retval: out.retval, packet: out.data, maps })
    }

    /// Puts every map into its initial state.
    fn reset(&self) -> Result<(), String> {
        for (n, map) in self.maps[..DATA_MAPS].iter().enumerate() {
            if MAPS[n].map_type == 1 {
                for key in contents(map)?.into_keys() {
                    map.delete(&key).map_err(|e| format!("emptying map {n}: {e}"))?;
                }
            }
            for entry in 0..initial_entries(n) {
                let (key, value) = initial_entry(n, entry);
                map.update(&key, &value, 0).map_err(|e| format!("filling map {n}: {e}"))?;
            }
        }
        Ok(())
    }
}

fn contents(map: &KernelMap) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, String> {
    let mut all = BTreeMap::new();
    let mut key = map.next_key(None).ok();
    while let Some(k) = key {
        let value = map.lookup(&k, 0).map_err(|e| format!("reading a map: {e}"))?;
        key = map.next_key(Some(&k)).ok();
        all.insert(k, value);
    }
    Ok(all)
}

/// The line of a log that says why: the last one that is neither an instruction nor statistics.
fn reason(log: &str) -> &str {
    let is_noise = |l: &&str| {
        l.is_empty()
            || l.starts_with("processed ")
            || l.starts_with("verification time")
            || l.starts_with("stack depth")
            || l.starts_with("mark_precise")
    };
    log.lines().rev().find(|l| !is_noise(l)).unwrap_or("no reason given")
}
