//! [`Facts`]: what is compared of an opened object, whoever opened it.

use std::fmt::Write as _;

use skep_abi::insn::RawInsn;

/// What a loader made of an object.
pub(super) struct Facts {
    pub(super) license: String,
    /// Whether the live kernel takes the types; `None` where there are none.
    pub(super) types: Option<bool>,
    pub(super) programs: Vec<ProgFacts>,
    pub(super) maps: Vec<MapFacts>,
}

/// A program; map references are by index.
#[derive(PartialEq, Eq)]
pub(super) struct ProgFacts {
    pub(super) name: String,
    pub(super) section: String,
    pub(super) prog_type: u32,
    pub(super) attach_type: u32,
    pub(super) autoload: bool,
    /// `None` where the loader did not relocate it.
    pub(super) code: Option<Code>,
}

/// Relocated instructions with their records.
#[derive(PartialEq, Eq)]
pub(super) struct Code {
    pub(super) insns: Vec<RawInsn>,
    pub(super) func_info: Vec<[u32; 2]>,
    pub(super) line_info: Vec<[u32; 4]>,
}

/// A map.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct MapFacts {
    pub(super) name: String,
    /// Type, key size, value size, entries, flags, NUMA node, BTF ids of key and value.
    pub(super) numbers: [u32; 8],
    pub(super) extra: u64,
    pub(super) autocreate: bool,
    pub(super) pinned: bool,
    pub(super) inner: Option<[u32; 8]>,
    pub(super) contents: Option<Vec<u8>>,
    /// Keys whose initial element is a map, and which.
    pub(super) inner_slots: Vec<(u32, usize)>,
}

const NUMBERS: [&str; 8] = [
    "type",
    "key size",
    "value size",
    "max entries",
    "flags",
    "numa node",
    "key type id",
    "value type id",
];

impl Facts {
    /// Leaves out numbers that depend on the order in which types and strings are stored, which linkers are free in.
    pub(super) fn without_numbering(mut self) -> Facts {
        for map in &mut self.maps {
            let inner = map.inner.iter_mut();
            for [.., key_type, value_type] in inner.chain([&mut map.numbers]) {
                (*key_type, *value_type) = (0, 0);
            }
        }
        for code in self.programs.iter_mut().filter_map(|p| p.code.as_mut()) {
            code.func_info.iter_mut().for_each(|[_, type_id]| *type_id = 0);
            code.line_info.iter_mut().for_each(|[_, file, text, _]| (*file, *text) = (0, 0));
        }
        self
    }
}

/// How many programs both relocated, and how many instructions those have.
pub(super) fn compared(ours: &Facts, theirs: &Facts) -> (usize, usize) {
    let both = ours.programs.iter().zip(&theirs.programs);
    both.filter_map(|(a, b)| a.code.as_ref().zip(b.code.as_ref()))
        .fold((0, 0), |(programs, insns), (code, _)| (programs + 1, insns + code.insns.len()))
}

/// All differences, a line each; none if the two are equal.
pub(super) fn differences(ours: &Facts, theirs: &Facts) -> Vec<String> {
    let mut out = Vec::new();
    if ours.license != theirs.license {
        out.push(format!("license: {:?} here, {:?} there", ours.license, theirs.license));
    }
    if ours.types != theirs.types {
        out.push(format!("types loaded: {:?} here, {:?} there", ours.types, theirs.types));
    }
    let names = |f: &Facts| f.maps.iter().map(|m| m.name.clone()).collect::<Vec<_>>();
    if names(ours) != names(theirs) {
        out.push(format!("maps: {:?} here, {:?} there", names(ours), names(theirs)));
    } else {
        for (a, b) in ours.maps.iter().zip(&theirs.maps) {
            map_differences(a, b, &mut out);
        }
    }
    let names = |f: &Facts| f.programs.iter().map(|p| p.name.clone()).collect::<Vec<_>>();
    if names(ours) != names(theirs) {
        out.push(format!("programs: {:?} here, {:?} there", names(ours), names(theirs)));
    } else {
        for (a, b) in ours.programs.iter().zip(&theirs.programs) {
            prog_differences(a, b, &mut out);
        }
    }
    out
}

fn map_differences(a: &MapFacts, b: &MapFacts, out: &mut Vec<String>) {
    let mut say = |what: &str, ours: String, theirs: String| {
        out.push(format!("map {}: {what}: {ours} here, {theirs} there", a.name));
    };
    for ((name, x), y) in NUMBERS.iter().zip(a.numbers).zip(b.numbers) {
        if x != y {
            say(name, x.to_string(), y.to_string());
        }
    }
    if a.extra != b.extra {
        say("map_extra", a.extra.to_string(), b.extra.to_string());
    }
    if a.autocreate != b.autocreate {
        say("autocreate", a.autocreate.to_string(), b.autocreate.to_string());
    }
    if a.pinned != b.pinned {
        say("pinned", a.pinned.to_string(), b.pinned.to_string());
    }
    if a.inner != b.inner {
        say("inner map", format!("{:?}", a.inner), format!("{:?}", b.inner));
    }
    if a.inner_slots != b.inner_slots {
        say("elements", format!("{:?}", a.inner_slots), format!("{:?}", b.inner_slots));
    }
    if let (Some(x), Some(y)) = (&a.contents, &b.contents)
        && x != y
    {
        let at = x.iter().zip(y).position(|(x, y)| x != y).unwrap_or(x.len().min(y.len()));
        say("contents", format!("{} bytes", x.len()), format!("{} bytes, first at {at}", y.len()));
    }
}

fn prog_differences(a: &ProgFacts, b: &ProgFacts, out: &mut Vec<String>) {
    let mut say = |what: &str, ours: &dyn std::fmt::Display, theirs: &dyn std::fmt::Display| {
        out.push(format!("program {}: {what}: {ours} here, {theirs} there", a.name));
    };
    if a.section != b.section {
        say("section", &a.section, &b.section);
    }
    if a.prog_type != b.prog_type {
        say("type", &a.prog_type, &b.prog_type);
    }
    if a.attach_type != b.attach_type {
        say("attach type", &a.attach_type, &b.attach_type);
    }
    if a.autoload != b.autoload {
        say("autoload", &a.autoload, &b.autoload);
    }
    match (&a.code, &b.code) {
        (Some(x), Some(y)) => {
            if x.insns.len() != y.insns.len() {
                say("instructions", &x.insns.len(), &y.insns.len());
            } else if let Some(at) = x.insns.iter().zip(&y.insns).position(|(x, y)| x != y) {
                let show = |i: &[RawInsn]| i.get(at).map_or(String::new(), |i| format!("{i:?}"));
                say(&format!("instruction {at}"), &show(&x.insns), &show(&y.insns));
            }
            if x.func_info != y.func_info {
                say("func_info", &pairs(&x.func_info), &pairs(&y.func_info));
            }
            if x.line_info != y.line_info {
                say("line_info", &x.line_info.len(), &y.line_info.len());
            }
        }
        (None, Some(_)) => say("code", &"not relocated", &"relocated"),
        (_, None) => {}
    }
}

fn pairs(list: &[[u32; 2]]) -> String {
    list.iter().fold(String::new(), |mut s, [a, b]| {
        let _ = write!(s, " {a}:{b}");
        s
    })
}
