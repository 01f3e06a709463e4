//! [`SkepJudge`]: programs under Skep's verifier and its interpreter with every access checked.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use skep::{CheckOptions, LoadError, LoadErrorKind, Program, RawProgram, System, TestRun};
use skep_abi::insn::encode;
use skep_maps::{MapOps, MapSpec};
use skep_verifier::env::MapProps;
use skep_verifier::{RejectKind, VerifyError};

use super::{Answer, Outcome, Verdict};
use crate::generate::{
    DATA_MAPS, Generated, GeneratedMap, MAPS, Runs, initial_entries, initial_entry,
};

/// Skep with the maps that generated programs use.
#[derive(Debug)]
pub struct SkepJudge {
    system: System,
    maps: Vec<Arc<dyn MapOps>>,
    /// Of all maps, those too that Skep does not have yet.
    props: Vec<MapProps>,
}

/// What came of [`SkepJudge::hunt`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Hunted {
    /// The verifier refused the program.
    Refused,
    /// It ran that often.
    Ran(u64),
    /// A run trapped, or Skep panicked: why.
    Trapped(String),
}

/// How many of the maps Skep has.
const RUN_MAPS: usize = 6;

impl SkepJudge {
    /// Creates the maps.
    ///
    /// # Errors
    /// Names the map and the errno.
    pub fn new() -> Result<SkepJudge, String> {
        let create = |(n, spec): (usize, &crate::generate::GeneratedMap)| {
            skep_maps::create(&MapSpec {
                map_type: spec.map_type,
                key_size: spec.key_size,
                value_size: spec.value_size,
                max_entries: spec.max_entries,
                ..MapSpec::default()
            })
            .map_err(|e| format!("creating map {n} in Skep: {e}"))
        };
        let maps =
            MAPS[..RUN_MAPS].iter().enumerate().map(create).collect::<Result<Vec<_>, _>>()?;
        Ok(SkepJudge {
            system: System::with_checks(),
            maps,
            props: MAPS.iter().map(props).collect(),
        })
    }

    /// Loads a program without running it.
    ///
    /// # Errors
    /// Skep's.
    pub fn load(&self, program: &Generated) -> Result<Arc<Program>, LoadError> {
        self.system.load_raw(&RawProgram { maps: self.maps.clone(), ..raw(program) })
    }

    /// Verdict and run. A panic counts as a trap.
    pub fn ask(&self, program: &Generated) -> Answer {
        let answer = catch_unwind(AssertUnwindSafe(|| match program.runs {
            Runs::Yes => match self.load(program) {
                Ok(prog) => {
                    let run = Some(self.run(&prog, &program.packet));
                    Answer { verdict: Verdict::Accepted, run }
                }
                Err(e) => Answer { verdict: refusal(&e), run: None },
            },
            Runs::No => {
                let options = CheckOptions::default();
                let checked = self.system.check_raw(&raw(program), &self.props, &options);
                let verdict = checked.verdict.map_or_else(|e| refusal(&e), |_| Verdict::Accepted);
                Answer { verdict, run: None }
            }
        }));
        answer.unwrap_or_else(|_| Answer {
            verdict: Verdict::Accepted,
            run: Some(Err("Skep panicked".into())),
        })
    }

    /// Runs a program on many packets, for traps alone.
    pub fn hunt(&self, program: &Generated, packets: &[Vec<u8>]) -> Hunted {
        let all = catch_unwind(AssertUnwindSafe(|| {
            let Ok(prog) = self.load(program) else { return Hunted::Refused };
            if let Err(why) = self.reset() {
                return Hunted::Trapped(why);
            }
            let mut count = 0;
            for packet in packets {
                let run = TestRun { data_in: packet, ..TestRun::default() };
                if let Err(why) = self.system.test_run(&prog, &run) {
                    return Hunted::Trapped(why.to_string());
                }
                count += 1;
            }
            Hunted::Ran(count)
        }));
        all.unwrap_or_else(|_| Hunted::Trapped("Skep panicked".into()))
    }

    fn run(&self, prog: &Program, packet: &[u8]) -> Result<Outcome, String> {
        self.reset()?;
        let run = TestRun { data_in: packet, ..TestRun::default() };
        let out = self.system.test_run(prog, &run).map_err(|e| e.to_string())?;
        let data = &self.maps[..DATA_MAPS];
        let maps = data.iter().map(|m| contents(m.as_ref())).collect::<Result<Vec<_>, _>>()?;
        Ok(Outcome { retval: out.retval, packet: out.data_out, maps })
    }

    /// Puts every map into its initial state.
    fn reset(&self) -> Result<(), String> {
        for (n, map) in self.maps[..DATA_MAPS].iter().enumerate() {
            if MAPS[n].map_type == 1 {
                for key in contents(map.as_ref())?.into_keys() {
                    map.user_delete(&key).map_err(|e| format!("emptying map {n}: {e}"))?;
                }
            }
            for entry in 0..initial_entries(n) {
                let (key, value) = initial_entry(n, entry);
                map.user_update(&key, &value, 0).map_err(|e| format!("filling map {n}: {e}"))?;
            }
        }
        Ok(())
    }
}

/// The program as a load takes it, without maps.
fn raw(program: &Generated) -> RawProgram {
    let (btf, func_info) = program.function_info();
    let has_functions = func_info.len() > 1;
    RawProgram {
        name: "generated".into(),
        prog_type: program.flavor.prog_type(),
        insns: encode(&program.insns),
        license: "GPL".into(),
        btf: has_functions.then(|| Arc::new(btf)),
        func_info: if has_functions { func_info } else { Vec::new() },
        ..RawProgram::default()
    }
}

fn props(map: &GeneratedMap) -> MapProps {
    MapProps {
        map_type: map.map_type,
        name: String::new(),
        key_size: map.key_size,
        value_size: map.value_size,
        max_entries: map.max_entries,
        flags: 0,
        frozen_data: None,
        direct_value: map.map_type == 2,
        inner: None,
        fields: Vec::new(),
        types: None,
    }
}

fn refusal(error: &LoadError) -> Verdict {
    if let LoadErrorKind::Verify { error: verify, .. } = &error.kind
        && let VerifyError::Rejected(reject) = verify.as_ref()
    {
        let why = format!("{}: {reject}", reject.errno);
        return match reject.kind {
            RejectKind::Unsupported { .. } | RejectKind::HelperUnsupported { .. } => {
                Verdict::Abstained(why)
            }
            _ => Verdict::Rejected(why),
        };
    }
    Verdict::Rejected(error.to_string())
}

fn contents(map: &dyn MapOps) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, String> {
    let mut all = BTreeMap::new();
    let mut key: Option<Vec<u8>> = None;
    let mut next = vec![0; map.spec().key_size as usize];
    while map.next_key(key.as_deref(), &mut next).is_ok() {
        let mut value = vec![0; map.user_value_size()];
        map.user_lookup(&next, &mut value, 0).map_err(|e| format!("reading a map: {e}"))?;
        all.insert(next.clone(), value);
        key = Some(next.clone());
    }
    Ok(all)
}
