//! Helpers that change what runs next: tail calls and loops. Facts: kernel/bpf/core.c, kernel/bpf/bpf_iter.c.

use super::{
    ANY, CTX, Callback, Helper, HelperProto, MAP, RetType, changes_pkt, helper_of, proto, returns,
};
use crate::prog_type::ProgTypes;
use crate::system::Program;
use skep_abi::Errno;
use skep_verifier::env::ArgType;
use skep_vm::Call;

/// `BPF_MAX_LOOPS`.
const MAX_LOOPS: u32 = 8 << 20;

const LOOP: HelperProto = HelperProto {
    callback: Callback::Loop,
    ..proto(181, "loop", &[ANY, ArgType::Func, ArgType::StackOrNull, ANY])
};

pub(super) static HELPERS: &[Helper] = &[
    helper_of(
        // In a function, the program that is called may change the packet and come back to the caller.
        returns(changes_pkt(proto(12, "tail_call", &[CTX, MAP, ANY])), RetType::TailCall),
        (4, 2),
        ProgTypes::EXTENDED,
        tail_call,
    ),
    helper_of(LOOP, (5, 17), ProgTypes::EXTENDED, bpf_loop),
];

/// Returns only if there is no program at the index, or too many tail calls were made.
fn tail_call(call: &mut Call<'_>) -> u64 {
    let target = call
        .map(1)
        .and_then(|m| m.as_prog_array())
        .and_then(|a| a.get(call.scalar(2) as u32))
        .and_then(|p| p.as_any().downcast_ref::<Program>().map(|p| p.code().clone()));
    if target.is_some_and(|code| call.tail_call(code)) { 0 } else { Errno::EINVAL.to_ret() }
}

fn bpf_loop(call: &mut Call<'_>) -> u64 {
    let (count, data) = (call.scalar(0) as u32, call.scalar(2));
    if call.scalar(3) != 0 {
        return Errno::EINVAL.to_ret();
    }
    if count > MAX_LOOPS {
        return Errno::E2BIG.to_ret();
    }
    for i in 0..count {
        match call.callback(1, [u64::from(i), data, 0, 0, 0]) {
            Some(0) => {}
            // An answer other than 0 ends the loop; a run that was stopped ignores this.
            _ => return u64::from(i) + 1,
        }
    }
    u64::from(count)
}
