//! Functions of a program in text or in instructions, and BTF that describes them.

use skep_abi::insn::{CallTarget, Imm64, Insn};
use skep_btf::build::BtfBuilder;
use skep_btf::{Btf, FuncLinkage, Int, TypeId};

/// First slots of the functions of a program, ascending.
pub fn function_starts(insns: &[Insn]) -> Vec<u32> {
    let mut starts = vec![0];
    for (idx, insn) in (0i64..).zip(insns) {
        if let Insn::Call(CallTarget::Local(off)) | Insn::LdImm64 { imm: Imm64::Func(off, _), .. } =
            insn
        {
            starts.extend(u32::try_from(idx + 1 + i64::from(*off)));
        }
    }
    starts.sort_unstable();
    starts.dedup();
    starts
}

/// BTF with a function for each start: `int f(void)`, static, or `int f(u64, u64)`, global, as `is_global` says.
///
/// # Panics
/// When the BTF is too large, which no program's is.
pub fn function_info(starts: &[u32], is_global: impl Fn(usize) -> bool) -> (Btf, Vec<(u32, u32)>) {
    let mut b = BtfBuilder::new();
    let int = b.add_int("int", Int { size: 4, bits: 32, bit_offset: 0, encoding: Int::SIGNED });
    let wide = b.add_int("u64", Int { size: 8, bits: 64, bit_offset: 0, encoding: 0 });
    let untyped = b.add_func_proto(int, &[]);
    let numbers: [(&str, TypeId); 2] = [("a", wide), ("b", wide)];
    let of_numbers = b.add_func_proto(int, &numbers);
    let info = starts
        .iter()
        .enumerate()
        .map(|(n, start)| {
            let (proto, linkage) = if is_global(n) {
                (of_numbers, FuncLinkage::Global)
            } else {
                (untyped, FuncLinkage::Static)
            };
            (*start, b.add_func(&format!("f{start}"), proto, linkage).0)
        })
        .collect();
    (b.build().expect("BTF of functions"), info)
}
