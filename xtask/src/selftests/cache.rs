//! [`Cache`]: the live kernel's answers in a file, a line of JSON each, so that a second run asks only for what is new.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use skep_abi::uapi::BPF_MAP_TYPE_ARENA;
use skep_btf::{Btf, ByteOrder};

use super::input::{Case, Untyped};
use super::native::{self, Answer};

/// Raised when what is asked changes without the case showing it.
const VERSION: u32 = 1;

/// Answers by what was asked.
pub(super) struct Cache {
    answers: HashMap<String, Answer>,
    file: File,
    kernel: String,
    types: HashMap<*const Btf, (Arc<Btf>, u64)>,
}

impl Cache {
    /// Reads a file, or begins one.
    pub(super) fn open(path: &Path) -> io::Result<Cache> {
        let mut answers = HashMap::new();
        for line in fs::read_to_string(path).unwrap_or_default().lines() {
            // A line that an interrupted run cut off is asked for again.
            let Ok(value) = serde_json::from_str::<Value>(line) else { continue };
            if let (Some(key), Some(answer)) = (value["key"].as_str(), Answer::from_json(&value)) {
                answers.insert(key.to_owned(), answer);
            }
        }
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir)?;
        }
        let file = File::options().create(true).append(true).open(path)?;
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned();
        Ok(Cache { answers, file, kernel, types: HashMap::new() })
    }

    /// What identifies the question.
    pub(super) fn key(&mut self, case: &Case) -> String {
        let load = case.load.as_ref();
        let mut hash = Fnv::new();
        hash.add(format!("{VERSION} {} {:?}{:?}", self.kernel, case.mode, case.caps).as_bytes());
        let data: Vec<&[u8]> = case.expect.runs.iter().map(|r| r.data.as_slice()).collect();
        hash.add(format!("{} {data:?}", native::log_level(case)).as_bytes());
        for insn in &load.insns {
            hash.add(&insn.to_le_bytes());
        }
        let numbers = [load.prog_type, load.attach_type, load.flags, load.attach_btf_id]
            .map(u32::to_ne_bytes);
        hash.add(numbers.as_flattened());
        hash.add(format!("{}/{}", load.license, load.name).as_bytes());
        hash.add(format!("{:?}{:?}", load.func_info, load.line_info).as_bytes());
        hash.add(format!("{:?}", load.helpers).as_bytes());
        hash.add(&self.types(load.btf.as_ref()).to_ne_bytes());
        for map in load.maps.iter() {
            hash.add(format!("{:?}{:?}{:?}", map.def, map.elements, map.programs).as_bytes());
            hash.add(&self.types(map.btf.as_ref()).to_ne_bytes());
            if map.def.inner.as_ref().is_some_and(|inner| inner.btf_value_type_id != 0) {
                hash.add(b"typed inner map");
            }
            if map.untyped == Untyped::Refused && map.def.btf_value_type_id != 0 {
                hash.add(b"types are needed");
            }
            if map.has_fields() {
                hash.add(b"types shared with the program");
            }
            if map.def.map_type == BPF_MAP_TYPE_ARENA {
                hash.add(b"arena with an address");
            }
        }
        format!("{:016x}", hash.0)
    }

    /// Hash of types, which many programs share.
    fn types(&mut self, btf: Option<&Arc<Btf>>) -> u64 {
        let Some(btf) = btf else { return 0 };
        let entry = self.types.entry(Arc::as_ptr(btf)).or_insert_with(|| {
            let mut hash = Fnv::new();
            hash.add(&btf.to_bytes(ByteOrder::HOST));
            // Held, so that no other types get the address.
            (btf.clone(), hash.0)
        });
        entry.1
    }

    pub(super) fn get(&self, key: &str) -> Option<&Answer> {
        self.answers.get(key)
    }

    /// Adds an answer, at once to the file.
    pub(super) fn put(&mut self, key: &str, id: &str, answer: Answer) -> io::Result<()> {
        let mut line = answer.to_json();
        if let Value::Object(fields) = &mut line {
            fields.insert("key".to_owned(), json!(key));
            fields.insert("id".to_owned(), json!(id));
        }
        self.file.write_all(format!("{line}\n").as_bytes())?;
        self.answers.insert(key.to_owned(), answer);
        Ok(())
    }
}

/// FNV-1a: the same numbers on every machine and with every compiler.
struct Fnv(u64);

impl Fnv {
    fn new() -> Fnv {
        Fnv(0xcbf2_9ce4_8422_2325)
    }

    fn add(&mut self, bytes: &[u8]) {
        for byte in (bytes.len() as u64).to_le_bytes().iter().chain(bytes) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
