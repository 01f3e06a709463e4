//! Facts as libbpf gives them: objects are opened and prepared (relocated, maps created in the live kernel) but no program
//! is loaded. The only place of `xtask` with foreign functions.

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fs::{self, File};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};

use libbpf_sys as sys;
use skep_abi::insn::RawInsn;
use skep_abi::uapi;

use super::facts::{Code, Facts, MapFacts, ProgFacts};

/// Where libbpf's warnings go, or -1.
static LOG_FD: AtomicI32 = AtomicI32::new(-1);
/// How many keys of a map of maps are looked at.
const MAX_SLOTS: u32 = 1024;

/// Which programs libbpf is asked to relocate.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Programs {
    /// All, also those that are not loaded by default.
    All,
    /// Those that are loaded by default.
    Default,
}

/// What to do with maps that cannot be created as they are, since a test sets their sizes when it runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sizes {
    /// Leave them.
    AsWritten,
    /// Give them sizes. The facts are those from before.
    FilledIn,
}

/// libbpf with its log in a file.
pub(super) struct Oracle {
    log: File,
    path: std::path::PathBuf,
}

/// Writes a message to [`LOG_FD`].
///
/// # Safety
/// As libbpf calls it: `format` is a C string that fits `args`.
unsafe extern "C" fn print(
    level: sys::libbpf_print_level,
    format: *const c_char,
    args: *mut sys::__va_list_tag,
) -> c_int {
    if level != sys::LIBBPF_WARN {
        return 0;
    }
    // SAFETY: libbpf passes a format and its arguments; the descriptor is open as long as the oracle lives.
    unsafe { sys::vdprintf(LOG_FD.load(Ordering::Relaxed), format, args) }
}

impl Oracle {
    /// Sets the log up in a directory.
    pub(super) fn new(dir: &Path) -> Result<Oracle, String> {
        let path = dir.join("libbpf.log");
        let log = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(|e| format!("{}: {e}", path.display()))?;
        LOG_FD.store(log.as_raw_fd(), Ordering::Relaxed);
        // SAFETY: the callback has the right type and lives for ever.
        unsafe { sys::libbpf_set_print(Some(print)) };
        Ok(Oracle { log, path })
    }

    /// What libbpf warned about since the last call.
    fn take_log(&self) -> String {
        let text = fs::read(&self.path).unwrap_or_default();
        // Append mode: the next message starts at the new end.
        let _ = self.log.set_len(0);
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Opens and prepares an object; the log if libbpf refuses.
    pub(super) fn open(
        &self,
        name: &str,
        bytes: &[u8],
        programs: Programs,
        sizes: Sizes,
    ) -> Result<Facts, String> {
        self.take_log();
        let name = CString::new(name).map_err(|e| e.to_string())?;
        let options = sys::bpf_object_open_opts {
            sz: size_of::<sys::bpf_object_open_opts>() as sys::size_t,
            object_name: name.as_ptr(),
            ..Default::default()
        };
        // SAFETY: buffer and options live for the call; libbpf copies what it keeps until `prepare`, and `bytes` outlives
        // the object, which is closed before this function returns.
        let object = unsafe {
            sys::bpf_object__open_mem(bytes.as_ptr().cast::<c_void>(), bytes.len() as u64, &options)
        };
        if object.is_null() {
            return Err(self.take_log());
        }
        let object = Object(object);
        let mut maps = object.maps();
        let mut before: Vec<MapFacts> = maps.iter().map(|&m| map_facts(m)).collect();
        if sizes == Sizes::FilledIn {
            maps.iter().copied().for_each(make_creatable);
        }
        let autoload: Vec<bool> =
            object.programs().iter().map(|&p| autoload(p, programs)).collect();
        // SAFETY: the object is open and not yet prepared.
        let error = unsafe { sys::bpf_object__prepare(object.0) };
        if error != 0 {
            return Err(self.take_log());
        }
        // Struct_ops members that the kernel lacks have switched programs off by now.
        maps = object.maps();
        let by_fd: HashMap<i32, usize> =
            maps.iter().enumerate().map(|(i, &m)| (map_fd(m), i)).collect();
        let ids: HashMap<u32, usize> =
            maps.iter().enumerate().filter_map(|(i, &m)| Some((map_id(m)?, i))).collect();
        for (facts, &map) in before.iter_mut().zip(&maps) {
            after_prepare(facts, map, &ids);
        }
        let progs = object.programs();
        Ok(Facts {
            license: String::new(),
            types: object.types_loaded(),
            programs: progs
                .iter()
                .zip(autoload)
                .map(|(&p, was)| prog_facts(p, was, programs, &by_fd))
                .collect(),
            maps: before,
        })
    }

    /// Whether the live kernel takes types.
    pub(super) fn load_btf(&self, data: &[u8]) -> Result<(), String> {
        let mut log = vec![0u8; 1 << 20];
        let mut options = sys::bpf_btf_load_opts {
            sz: size_of::<sys::bpf_btf_load_opts>() as sys::size_t,
            log_buf: log.as_mut_ptr().cast::<c_char>(),
            log_level: 1,
            log_size: log.len() as u32,
            ..Default::default()
        };
        // SAFETY: data, options and log live for the call and have the sizes given.
        let fd = unsafe {
            sys::bpf_btf_load(data.as_ptr().cast::<c_void>(), data.len() as u64, &mut options)
        };
        if fd < 0 {
            let end = log.iter().position(|&b| b == 0).unwrap_or(log.len());
            let text = String::from_utf8_lossy(log.get(..end).unwrap_or_default()).into_owned();
            let last: Vec<&str> = text.lines().rev().take(3).collect();
            return Err(format!("the kernel refuses the types ({fd}): {}", last.join(" / ")));
        }
        // SAFETY: a descriptor that was just made and is no one else's.
        drop(unsafe { OwnedFd::from_raw_fd(fd) });
        Ok(())
    }

    /// Links objects as the self-tests do: the result is linked once more, which puts offsets of variables right that the
    /// first pass took from an extern.
    pub(super) fn link(&self, inputs: &[&Path], output: &Path) -> Result<Vec<u8>, String> {
        let first = output.with_extension("first.o");
        self.link_once(inputs, &first)?;
        self.link_once(&[&first], output)
    }

    /// As `bpftool gen object`.
    fn link_once(&self, inputs: &[&Path], output: &Path) -> Result<Vec<u8>, String> {
        self.take_log();
        let path =
            |p: &Path| CString::new(p.as_os_str().as_encoded_bytes()).map_err(|e| e.to_string());
        let out = path(output)?;
        // SAFETY: the path is a C string; no options.
        let linker = unsafe { sys::bpf_linker__new(out.as_ptr(), ptr::null_mut()) };
        if linker.is_null() {
            return Err(self.take_log());
        }
        let mut error = 0;
        for input in inputs {
            let input = path(input)?;
            // SAFETY: the linker is live, the path a C string; no options.
            error = unsafe { sys::bpf_linker__add_file(linker, input.as_ptr(), ptr::null()) };
            if error != 0 {
                break;
            }
        }
        if error == 0 {
            // SAFETY: the linker is live and not finalised yet.
            error = unsafe { sys::bpf_linker__finalize(linker) };
        }
        // SAFETY: made by `bpf_linker__new`, freed once.
        unsafe { sys::bpf_linker__free(linker) };
        if error != 0 {
            return Err(self.take_log());
        }
        fs::read(output).map_err(|e| e.to_string())
    }
}

/// An open object.
struct Object(*mut sys::bpf_object);

impl Drop for Object {
    fn drop(&mut self) {
        // SAFETY: made by `bpf_object__open_mem`, closed once.
        unsafe { sys::bpf_object__close(self.0) };
    }
}

impl Object {
    /// Whether the kernel took the object's types; `None` if it has none.
    fn types_loaded(&self) -> Option<bool> {
        // SAFETY: the object is open.
        unsafe {
            let none = sys::bpf_object__btf(self.0).is_null();
            (!none).then(|| sys::bpf_object__btf_fd(self.0) >= 0)
        }
    }

    fn maps(&self) -> Vec<*mut sys::bpf_map> {
        let mut out = Vec::new();
        let mut at = ptr::null_mut();
        loop {
            // SAFETY: the object is open; `at` is null or a map of it.
            at = unsafe { sys::bpf_object__next_map(self.0, at) };
            if at.is_null() {
                return out;
            }
            out.push(at);
        }
    }

    fn programs(&self) -> Vec<*mut sys::bpf_program> {
        let mut out = Vec::new();
        let mut at = ptr::null_mut();
        loop {
            // SAFETY: the object is open; `at` is null or a program of it.
            at = unsafe { sys::bpf_object__next_program(self.0, at) };
            if at.is_null() {
                return out;
            }
            out.push(at);
        }
    }
}

/// Copies a C string that lives as long as the object.
///
/// # Safety
/// `text` is null or a C string.
unsafe fn text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: promised by the caller.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

fn numbers(map: *const sys::bpf_map) -> [u32; 8] {
    // SAFETY: a map of an open object; these only read it.
    unsafe {
        [
            sys::bpf_map__type(map),
            sys::bpf_map__key_size(map),
            sys::bpf_map__value_size(map),
            sys::bpf_map__max_entries(map),
            sys::bpf_map__map_flags(map),
            sys::bpf_map__numa_node(map),
            sys::bpf_map__btf_key_type_id(map),
            sys::bpf_map__btf_value_type_id(map),
        ]
    }
}

fn contents(map: *mut sys::bpf_map) -> Option<Vec<u8>> {
    let mut size = 0;
    // SAFETY: a map of an open object; the buffer that comes back lives as long as it and has `size` bytes.
    unsafe {
        let data = sys::bpf_map__initial_value(map, &mut size);
        if data.is_null() {
            return None;
        }
        Some(std::slice::from_raw_parts(data.cast::<u8>(), size as usize).to_vec())
    }
}

/// Facts before the object is prepared; takes pinning off, which would leave maps behind.
fn map_facts(map: *mut sys::bpf_map) -> MapFacts {
    // SAFETY: a map of an open object that is not prepared yet.
    unsafe {
        let inner = sys::bpf_map__inner_map(map);
        let pinned = !sys::bpf_map__pin_path(map).is_null();
        sys::bpf_map__set_pin_path(map, ptr::null());
        let is_struct_ops = sys::bpf_map__type(map) == uapi::BPF_MAP_TYPE_STRUCT_OPS;
        MapFacts {
            name: text(sys::bpf_map__name(map)),
            numbers: numbers(map),
            extra: sys::bpf_map__map_extra(map),
            autocreate: sys::bpf_map__autocreate(map),
            pinned,
            inner: (!inner.is_null()).then(|| numbers(inner)),
            // Pointers of libbpf's own are in there.
            contents: if is_struct_ops { None } else { contents(map) },
            inner_slots: Vec::new(),
        }
    }
}

/// Gives a map whose sizes or inner map its user was to set such, so that it can be created.
fn make_creatable(map: *mut sys::bpf_map) {
    const ENTRIES: u32 = 4096;
    let [map_type, key_size, value_size, max_entries, ..] = numbers(map);
    let of_maps =
        matches!(map_type, uapi::BPF_MAP_TYPE_ARRAY_OF_MAPS | uapi::BPF_MAP_TYPE_HASH_OF_MAPS);
    // Those take no number of entries.
    let storage = matches!(
        map_type,
        uapi::BPF_MAP_TYPE_SK_STORAGE
            | uapi::BPF_MAP_TYPE_INODE_STORAGE
            | uapi::BPF_MAP_TYPE_TASK_STORAGE
            | uapi::BPF_MAP_TYPE_CGRP_STORAGE
            | uapi::BPF_MAP_TYPE_CGROUP_STORAGE
            | uapi::BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE
            | uapi::BPF_MAP_TYPE_PERF_EVENT_ARRAY
            | uapi::BPF_MAP_TYPE_STRUCT_OPS
    );
    let ring = matches!(map_type, uapi::BPF_MAP_TYPE_RINGBUF | uapi::BPF_MAP_TYPE_USER_RINGBUF);
    let keyless = ring
        || matches!(
            map_type,
            uapi::BPF_MAP_TYPE_BLOOM_FILTER
                | uapi::BPF_MAP_TYPE_QUEUE
                | uapi::BPF_MAP_TYPE_STACK
                | uapi::BPF_MAP_TYPE_ARENA
        );
    // SAFETY: a map of an open object that is not prepared yet. An inner map's numbers may be read, but not set: it
    // has no object. The inner descriptor stays open until the process ends.
    unsafe {
        if max_entries == 0 && !storage {
            sys::bpf_map__set_max_entries(map, ENTRIES);
        }
        if key_size == 0 && !keyless {
            sys::bpf_map__set_key_size(map, 4);
        }
        if value_size == 0 && !ring && map_type != uapi::BPF_MAP_TYPE_ARENA {
            sys::bpf_map__set_value_size(map, 4);
        }
        let inner = sys::bpf_map__inner_map(map);
        if of_maps && (inner.is_null() || numbers(inner)[3] == 0) {
            let [inner_type, key, value, ..] = if inner.is_null() {
                [uapi::BPF_MAP_TYPE_ARRAY, 4, 4, 0, 0, 0, 0, 0]
            } else {
                numbers(inner)
            };
            let perf = inner_type == uapi::BPF_MAP_TYPE_PERF_EVENT_ARRAY;
            let entries = if perf { 2 } else { ENTRIES };
            let name = c"inner".as_ptr();
            let fd = sys::bpf_map_create(inner_type, name, key, value, entries, ptr::null());
            if fd >= 0 {
                sys::bpf_map__set_inner_map_fd(map, fd);
            }
        }
    }
}

fn map_fd(map: *const sys::bpf_map) -> i32 {
    // SAFETY: a map of an open object.
    unsafe { sys::bpf_map__fd(map) }
}

fn map_id(map: *const sys::bpf_map) -> Option<u32> {
    let mut info = sys::bpf_map_info::default();
    let mut len = size_of::<sys::bpf_map_info>() as u32;
    // SAFETY: `info` has `len` bytes.
    let error = unsafe { sys::bpf_map_get_info_by_fd(map_fd(map), &mut info, &mut len) };
    (error == 0).then_some(info.id)
}

/// What only shows once the object is prepared.
fn after_prepare(facts: &mut MapFacts, map: *mut sys::bpf_map, ids: &HashMap<u32, usize>) {
    let [map_type, key_size, _, max_entries, ..] = facts.numbers;
    if map_type == uapi::BPF_MAP_TYPE_STRUCT_OPS {
        facts.numbers[2] = numbers(map)[2];
    }
    if facts.name.ends_with(".kconfig") {
        facts.contents = contents(map);
    }
    let of_maps =
        matches!(map_type, uapi::BPF_MAP_TYPE_ARRAY_OF_MAPS | uapi::BPF_MAP_TYPE_HASH_OF_MAPS);
    if of_maps && key_size == 4 {
        for key in 0..max_entries.min(MAX_SLOTS) {
            let mut id = 0u32;
            // SAFETY: key and value have 4 bytes, as the sizes say.
            let error = unsafe {
                sys::bpf_map__lookup_elem(
                    map,
                    ptr::from_ref(&key).cast::<c_void>(),
                    4,
                    ptr::from_mut(&mut id).cast::<c_void>(),
                    4,
                    0,
                )
            };
            if error == 0
                && let Some(index) = ids.get(&id)
            {
                facts.inner_slots.push((key, *index));
            }
        }
    }
}

fn autoload(program: *mut sys::bpf_program, programs: Programs) -> bool {
    // SAFETY: a program of an open object that is not prepared yet.
    unsafe {
        let was = sys::bpf_program__autoload(program);
        if programs == Programs::All {
            sys::bpf_program__set_autoload(program, true);
        }
        was
    }
}

fn prog_facts(
    program: *mut sys::bpf_program,
    was_autoload: bool,
    programs: Programs,
    by_fd: &HashMap<i32, usize>,
) -> ProgFacts {
    // SAFETY: a program of a prepared object; these only read it, and each list has the length that libbpf gives.
    unsafe {
        let now = sys::bpf_program__autoload(program);
        let prog_type = sys::bpf_program__type(program);
        // struct_ops decides after opening which of its programs are loaded.
        let struct_ops = prog_type == uapi::BPF_PROG_TYPE_STRUCT_OPS;
        let code = (now || programs == Programs::All && was_autoload).then(|| Code {
            insns: insns(
                list(sys::bpf_program__insns(program), sys::bpf_program__insn_cnt(program)),
                by_fd,
            ),
            func_info: list(
                sys::bpf_program__func_info(program),
                sys::bpf_program__func_info_cnt(program).into(),
            )
            .iter()
            .map(|f| [f.insn_off, f.type_id])
            .collect(),
            line_info: list(
                sys::bpf_program__line_info(program),
                sys::bpf_program__line_info_cnt(program).into(),
            )
            .iter()
            .map(|l| [l.insn_off, l.file_name_off, l.line_off, l.line_col])
            .collect(),
        });
        ProgFacts {
            name: text(sys::bpf_program__name(program)),
            section: text(sys::bpf_program__section_name(program)),
            prog_type,
            attach_type: sys::bpf_program__expected_attach_type(program),
            autoload: if struct_ops { now } else { was_autoload },
            code,
        }
    }
}

/// A list of libbpf's.
///
/// # Safety
/// `first` is null or points to `count` values that live for `'a`.
unsafe fn list<'a, T>(first: *const T, count: sys::size_t) -> &'a [T] {
    if first.is_null() || count == 0 {
        return &[];
    }
    // SAFETY: promised by the caller.
    unsafe { std::slice::from_raw_parts(first, count as usize) }
}

/// Instructions with map file descriptors turned into indices.
fn insns(list: &[sys::bpf_insn], by_fd: &HashMap<i32, usize>) -> Vec<RawInsn> {
    let mut out = Vec::with_capacity(list.len());
    let mut second_half = false;
    for insn in list {
        let mut raw = RawInsn {
            code: insn.code,
            dst: insn.dst_reg(),
            src: insn.src_reg(),
            off: insn.off,
            imm: insn.imm,
        };
        // Some tests write a descriptor's number themselves: that is no reference to a map of the object.
        if !second_half
            && raw.code == 0x18
            && matches!(raw.src, 1 | 2)
            && let Some(&index) = by_fd.get(&raw.imm)
        {
            raw.src += 4;
            raw.imm = index as i32;
        }
        second_half = !second_half && raw.code == 0x18;
        out.push(raw);
    }
    out
}
