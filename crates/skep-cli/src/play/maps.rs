//! Maps after a play: read as user space reads them, decoded by their BTF types, as text and as JSON.

use crate::failure::Failure;
use crate::output::Out;
use serde_json::{Map, Value as Json, json};
use skep_abi::uapi;
use skep_btf::value::{Value, decode};
use skep_btf::{Btf, TypeId};
use skep_elf::{MapDef, MapKind};
use skep_maps::{MapOps, Slot};

/// A map to show.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown<'a> {
    pub(crate) def: &'a MapDef,
    pub(crate) ops: &'a dyn MapOps,
    /// Types of the object.
    pub(crate) btf: Option<&'a Btf>,
}

/// A key and its values: one, or one for each CPU slot.
struct Element {
    key: Vec<u8>,
    values: Vec<Vec<u8>>,
}

impl Element {
    fn is_zero(&self) -> bool {
        self.values.iter().flatten().all(|byte| *byte == 0)
    }
}

impl<'a> Shown<'a> {
    /// `BPF_MAP_TYPE_*`.
    fn map_type(&self) -> u32 {
        self.ops.spec().map_type
    }

    fn type_name(&self) -> &'static str {
        let map_type = self.map_type();
        let name = uapi::BPF_MAP_TYPE_NAMES.iter().find(|(_, number)| *number == map_type);
        name.map_or("unknown", |(name, _)| name.trim_start_matches("BPF_MAP_TYPE_"))
    }

    fn is_per_cpu(&self) -> bool {
        matches!(
            self.map_type(),
            uapi::BPF_MAP_TYPE_PERCPU_ARRAY
                | uapi::BPF_MAP_TYPE_PERCPU_HASH
                | uapi::BPF_MAP_TYPE_LRU_PERCPU_HASH
        )
    }

    fn is_array(&self) -> bool {
        matches!(self.map_type(), uapi::BPF_MAP_TYPE_ARRAY | uapi::BPF_MAP_TYPE_PERCPU_ARRAY)
    }

    /// All elements, by ascending key: arrays by index, hashes by the bytes of the key.
    fn elements(&self) -> Vec<Element> {
        let spec = self.ops.spec();
        let value_size = spec.value_size as usize;
        let mut elements = Vec::new();
        let mut key: Option<Vec<u8>> = None;
        let mut next = vec![0; spec.key_size as usize];
        // A key that vanishes meanwhile would begin again at the first: no more steps than there are elements.
        for _ in 0..spec.max_entries {
            if self.ops.next_key(key.as_deref(), &mut next).is_err() {
                break;
            }
            let mut bytes = vec![0; self.ops.user_value_size()];
            if self.ops.user_lookup(&next, &mut bytes, 0).is_ok() {
                let values = if self.is_per_cpu() {
                    let each = bytes.len() / Slot::count() as usize;
                    let chunks = bytes.chunks(each.max(1));
                    chunks.map(|chunk| chunk.get(..value_size).unwrap_or(chunk).to_vec()).collect()
                } else {
                    vec![bytes]
                };
                elements.push(Element { key: next.clone(), values });
            }
            key = Some(next.clone());
        }
        if !self.is_array() {
            elements.sort_by(|a, b| a.key.cmp(&b.key));
        }
        elements
    }

    fn key(&self, bytes: &[u8]) -> Value<'a> {
        self.decode(self.def.btf_key_type_id, bytes)
    }

    fn value(&self, bytes: &[u8]) -> Value<'a> {
        self.decode(self.def.btf_value_type_id, bytes)
    }

    /// By its type; without one, as a number where it is an index of an array, else as hexadecimal digits.
    fn decode(&self, id: u32, bytes: &[u8]) -> Value<'a> {
        if let (Some(btf), true) = (self.btf, id != 0)
            && let Ok(value) = decode(btf, TypeId(id), bytes)
        {
            return value;
        }
        match <[u8; 4]>::try_from(bytes) {
            Ok(number) if self.is_array() || self.map_type() == uapi::BPF_MAP_TYPE_PROG_ARRAY => {
                Value::Unsigned(u32::from_ne_bytes(number).into())
            }
            _ => Value::Str(hex(bytes)),
        }
    }

    /// The whole map as JSON.
    pub(crate) fn json(&self) -> Json {
        let spec = self.ops.spec();
        let elements = self.elements();
        let elements = elements.iter().map(|element| {
            let mut json = Map::new();
            json.insert("key".into(), to_json(&self.key(&element.key)));
            let values = element.values.iter().map(|bytes| self.value(bytes)).collect::<Vec<_>>();
            if self.is_per_cpu() {
                if let Some(sum) = sum(&values) {
                    json.insert("sum".into(), to_json(&sum));
                }
                let cpus = values.iter().enumerate();
                let cpus = cpus.map(|(cpu, value)| json!({"cpu": cpu, "value": to_json(value)}));
                json.insert("values".into(), cpus.collect());
            } else if let Some(value) = values.first() {
                json.insert("value".into(), to_json(value));
            }
            Json::Object(json)
        });
        json!({
            "name": self.def.name,
            "type": self.type_name().to_lowercase(),
            "key_size": spec.key_size,
            "value_size": spec.value_size,
            "max_entries": spec.max_entries,
            "elements": elements.collect::<Vec<_>>(),
        })
    }

    /// Writes the map for people: at most `most` elements, none that are zero in an array, no constants.
    pub(crate) fn show(&self, most: usize, out: &mut Out) -> Result<(), Failure> {
        match self.def.kind {
            MapKind::Rodata | MapKind::Kconfig | MapKind::StructOps => return Ok(()),
            MapKind::User | MapKind::Data | MapKind::Bss => {}
        }
        let elements = self.elements();
        out.line(format_args!("\nmap {} ({})", self.def.name, self.type_name().to_lowercase()))?;
        if self.def.kind != MapKind::User {
            return self.show_variables(&elements, out);
        }
        let skip_zero = self.is_array();
        let shown = elements.iter().filter(|element| !(skip_zero && element.is_zero()));
        let mut left_out = 0_u64;
        for (index, element) in shown.enumerate() {
            if index < most {
                self.show_element(element, out)?;
            } else {
                left_out += 1;
            }
        }
        if left_out > 0 {
            out.line(format_args!("  … and {left_out} more elements"))?;
        }
        let zero = elements.iter().filter(|element| element.is_zero()).count();
        match (elements.len(), zero) {
            (0, _) => out.line("  (empty)"),
            (_, zero) if skip_zero && zero > 0 => {
                out.line(format_args!("  ({zero} elements are zero)"))
            }
            _ => Ok(()),
        }
    }

    fn show_element(&self, element: &Element, out: &mut Out) -> Result<(), Failure> {
        let key = self.key(&element.key);
        let values = element.values.iter().map(|bytes| self.value(bytes)).collect::<Vec<_>>();
        // Of per-CPU values only those that something was put in; their sum, where they are numbers.
        let used =
            |index: &usize| element.values.get(*index).is_some_and(|v| v.iter().any(|b| *b != 0));
        let cpus = (0..values.len()).filter(used).collect::<Vec<_>>();
        match (self.is_per_cpu(), cpus.as_slice()) {
            (true, [_, _, ..]) => {
                let total = sum(&values).map_or_else(String::new, |sum| format!(" {sum} in all"));
                out.line(format_args!("  {key}:{total}"))?;
                for cpu in cpus {
                    if let Some(value) = values.get(cpu) {
                        out.line(format_args!("    cpu {cpu}: {value}"))?;
                    }
                }
                Ok(())
            }
            (true, [cpu]) => match values.get(*cpu) {
                Some(value) => out.line(format_args!("  {key}: {value}")),
                None => Ok(()),
            },
            (_, _) => match values.first() {
                Some(value) => out.line(format_args!("  {key}: {value}")),
                None => Ok(()),
            },
        }
    }

    /// Writes global variables, one a line.
    fn show_variables(&self, elements: &[Element], out: &mut Out) -> Result<(), Failure> {
        for bytes in elements.iter().flat_map(|element| &element.values) {
            match self.value(bytes) {
                Value::Struct(members) => {
                    for (name, value) in members {
                        out.line(format_args!("  {name} = {value}"))?;
                    }
                }
                other => out.line(format_args!("  {other}"))?,
            }
        }
        Ok(())
    }
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
    digits.collect::<Vec<_>>().join(" ")
}

/// Sum of values of one type: numbers are added, what is equal stays. `None` if something else differs.
fn sum<'a>(values: &[Value<'a>]) -> Option<Value<'a>> {
    let (first, rest) = values.split_first()?;
    rest.iter().try_fold(first.clone(), |total, value| add(total, value))
}

fn add<'a>(a: Value<'a>, b: &Value<'a>) -> Option<Value<'a>> {
    let members = |a: Vec<(&'a str, Value<'a>)>, b: &[(&'a str, Value<'a>)]| {
        let pairs = a.into_iter().zip(b);
        pairs.map(|((name, a), (_, b))| Some((name, add(a, b)?))).collect::<Option<Vec<_>>>()
    };
    Some(match (a, b) {
        (Value::Signed(a), Value::Signed(b)) => Value::Signed(a.wrapping_add(*b)),
        (Value::Unsigned(a), Value::Unsigned(b)) => Value::Unsigned(a.wrapping_add(*b)),
        (Value::Struct(a), Value::Struct(b)) => Value::Struct(members(a, b)?),
        (Value::Array(a), Value::Array(b)) => {
            let pairs = a.into_iter().zip(b);
            Value::Array(pairs.map(|(a, b)| add(a, b)).collect::<Option<Vec<_>>>()?)
        }
        (a, b) if a == *b => a,
        _ => return None,
    })
}

fn to_json(value: &Value<'_>) -> Json {
    let members = |members: &[(&str, Value<'_>)]| {
        Json::Object(members.iter().map(|(name, v)| ((*name).to_owned(), to_json(v))).collect())
    };
    match value {
        Value::Void => Json::Null,
        Value::Signed(number) => json!(number),
        Value::Unsigned(number) | Value::Ptr(number) => json!(number),
        // JSON has no number that large: readers would round it.
        Value::Wide(number) => json!(number.to_string()),
        Value::Bool(truth) => json!(truth),
        Value::Float(number) => json!(number),
        Value::Str(text) => json!(text),
        Value::Enum { name: Some(name), .. } => json!(name),
        Value::Enum { name: None, value } => match i64::try_from(*value) {
            Ok(number) => json!(number),
            Err(_) => json!(value.to_string()),
        },
        Value::Struct(all) | Value::Union(all) => members(all),
        Value::Array(all) => all.iter().map(to_json).collect(),
    }
}
