//! [`Native`]: an opened object in the live kernel, as a loader would put it there.

use skep_abi::Errno;
use skep_btf::ByteOrder;
use skep_elf::{MapDef, MapInit, MapKind, MapSlot, Object, ProgramDef};
use skep_host::kernel::{KernelBtf, KernelMap, KernelProg, LoadAttr};
use std::os::fd::RawFd;

/// Maps and programs of one object, by the object's own indices.
#[derive(Debug)]
pub struct Native {
    /// One for each of [`Object::maps`].
    pub maps: Vec<KernelMap>,
    /// One for each of [`Object::programs`].
    pub programs: Vec<KernelProg>,
}

impl Native {
    /// Creates the maps, fills them, loads every program and fills program arrays.
    ///
    /// # Errors
    /// Names the map or program, with the kernel's errno and log.
    pub fn load(object: &Object) -> Result<Native, String> {
        let maps = object.maps.iter().map(create).collect::<Result<Vec<_>, _>>()?;
        let fds: Vec<RawFd> = maps.iter().map(KernelMap::fd).collect();
        let btf = load_btf(object)?;
        let programs = object
            .programs
            .iter()
            .map(|p| load(p, object, &fds, btf.as_ref()))
            .collect::<Result<Vec<_>, _>>()?;
        for (def, map) in object.maps.iter().zip(&maps) {
            let MapInit::Slots(slots) = &def.init else { continue };
            for &(key, slot) in slots {
                let fd = match slot {
                    MapSlot::Map(i) => maps[i].fd(),
                    MapSlot::Program(i) => programs[i].fd(),
                };
                map.update(&key.to_ne_bytes(), &fd.to_ne_bytes(), 0)
                    .map_err(|e| failed(def, "fill", e))?;
            }
        }
        Ok(Native { maps, programs })
    }
}

fn create(def: &MapDef) -> Result<KernelMap, String> {
    let map = KernelMap::create(&skep::map_spec(def)).map_err(|e| failed(def, "create", e))?;
    if let MapInit::Bytes(bytes) = &def.init {
        map.update(&[0; 4], bytes, 0).map_err(|e| failed(def, "fill", e))?;
    }
    if matches!(def.kind, MapKind::Rodata | MapKind::Kconfig) {
        map.freeze().map_err(|e| failed(def, "freeze", e))?;
    }
    Ok(map)
}

fn failed(def: &MapDef, what: &str, errno: Errno) -> String {
    format!("{what} map '{}': {errno}", def.name)
}

/// Loads each program of an object by itself, with a log of that level: what the kernel writes, whatever the verdict.
///
/// # Errors
/// Names the map that the kernel does not make.
pub fn logs(object: &Object, log_level: u32) -> Result<Vec<(String, String)>, String> {
    let maps = object.maps.iter().map(create).collect::<Result<Vec<_>, _>>()?;
    let fds: Vec<RawFd> = maps.iter().map(KernelMap::fd).collect();
    let btf = load_btf(object)?;
    let log = |def: &ProgramDef| {
        let log = match with_attr(def, object, &fds, btf.as_ref(), |attr| {
            KernelProg::load(&LoadAttr { log_level, ..*attr })
        }) {
            Ok(prog) => prog.log.clone(),
            Err(e) => e.log,
        };
        (def.name.clone(), log)
    };
    Ok(object.programs.iter().map(log).collect())
}

fn load_btf(object: &Object) -> Result<Option<KernelBtf>, String> {
    let Some(btf) = &object.btf else { return Ok(None) };
    let data = btf.to_bytes(ByteOrder::HOST);
    KernelBtf::load(&data).map(Some).map_err(|e| format!("BTF: {e}"))
}

fn load(
    def: &ProgramDef,
    object: &Object,
    fds: &[RawFd],
    btf: Option<&KernelBtf>,
) -> Result<KernelProg, String> {
    with_attr(def, object, fds, btf, |attr| {
        KernelProg::load(attr).or_else(|quiet| {
            // Once more, to learn why.
            KernelProg::load(&LoadAttr { log_level: 1, ..*attr })
                .map_err(|e| format!("load program '{}': {} {e}", def.name, quiet.errno))
        })
    })
}

fn with_attr<T>(
    def: &ProgramDef,
    object: &Object,
    fds: &[RawFd],
    btf: Option<&KernelBtf>,
    load: impl FnOnce(&LoadAttr<'_>) -> T,
) -> T {
    let func_info: Vec<(u32, u32)> =
        def.func_info.iter().map(|f| (f.insn_off, f.type_id)).collect();
    let line_info: Vec<[u32; 4]> = def
        .line_info
        .iter()
        .map(|l| [l.insn_off, l.file_name_off, l.line_off, l.line_col])
        .collect();
    load(&LoadAttr {
        prog_type: def.prog_type,
        expected_attach_type: def.expected_attach_type,
        insns: &def.insns,
        license: &object.license,
        flags: def.flags,
        name: &def.name,
        fd_array: fds,
        // Without function records there is nothing in it that the kernel would use.
        btf: btf.filter(|_| !func_info.is_empty()),
        func_info: &func_info,
        line_info: &line_info,
        ..LoadAttr::default()
    })
}
