//! Cases from objects of `progs/*.c`: each program loaded alone, by who its annotations say.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use skep_abi::uapi::*;
use skep_elf::{MapDef, MapInit, Object, ProgramDef};

use super::attach;
use super::input::{Case, Expect, Load, Map, Mode, Source, Untyped};
use super::tags;
use crate::objects::host::Host;

/// A program, or a whole object, that cannot be loaded here by itself.
#[derive(Clone, Debug)]
pub(super) struct NotLoadable {
    pub(super) file: String,
    /// Empty for the whole object.
    pub(super) program: String,
    pub(super) reason: String,
}

/// The cases of one object.
pub(super) fn cases(
    path: &Path,
    host: &Host,
    cases: &mut Vec<Case>,
    not_loadable: &mut Vec<NotLoadable>,
) {
    let name = path.file_name().map_or(String::new(), |n| n.to_string_lossy().into_owned());
    let file = name.split('.').next().unwrap_or_default().to_owned();
    let mut skip = |program: &str, reason: String| {
        let (file, program) = (file.clone(), program.to_owned());
        not_loadable.push(NotLoadable { file, program, reason });
    };
    let opened =
        fs::read(path).map_err(|e| e.to_string()).and_then(|bytes| host.open(&file, &bytes));
    let object = match opened {
        Ok(object) => object,
        Err(error) => return skip("", error),
    };
    // Naked functions have arguments without names, which the kernel does not take.
    let has_types = object.btf.as_ref().is_some_and(|btf| skep_btf::validate::types(btf).is_ok());
    let maps = Arc::new(object.maps.iter().map(|def| map(def, &object)).collect::<Vec<_>>());
    for def in &object.programs {
        let tags = match object.btf.as_deref().map(|btf| tags::read(btf, &def.name)).transpose() {
            Ok(tags) => tags.unwrap_or_default(),
            Err(error) => {
                skip(&def.name, error);
                continue;
            }
        };
        if let Some(error) = &def.unresolved {
            skip(&def.name, error.to_string());
            continue;
        }
        let attach_btf_id = match attach::resolve(host.btf(), def) {
            Ok(id) => id,
            Err(error) => {
                skip(&def.name, error);
                continue;
            }
        };
        let is_test = tags.is_test_here();
        let flags = if is_test { tags.flags(def.flags) } else { def.flags };
        let load = Arc::new(load(def, &object, &maps, flags, attach_btf_id));
        // Types may only be loaded with privileges; libbpf goes on without.
        let untyped = Arc::new(without_types(&load));
        let modes = if is_test { tags.modes() } else { vec![Mode::Privileged] };
        for mode in modes {
            let takes_packet = def.prog_type != BPF_PROG_TYPE_SYSCALL;
            let expect = match is_test {
                true => tags.expect(mode, takes_packet),
                false => Expect::default(),
            };
            cases.push(Case {
                source: if tags.is_annotated() { Source::Annotated } else { Source::Plain },
                mode,
                caps: if mode == Mode::Privileged { Vec::new() } else { tags.caps() },
                file: file.clone(),
                name: def.name.clone(),
                load: match mode {
                    Mode::Privileged if has_types => load.clone(),
                    Mode::Privileged | Mode::Unprivileged => untyped.clone(),
                },
                expect,
            });
        }
    }
}

/// A map with the sizes that its user would have set, so that it can be created.
fn map(def: &MapDef, object: &Object) -> Map {
    let mut def = def.clone();
    match def.map_type {
        BPF_MAP_TYPE_SK_STORAGE
        | BPF_MAP_TYPE_INODE_STORAGE
        | BPF_MAP_TYPE_TASK_STORAGE
        | BPF_MAP_TYPE_CGRP_STORAGE
        | BPF_MAP_TYPE_CGROUP_STORAGE
        | BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE
        | BPF_MAP_TYPE_STRUCT_OPS => {}
        BPF_MAP_TYPE_RINGBUF | BPF_MAP_TYPE_USER_RINGBUF => {
            def.max_entries = def.max_entries.max(4096);
        }
        BPF_MAP_TYPE_PERF_EVENT_ARRAY => {}
        _ => def.max_entries = def.max_entries.max(1),
    }
    let is_keyless = matches!(
        def.map_type,
        BPF_MAP_TYPE_RINGBUF
            | BPF_MAP_TYPE_USER_RINGBUF
            | BPF_MAP_TYPE_BLOOM_FILTER
            | BPF_MAP_TYPE_QUEUE
            | BPF_MAP_TYPE_STACK
            | BPF_MAP_TYPE_ARENA
    );
    let is_valueless = matches!(
        def.map_type,
        BPF_MAP_TYPE_RINGBUF | BPF_MAP_TYPE_USER_RINGBUF | BPF_MAP_TYPE_ARENA
    );
    if def.key_size == 0 && !is_keyless {
        def.key_size = 4;
    }
    if def.value_size == 0 && !is_valueless {
        def.value_size = 4;
    }
    if matches!(def.map_type, BPF_MAP_TYPE_ARRAY_OF_MAPS | BPF_MAP_TYPE_HASH_OF_MAPS) {
        def.value_size = 4;
        let inner = def.inner.take().map(|inner| map(&inner, object).def);
        def.inner = Some(Box::new(inner.unwrap_or_else(|| MapDef {
            map_type: BPF_MAP_TYPE_ARRAY,
            key_size: 4,
            value_size: 4,
            max_entries: 1,
            flags: 0,
            init: MapInit::None,
            ..def.clone()
        })));
    }
    if !takes_types(def.map_type) {
        (def.btf_key_type_id, def.btf_value_type_id) = (0, 0);
    }
    Map {
        def,
        btf: object.btf.clone(),
        untyped: Untyped::Allowed,
        elements: Vec::new(),
        programs: Vec::new(),
    }
}

fn without_types(load: &Load) -> Load {
    let map = |m: &Map| {
        let mut def = m.def.clone();
        (def.btf_key_type_id, def.btf_value_type_id) = (0, 0);
        Map {
            def,
            btf: None,
            untyped: m.untyped,
            elements: m.elements.clone(),
            programs: m.programs.clone(),
        }
    };
    Load {
        name: load.name.clone(),
        license: load.license.clone(),
        insns: load.insns.clone(),
        maps: Arc::new(load.maps.iter().map(map).collect()),
        helpers: Vec::new(),
        btf: None,
        func_info: Vec::new(),
        line_info: Vec::new(),
        ..*load
    }
}

/// Whether libbpf tells the kernel the types of its elements.
fn takes_types(map_type: u32) -> bool {
    !matches!(
        map_type,
        BPF_MAP_TYPE_PERF_EVENT_ARRAY
            | BPF_MAP_TYPE_CGROUP_ARRAY
            | BPF_MAP_TYPE_STACK_TRACE
            | BPF_MAP_TYPE_ARRAY_OF_MAPS
            | BPF_MAP_TYPE_HASH_OF_MAPS
            | BPF_MAP_TYPE_DEVMAP
            | BPF_MAP_TYPE_DEVMAP_HASH
            | BPF_MAP_TYPE_CPUMAP
            | BPF_MAP_TYPE_XSKMAP
            | BPF_MAP_TYPE_SOCKMAP
            | BPF_MAP_TYPE_SOCKHASH
            | BPF_MAP_TYPE_QUEUE
            | BPF_MAP_TYPE_STACK
            | BPF_MAP_TYPE_ARENA
            | BPF_MAP_TYPE_STRUCT_OPS
    )
}

fn load(
    def: &ProgramDef,
    object: &Object,
    maps: &Arc<Vec<Map>>,
    flags: u32,
    attach_btf_id: u32,
) -> Load {
    let line = |l: &skep_elf::LineInfo| [l.insn_off, l.file_name_off, l.line_off, l.line_col];
    Load {
        name: def.name.clone(),
        prog_type: def.prog_type,
        attach_type: def.expected_attach_type,
        flags,
        license: object.license.clone(),
        insns: def.insns.clone(),
        maps: maps.clone(),
        helpers: Vec::new(),
        // Without function records there is nothing in it that the verifier would use.
        btf: object.btf.clone().filter(|_| !def.func_info.is_empty()),
        func_info: def.func_info.iter().map(|f| (f.insn_off, f.type_id)).collect(),
        line_info: def.line_info.iter().map(line).collect(),
        attach_btf_id,
    }
}
