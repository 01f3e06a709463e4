//! Loading: maps are created and filled, programs verified and linked.

use super::env::{AttachedTo, Origin, ProgEnv, Surroundings, map_props};
use super::program::compat;
use super::{LoadError, LoadErrorKind, Program, System, UnprivilegedBpf};
use crate::helper::{self, Table};
use crate::prog_type::{ProgType, SECCOMP, SOCKET_FILTER};
use crate::support::Support;
use skep_abi::Errno;
use skep_abi::insn::RawInsn;
use skep_abi::insn::cbpf::{self, Flavor, SockFilter};
use skep_btf::fields::{self, Scope};
use skep_btf::{Btf, TypeId};
use skep_elf::{MapDef, MapInit, MapKind, MapSlot, Object, ProgramDef};
use skep_maps::{MapOps, MapSpec};
use skep_verifier::env::{Caps, MapProps, Privilege};
use skep_verifier::{LineInfo, LoadRequest, Log, LogLevel, verify};
use skep_vm::Prog;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// What to load of an object, and how.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoadOptions<'a> {
    /// Only this program; all that load by default otherwise.
    pub only: Option<&'a str>,
    /// How much of the verifier's log to keep.
    pub log_level: LogLevel,
}

/// A single program to load, as `BPF_PROG_LOAD` takes it.
#[derive(Clone, Debug, Default)]
pub struct RawProgram {
    /// Name, for messages.
    pub name: String,
    /// `BPF_PROG_TYPE_*`.
    pub prog_type: u32,
    /// `BPF_*` attach type, or 0.
    pub expected_attach_type: u32,
    /// `BPF_F_*` of the load.
    pub flags: u32,
    /// BTF type id that the program attaches to, in the kernel's types; 0 for none.
    pub attach_btf_id: u32,
    /// Instructions; maps by index.
    pub insns: Vec<RawInsn>,
    /// Licence.
    pub license: String,
    /// The maps that instructions refer to.
    pub maps: Vec<Arc<dyn MapOps>>,
    /// Types, for callbacks and names.
    pub btf: Option<Arc<Btf>>,
    /// First slot and BTF type id of each subprogram.
    pub func_info: Vec<(u32, u32)>,
    /// Source lines.
    pub line_info: Vec<LineInfo>,
    /// How much of the verifier's log to keep.
    pub log_level: LogLevel,
    /// Who loads it.
    pub privilege: Privilege,
}

/// A map of a loaded object.
#[derive(Clone, Debug)]
pub struct LoadedMap {
    /// Name in the source.
    pub symbol: String,
    /// The object's description of it.
    pub def: MapDef,
    /// The map.
    pub map: Arc<dyn MapOps>,
}

/// A loaded object: its maps and programs.
#[derive(Debug)]
pub struct Loaded {
    maps: Vec<LoadedMap>,
    programs: Vec<Arc<Program>>,
    btf: Option<Arc<Btf>>,
}

impl Loaded {
    /// The maps in the object's order.
    pub fn maps(&self) -> &[LoadedMap] {
        &self.maps
    }

    /// A map by its name in the source or as created.
    pub fn map(&self, name: &str) -> Option<&LoadedMap> {
        self.maps.iter().find(|m| m.symbol == name || m.def.name == name)
    }

    /// The programs in the object's order.
    pub fn programs(&self) -> &[Arc<Program>] {
        &self.programs
    }

    /// A program by name.
    pub fn program(&self, name: &str) -> Option<&Arc<Program>> {
        self.programs.iter().find(|p| p.name == name)
    }

    /// The object's types.
    pub fn btf(&self) -> Option<&Arc<Btf>> {
        self.btf.as_ref()
    }
}

impl Drop for Loaded {
    /// As when user space closes a program array: its programs go, since they may refer to it in turn.
    fn drop(&mut self) {
        for m in &self.maps {
            if let Some(array) = m.map.as_prog_array() {
                array.clear();
            }
        }
    }
}

static NEXT_ID: AtomicU32 = AtomicU32::new(1);

impl System {
    /// Loads an object: creates and fills its maps, then verifies its programs.
    ///
    /// # Errors
    /// [`LoadError`] for the first map or program that cannot be loaded.
    pub fn load_object(
        &self,
        object: &Object,
        options: &LoadOptions<'_>,
    ) -> Result<Loaded, LoadError> {
        let mut maps = Vec::with_capacity(object.maps.len());
        for def in &object.maps {
            check_fields(def, object.btf.as_deref())?;
            let map = create_map(def)?;
            maps.push(LoadedMap { symbol: def.symbol.clone(), def: def.clone(), map });
        }
        // From here on, `loaded` empties program arrays when it is dropped.
        let mut loaded = Loaded { maps, programs: Vec::new(), btf: object.btf.clone() };
        let handles: Vec<Arc<dyn MapOps>> = loaded.maps.iter().map(|m| m.map.clone()).collect();
        let mut by_index: Vec<Option<Arc<Program>>> = vec![None; object.programs.len()];
        if let Some(name) = options.only
            && object.program(name).is_none()
        {
            return Err(LoadError::new(name, LoadErrorKind::NoProgram));
        }
        let referred = referred_programs(object);
        for (i, def) in object.programs.iter().enumerate() {
            let wanted = match options.only {
                // Tail calls need what program arrays refer to.
                Some(name) => def.name == name || (referred.contains(&i) && def.autoload),
                None => def.autoload,
            };
            if wanted {
                let raw = raw_program(object, def, &handles, options.log_level);
                let prog = self.load_raw(&raw)?;
                by_index[i] = Some(prog.clone());
                loaded.programs.push(prog);
            }
        }
        for m in &loaded.maps {
            fill_slots(m, &by_index)?;
        }
        Ok(loaded)
    }

    /// Loads one program.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn load_raw(&self, raw: &RawProgram) -> Result<Arc<Program>, LoadError> {
        let (kind, expected_attach_type) = prog_type(raw)?;
        if expected_attach_type == raw.expected_attach_type {
            return self.load(raw, kind, Origin::Extended);
        }
        self.load(&RawProgram { expected_attach_type, ..raw.clone() }, kind, Origin::Extended)
    }

    /// Translates and loads a classic filter.
    ///
    /// # Errors
    /// [`LoadError`]; one that the translation gives is `EINVAL` of the verifier's.
    pub fn load_classic(
        &self,
        name: &str,
        filter: &[SockFilter],
        flavor: Flavor,
    ) -> Result<Arc<Program>, LoadError> {
        let insns = cbpf::translate(filter, flavor).map_err(|e| {
            let (number, reason) = (1, format!("classic filter: {e}"));
            LoadError::new(name, LoadErrorKind::ProgType { number, reason })
        })?;
        let kind = match flavor {
            Flavor::Socket => &SOCKET_FILTER,
            Flavor::Seccomp => &SECCOMP,
        };
        let raw = RawProgram {
            name: name.to_owned(),
            insns,
            // Classic filters have no licence, and call nothing that asks for one.
            license: "GPL".to_owned(),
            ..RawProgram::default()
        };
        self.load(&raw, kind, Origin::Classic)
    }

    fn load(
        &self,
        raw: &RawProgram,
        kind: &'static ProgType,
        origin: Origin,
    ) -> Result<Arc<Program>, LoadError> {
        let err = |kind| LoadError::new(&raw.name, kind);
        if let Support::No(_, note) = kind.support {
            let (number, reason) = (kind.props.prog_type, format!("{}: {note}", kind.props.name));
            return Err(err(LoadErrorKind::ProgType { number, reason }));
        }
        let is_capable = raw.privilege.caps().allows(Caps::BPF);
        if self.unprivileged == UnprivilegedBpf::Disabled && !is_capable {
            return Err(err(LoadErrorKind::NotPermitted));
        }
        let maps = raw.maps.iter().map(|m| map_props(m.as_ref())).collect();
        let env = self.prog_env(kind, raw, maps, origin, raw.privilege, None);
        let request = request(raw);
        let mut log = Log::new(raw.log_level);
        let result = verify(&request, &env, &mut log);
        let log = log.text().to_owned();
        let verified = match result {
            Ok(v) => v,
            Err(error) => {
                let error = Box::new(error);
                return Err(err(LoadErrorKind::Verify { error, log }));
            }
        };
        let used = verified.premises().maps.iter();
        for map in used.filter_map(|(idx, _)| raw.maps.get(*idx as usize)) {
            if let Some(array) = map.as_prog_array() {
                array
                    .check_compat(compat(kind, raw.expected_attach_type))
                    .map_err(|e| LoadError::new(&map.spec().name, LoadErrorKind::MapContent(e)))?;
            }
        }
        for proto in &verified.premises().helpers {
            if let Some((h, note)) = helper::helper(proto.id).and_then(|h| Some((h, h.no_code()?)))
            {
                let helper = format!("bpf_{}#{}", h.proto.name, h.proto.id);
                return Err(err(LoadErrorKind::NoCode { helper, note }));
            }
        }
        let code = Prog::new(&verified, raw.maps.clone(), &Table)
            .map_err(|e| err(LoadErrorKind::Link(e)))?;
        Ok(Arc::new(Program {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            name: raw.name.clone(),
            kind,
            expected_attach_type: raw.expected_attach_type,
            verified,
            code: Arc::new(code),
            log,
        }))
    }
}

impl System {
    /// What the verifier may ask about a program.
    pub(super) fn prog_env(
        &self,
        kind: &'static ProgType,
        raw: &RawProgram,
        maps: Vec<MapProps>,
        origin: Origin,
        privilege: Privilege,
        attached: Option<AttachedTo>,
    ) -> ProgEnv {
        let around = Surroundings {
            expected_attach_type: raw.expected_attach_type,
            attach_btf_id: raw.attach_btf_id,
            maps,
            btf: raw.btf.clone(),
            kernel_btf: self.kernel_btf.clone(),
            origin,
            privilege,
            attached,
        };
        ProgEnv::new(kind, around)
    }
}

/// What the verifier is asked to judge.
pub(super) fn request(raw: &RawProgram) -> LoadRequest {
    LoadRequest {
        name: raw.name.clone(),
        insns: raw.insns.clone(),
        license: raw.license.clone(),
        flags: raw.flags,
        expected_attach_type: raw.expected_attach_type,
        attach_btf_id: raw.attach_btf_id,
        attach_btf: 0,
        func_info: raw.func_info.clone(),
        line_info: raw.line_info.clone(),
    }
}

/// The type of a program, and the attach type that it has.
pub(super) fn prog_type(raw: &RawProgram) -> Result<(&'static ProgType, u32), LoadError> {
    let number = raw.prog_type;
    let err = |reason| LoadError::new(&raw.name, LoadErrorKind::ProgType { number, reason });
    let Some(kind) = ProgType::by_number(number) else {
        return Err(err("Linux 6.18 has no such type".to_owned()));
    };
    let given = raw.expected_attach_type;
    match kind.resolve_attach(given) {
        Some(attach) => Ok((kind, attach)),
        None => Err(err(format!("{} programs do not attach as {given}", kind.props.name))),
    }
}

pub(super) fn raw_program(
    object: &Object,
    def: &ProgramDef,
    maps: &[Arc<dyn MapOps>],
    log_level: LogLevel,
) -> RawProgram {
    RawProgram {
        name: def.name.clone(),
        prog_type: def.prog_type,
        expected_attach_type: def.expected_attach_type,
        flags: def.flags,
        attach_btf_id: def.attach_btf_id,
        insns: def.insns.clone(),
        license: object.license.clone(),
        maps: maps.to_vec(),
        btf: object.btf.clone(),
        func_info: def.func_info.iter().map(|f| (f.insn_off, f.type_id)).collect(),
        line_info: def
            .line_info
            .iter()
            .map(|l| LineInfo {
                insn_off: l.insn_off,
                file_name_off: l.file_name_off,
                line_off: l.line_off,
                line: l.line(),
                column: l.column(),
            })
            .collect(),
        log_level,
        privilege: Privilege::Privileged,
    }
}

/// Refuses a map whose value has members that only the kernel may touch: programs could change them as plain memory.
fn check_fields(def: &MapDef, btf: Option<&Btf>) -> Result<(), LoadError> {
    if let Some(inner) = &def.inner {
        check_fields(inner, btf)?;
    }
    let (Some(btf), 1..) = (btf, def.btf_value_type_id) else { return Ok(()) };
    let err = |kind| LoadError::new(&def.symbol, kind);
    let found = fields::fields(btf, TypeId(def.btf_value_type_id), def.value_size, Scope::MapValue)
        .map_err(|e| err(LoadErrorKind::MapFields(e)))?;
    match found.first() {
        Some(f) => Err(err(LoadErrorKind::MapSpecial { kind: f.kind, offset: f.offset })),
        None => Ok(()),
    }
}

/// What a map of an object is created from.
pub fn map_spec(def: &MapDef) -> MapSpec {
    MapSpec {
        map_type: def.map_type,
        key_size: def.key_size,
        value_size: def.value_size,
        max_entries: def.max_entries,
        flags: def.flags,
        numa_node: def.numa_node,
        map_extra: def.map_extra,
        name: def.name.clone(),
    }
}

fn create_map(def: &MapDef) -> Result<Arc<dyn MapOps>, LoadError> {
    let err = |kind| LoadError::new(&def.symbol, kind);
    let map = skep_maps::create(&map_spec(def)).map_err(|e| err(LoadErrorKind::Map(e)))?;
    let content = |e| err(LoadErrorKind::MapContent(e));
    if let MapInit::Bytes(bytes) = &def.init {
        let mut value = bytes.clone();
        value.resize(map.user_value_size(), 0);
        map.user_update(&0u32.to_ne_bytes(), &value, 0).map_err(content)?;
    }
    match def.kind {
        MapKind::Rodata | MapKind::Kconfig => map.freeze().map_err(content)?,
        MapKind::User | MapKind::Data | MapKind::Bss | MapKind::StructOps => {}
    }
    Ok(map)
}

/// Indices of the programs that initial elements of program arrays refer to.
fn referred_programs(object: &Object) -> Vec<usize> {
    let mut found = Vec::new();
    for def in &object.maps {
        if let MapInit::Slots(slots) = &def.init {
            found.extend(slots.iter().filter_map(|(_, slot)| match slot {
                MapSlot::Program(i) => Some(*i),
                MapSlot::Map(_) => None,
            }));
        }
    }
    found
}

fn fill_slots(map: &LoadedMap, programs: &[Option<Arc<Program>>]) -> Result<(), LoadError> {
    let MapInit::Slots(slots) = &map.def.init else { return Ok(()) };
    for (key, slot) in slots {
        let err =
            |reason| LoadError::new(&map.symbol, LoadErrorKind::MapSlot { key: *key, reason });
        let prog = match slot {
            MapSlot::Map(_) => return Err(err("maps in maps are not implemented yet")),
            MapSlot::Program(i) => programs.get(*i).and_then(Option::as_ref),
        };
        let prog = prog.ok_or_else(|| err("the program is not loaded"))?;
        let array = map.map.as_prog_array().ok_or_else(|| err("the map holds no programs"))?;
        let set = array.set(&key.to_ne_bytes(), || Ok(prog.clone() as _), 0);
        set.map_err(|e| match e {
            Errno::E2BIG => err("the index is out of range"),
            _ => err("the program does not fit the others"),
        })?;
    }
    Ok(())
}
