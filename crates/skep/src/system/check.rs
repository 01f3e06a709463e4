//! [`System::check`]: the verdict on a program of an object, without making anything that could run.
//!
//! Maps are not created, so programs that use map types or helpers that Skep only judges get their verdict too.

use super::attach;
use super::env::{AttachedTo, Origin};
use super::load::{prog_type, raw_program, request};
use super::{LoadError, LoadErrorKind, RawProgram, System};
use skep_abi::uapi::{BPF_F_RDONLY_PROG, BPF_MAP_TYPE_ARRAY};
use skep_btf::fields::{self, Scope};
use skep_btf::{Btf, TypeId};
use skep_elf::{MapDef, MapInit, MapKind, Object, ProgramDef};
use skep_verifier::env::{MapProps, MapTypes, Privilege, TargetProg};
use skep_verifier::{Log, LogLevel, VerifiedProg, verify};
use std::sync::Arc;

/// How to judge.
#[derive(Clone, Copy, Debug)]
pub struct CheckOptions {
    /// How much of the verifier's log to keep.
    pub log_level: LogLevel,
    /// Whether the log ends with what verification took, and the stack that each function uses.
    pub log_stats: bool,
    /// Whose program it is taken for.
    pub privilege: Privilege,
    /// `BPF_F_*` of the load, besides those that the object gives.
    pub flags: u32,
}

impl Default for CheckOptions {
    fn default() -> CheckOptions {
        CheckOptions {
            log_level: LogLevel::Off,
            log_stats: false,
            privilege: Privilege::Privileged,
            flags: 0,
        }
    }
}

impl CheckOptions {
    fn log(&self) -> Log {
        let log = Log::new(self.log_level);
        if self.log_stats { log.with_stats() } else { log }
    }
}

/// A verdict.
#[derive(Debug)]
pub struct Checked {
    /// The verified program, or why it is refused.
    pub verdict: Result<VerifiedProg, LoadError>,
    /// The log in the kernel's notation, as far as it was asked for.
    pub log: String,
}

impl System {
    /// Judges one program of an object.
    pub fn check(&self, object: &Object, def: &ProgramDef, options: &CheckOptions) -> Checked {
        let mut log = options.log();
        let verdict = self.judge(object, def, options, None, &mut log);
        Checked { verdict, log: log.text().to_owned() }
    }

    /// Judges a program that attaches to a function of another program: an extension (`freplace`), or one that traces
    /// (`fentry`, `fexit`). The other program is judged first.
    pub fn check_attached(
        &self,
        (object, def): (&Object, &ProgramDef),
        (target, target_def): (&Object, &ProgramDef),
        options: &CheckOptions,
    ) -> Checked {
        let mut log = options.log();
        let verdict = self
            .attached_to(target, target_def, options)
            .and_then(|to| self.judge(object, def, options, Some(to), &mut log));
        Checked { verdict, log: log.text().to_owned() }
    }

    fn attached_to(
        &self,
        object: &Object,
        def: &ProgramDef,
        options: &CheckOptions,
    ) -> Result<AttachedTo, LoadError> {
        let verified = self.judge(object, def, options, None, &mut Log::new(LogLevel::Off))?;
        let raw = raw_program(object, def, &[], LogLevel::Off);
        let (kind, expected_attach_type) = prog_type(&raw)?;
        let Some(btf) = object.btf.clone() else {
            let reason = "a program without BTF has no functions to attach to".to_owned();
            return Err(LoadError::new(&def.name, LoadErrorKind::AttachTarget { reason }));
        };
        let prog = TargetProg {
            btf,
            props: kind.props,
            expected_attach_type,
            funcs: verified.target_funcs().to_vec(),
            is_nested: false,
        };
        Ok(AttachedTo { prog, kind })
    }

    /// Judges a program by itself, with maps that need not exist.
    pub fn check_raw(
        &self,
        raw: &RawProgram,
        maps: &[MapProps],
        options: &CheckOptions,
    ) -> Checked {
        let mut log = options.log();
        let verdict = self.judge_raw(raw, maps.to_vec(), options, None, &mut log);
        Checked { verdict, log: log.text().to_owned() }
    }

    fn judge(
        &self,
        object: &Object,
        def: &ProgramDef,
        options: &CheckOptions,
        attached: Option<AttachedTo>,
        log: &mut Log,
    ) -> Result<VerifiedProg, LoadError> {
        let mut raw = raw_program(object, def, &[], options.log_level);
        raw.flags |= options.flags;
        raw.attach_btf_id = attach::btf_id(
            def,
            self.kernel_btf.as_deref(),
            attached.as_ref().map(|a| &*a.prog.btf),
        )?;
        let maps = object.maps.iter().map(|m| map_props(m, object.btf.as_ref()));
        self.judge_raw(&raw, maps.collect::<Result<Vec<_>, _>>()?, options, attached, log)
    }

    fn judge_raw(
        &self,
        raw: &RawProgram,
        maps: Vec<MapProps>,
        options: &CheckOptions,
        attached: Option<AttachedTo>,
        log: &mut Log,
    ) -> Result<VerifiedProg, LoadError> {
        let (kind, expected_attach_type) = prog_type(raw)?;
        let mut resolved;
        let raw = if expected_attach_type == raw.expected_attach_type {
            raw
        } else {
            resolved = raw.clone();
            resolved.expected_attach_type = expected_attach_type;
            &resolved
        };
        let env = self.prog_env(kind, raw, maps, Origin::Extended, options.privilege, attached);
        verify(&request(raw), &env, log).map_err(|error| {
            let (error, log) = (Box::new(error), String::new());
            LoadError::new(&raw.name, LoadErrorKind::Verify { error, log })
        })
    }
}

/// What the verifier must know of a map that an object describes, with the object's types.
///
/// # Errors
/// [`LoadErrorKind::MapFields`].
pub fn map_props(def: &MapDef, btf: Option<&Arc<Btf>>) -> Result<MapProps, LoadError> {
    let is_array = def.map_type == BPF_MAP_TYPE_ARRAY;
    let is_frozen = matches!(def.kind, MapKind::Rodata | MapKind::Kconfig);
    let frozen_data = match &def.init {
        MapInit::Bytes(bytes) if is_frozen && def.flags & BPF_F_RDONLY_PROG != 0 => {
            let mut data = bytes.clone();
            data.resize(def.value_size as usize, 0);
            Some(data)
        }
        MapInit::Bytes(_) | MapInit::None | MapInit::Slots(_) => None,
    };
    let inner = match &def.inner {
        Some(inner) => Some(Box::new(map_props(inner, btf)?)),
        None => None,
    };
    let found = match (btf, def.btf_value_type_id) {
        (Some(btf), 1..) => {
            fields::fields(btf, TypeId(def.btf_value_type_id), def.value_size, Scope::MapValue)
                .map_err(|e| LoadError::new(&def.symbol, LoadErrorKind::MapFields(e)))?
        }
        (Some(_) | None, _) => Vec::new(),
    };
    let types = btf.map(|btf| MapTypes {
        btf: btf.clone(),
        key: def.btf_key_type_id,
        value: def.btf_value_type_id,
    });
    Ok(MapProps {
        map_type: def.map_type,
        name: def.name.clone(),
        key_size: def.key_size,
        value_size: def.value_size,
        max_entries: def.max_entries,
        flags: def.flags,
        frozen_data,
        direct_value: is_array,
        inner,
        fields: found,
        types,
    })
}
