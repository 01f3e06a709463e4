//! Instructions from any bytes: decoding, encoding and both kinds of text must agree, classic BPF must translate into
//! something that decodes, and nothing may panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use skep_abi::insn::asm::assemble;
use skep_abi::insn::cbpf::{self, Flavor, SockFilter};
use skep_abi::insn::disasm::{NoNames, disasm_program};
use skep_abi::insn::{RawInsn, decode, encode};

fuzz_target!(|data: &[u8]| {
    let slots: Vec<[u8; 8]> = data.chunks_exact(8).filter_map(|slot| slot.try_into().ok()).collect();
    extended(&slots);
    classic(&slots);
    if let Ok(text) = std::str::from_utf8(data) {
        from_text(text);
    }
});

fn extended(slots: &[[u8; 8]]) {
    let mut raw: Vec<RawInsn> = slots.iter().map(|slot| RawInsn::from_le_bytes(*slot)).collect();
    // Of a program that does not decode, the slots before the error are a program.
    let insns = match decode(&raw) {
        Ok(insns) => insns,
        Err(error) => {
            assert!(error.slot < raw.len());
            assert!(!error.to_string().is_empty() && !error.kind.kernel_message().is_empty());
            raw.truncate(error.slot);
            match decode(&raw) {
                Ok(insns) => insns,
                // The kernel's second look may find an earlier error than its first.
                Err(earlier) => {
                    assert!(earlier.slot < raw.len());
                    return;
                }
            }
        }
    };
    // `off` of an exit is ignored and not kept.
    for slot in raw.iter_mut().filter(|slot| slot.code == 0x95) {
        slot.off = 0;
    }
    assert_eq!(encode(&insns), raw);
    let text = disasm_program(&insns, &NoNames);
    assert_eq!(assemble(&text).as_ref(), Ok(&raw), "{text}");
}

fn classic(slots: &[[u8; 8]]) {
    let filter: Vec<SockFilter> = slots
        .iter()
        .map(|slot| SockFilter {
            code: u16::from_le_bytes([slot[0], slot[1]]),
            jt: slot[2],
            jf: slot[3],
            k: u32::from_le_bytes([slot[4], slot[5], slot[6], slot[7]]),
        })
        .collect();
    let text: String = filter.iter().map(|f| format!(",{} {} {} {}", f.code, f.jt, f.jf, f.k)).collect();
    if (1..=cbpf::MAX_INSNS).contains(&filter.len()) {
        assert_eq!(cbpf::parse(&format!("{}{text}", filter.len())).as_ref(), Ok(&filter));
    }
    assert_eq!(cbpf::image_program(&filter).lines().count(), filter.len());
    for flavor in [Flavor::Socket, Flavor::Seccomp] {
        let checked = cbpf::check(&filter, flavor);
        match cbpf::translate(&filter, flavor) {
            Ok(raw) => {
                assert_eq!(checked, Ok(()));
                let insns = decode(&raw).expect("a translation decodes");
                assert_eq!(encode(&insns), raw);
            }
            Err(error) => assert_eq!(checked, Err(error)),
        }
    }
}

fn from_text(text: &str) {
    let _ = cbpf::parse(text);
    match assemble(text) {
        Ok(raw) => {
            let insns = decode(&raw).expect("assembled text decodes");
            assert_eq!(encode(&insns), raw);
        }
        Err(error) => assert!(error.line <= text.lines().count().max(1) && error.column >= 1, "{error}"),
    }
}
