//! Static linking: which definitions win, and that everything that refers to them follows.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use skep_elf::{MapInit, MapKind, Object, OpenOptions, link};

const A: (&str, &[u8]) = ("a", include_bytes!("fixtures/link_a.bpf.o"));
const B: (&str, &[u8]) = ("b", include_bytes!("fixtures/link_b.bpf.o"));
const CONFLICT: (&str, &[u8]) = ("conflict", include_bytes!("fixtures/link_conflict.bpf.o"));
const LEGACY: (&str, &[u8]) = ("legacy", include_bytes!("fixtures/legacy.bpf.o"));

fn linked() -> Object {
    link("linked", &[A, B], &OpenOptions::default()).unwrap()
}

fn subprogs<'a>(object: &'a Object, name: &str) -> Vec<&'a str> {
    let program = object.program(name).unwrap();
    program.subprogs.iter().map(|s| s.name.as_str()).collect()
}

#[test]
fn alone_each_object_misses_the_other() {
    let error = Object::open("a", A.1, &OpenOptions::default()).unwrap_err();
    assert!(error.symbol().is_some(), "{error}");
    let error = link("l", &[A], &OpenOptions::default()).unwrap_err();
    assert!(error.to_string().contains("link"), "{error}");
}

#[test]
fn linking_one_object_is_opening_it() {
    let options = OpenOptions::default();
    for (name, bytes) in [B, LEGACY] {
        let opened = Object::open(name, bytes, &options).unwrap();
        let linked = link(name, &[(name, bytes)], &options).unwrap();
        assert_eq!(opened.license, linked.license);
        assert_eq!(opened.kernel_version, linked.kernel_version);
        let programs = |o: &Object| {
            o.programs.iter().map(|p| (p.name.clone(), p.insns.clone())).collect::<Vec<_>>()
        };
        assert_eq!(programs(&opened), programs(&linked));
        let maps = |o: &Object| {
            o.maps
                .iter()
                .map(|m| (m.name.clone(), m.map_type, m.value_size, m.flags, m.init.clone()))
                .collect::<Vec<_>>()
        };
        assert_eq!(maps(&opened), maps(&linked));
    }
}

#[test]
fn externs_find_their_definitions() {
    let object = linked();
    assert!(object.externs.is_empty());
    assert_eq!(object.license, "GPL");
    let maps: Vec<_> = object
        .maps
        .iter()
        .filter(|m| m.kind == MapKind::User)
        .map(|m| (m.name.as_str(), m.max_entries))
        .collect();
    assert_eq!(maps, [("in_a", 8), ("in_b", 3)]);
    let names: Vec<_> = object.programs.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["main_a", "main_b"]);
}

#[test]
fn static_functions_of_one_name_stay_apart() {
    let object = linked();
    let mut names = subprogs(&object, "main_a");
    names.sort_unstable();
    assert_eq!(names, ["from_b", "helper", "helper", "main_a", "overridden"]);
    // a's helper adds 1, b's adds 2.
    let main = object.program("main_a").unwrap();
    let added: Vec<_> = main
        .subprogs
        .iter()
        .filter(|s| s.name == "helper")
        .map(|s| {
            let body = &main.insns[s.start as usize..(s.start + s.len) as usize];
            body.iter().find(|i| matches!(i.code, 0x04 | 0x07)).unwrap().imm
        })
        .collect();
    assert!(added.contains(&1) && added.contains(&2), "{added:?}");
}

#[test]
fn a_strong_function_overrides_a_weak_one() {
    let object = linked();
    for name in ["main_a", "main_b"] {
        let program = object.program(name).unwrap();
        let sub = program.subprogs.iter().find(|s| s.name == "overridden").unwrap();
        let body = &program.insns[sub.start as usize..(sub.start + sub.len) as usize];
        assert!(body.iter().any(|i| matches!(i.code, 0x24 | 0x27) && i.imm == 7), "{name}");
    }
}

#[test]
fn data_is_joined_and_the_first_weak_value_wins() {
    let object = linked();
    let data = object.map(".data").unwrap();
    let MapInit::Bytes(bytes) = &data.init else { panic!("no data") };
    let btf = object.btf.as_ref().unwrap();
    skep_btf::validate::types(btf).unwrap();
    let sec = btf.type_by_id(skep_btf::TypeId(data.btf_value_type_id)).unwrap();
    let skep_btf::TypeView::Datasec(sec) = sec.view() else { panic!("no section") };
    assert_eq!(sec.size as usize, bytes.len());
    let value = |name: &str| {
        let mut vars = sec.vars.iter().filter(|v| btf.type_by_id(v.ty).unwrap().name() == name);
        let var = vars.next().unwrap_or_else(|| panic!("no {name}"));
        assert!(vars.next().is_none(), "{name} twice");
        let at = var.offset as usize;
        assert!(at.is_multiple_of(var.size as usize), "{name} at {at}");
        u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
    };
    assert_eq!(value("data_a"), 1);
    assert_eq!(value("data_b"), 2);
    assert_eq!(value("align_b"), 2);
    assert_eq!(value("both_weak"), 10);
    let other = link("linked", &[B, A], &OpenOptions::default()).unwrap();
    let MapInit::Bytes(bytes) = &other.map(".data").unwrap().init else { panic!("no data") };
    assert!(bytes.chunks(4).any(|c| c == 20u32.to_le_bytes()));
}

#[test]
fn records_follow_what_was_joined() {
    let object = linked();
    let btf = object.btf.as_ref().unwrap();
    for program in &object.programs {
        assert_eq!(program.func_info.len(), program.subprogs.len());
        for (info, sub) in program.func_info.iter().zip(&program.subprogs) {
            assert_eq!(info.insn_off, sub.start);
            let ty = btf.type_by_id(skep_btf::TypeId(info.type_id)).unwrap();
            assert_eq!(ty.name(), sub.name);
        }
        let texts: Vec<_> =
            program.line_info.iter().filter_map(|l| btf.str_at(l.line_off)).collect();
        assert!(texts.iter().any(|t| t.contains("return")), "{texts:?}");
    }
}

#[test]
fn an_absurd_alignment_is_refused() {
    // Padding to it would take gigabytes.
    let mut bytes = B.1.to_vec();
    let word = |at: usize| u64::from_le_bytes(B.1[at..at + 8].try_into().unwrap()) as usize;
    let (headers, count) = (word(0x28), usize::from(B.1[0x3c]));
    for header in (1..count).map(|i| headers + i * 64) {
        bytes[header + 0x30..header + 0x38].copy_from_slice(&(1u64 << 30).to_le_bytes());
    }
    let error = link("l", &[A, ("b", &bytes)], &OpenOptions::default()).unwrap_err();
    assert_eq!(error.object(), Some("b"));
    assert!(error.message().contains("alignment 0x40000000"), "{error}");
}

#[test]
fn conflicts_are_named() {
    let options = OpenOptions::default();
    let error = link("l", &[B, B], &options).unwrap_err();
    assert_eq!(error.object(), Some("b"));
    assert!(error.message().contains("twice"), "{error}");
    let error = link("l", &[B, CONFLICT], &options).unwrap_err();
    assert_eq!((error.object(), error.symbol()), (Some("conflict"), Some("data_b")), "{error}");
    assert!(error.message().contains("sizes 4 and 8"), "{error}");
    assert!(link("l", &[], &options).is_err());
    let error = link("l", &[B, ("text", b"not an object")], &options).unwrap_err();
    assert_eq!(error.object(), Some("text"));
}
