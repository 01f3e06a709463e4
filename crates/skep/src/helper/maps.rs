//! Helpers on maps. Facts: kernel/bpf/helpers.c.

use super::{
    ANY, Callback, Helper, HelperProto, KEY, MAP, NONE, RetType, VALUE, helper_of, pkt_access,
    proto, ret, returns,
};
use crate::prog_type::ProgTypes;
use skep_abi::Errno;
use skep_maps::Slot;
use skep_verifier::env::ArgType;
use skep_vm::Call;

const ALL: ProgTypes = ProgTypes::EXTENDED;

pub(super) const FOR_EACH: HelperProto = HelperProto {
    callback: Callback::ForEachMapElem,
    ..proto(164, "for_each_map_elem", &[MAP, ArgType::Func, ArgType::StackOrNull, ANY, NONE])
};

pub(super) static HELPERS: &[Helper] = &[
    helper_of(
        returns(pkt_access(proto(1, "map_lookup_elem", &[MAP, KEY])), RetType::MapValueOrNull),
        (3, 19),
        ALL,
        lookup,
    ),
    helper_of(
        pkt_access(proto(2, "map_update_elem", &[MAP, KEY, VALUE, ANY])),
        (3, 19),
        ALL,
        update,
    ),
    helper_of(pkt_access(proto(3, "map_delete_elem", &[MAP, KEY])), (3, 19), ALL, delete),
    helper_of(FOR_EACH, (5, 13), ALL, for_each),
    helper_of(
        returns(
            pkt_access(proto(195, "map_lookup_percpu_elem", &[MAP, KEY, ANY])),
            RetType::MapValueOrNull,
        ),
        (5, 19),
        ALL,
        lookup_percpu,
    ),
];

fn lookup(call: &mut Call<'_>) -> u64 {
    let Some(map) = call.map(0) else { return 0 };
    let slot = call.slot();
    with_key(call, |key| map.lookup(key, slot)).unwrap_or(0)
}

fn lookup_percpu(call: &mut Call<'_>) -> u64 {
    let Some(map) = call.map(0) else { return 0 };
    let Some(slot) = Slot::new(call.scalar(2) as u32) else { return 0 };
    with_key(call, |key| map.lookup(key, slot)).unwrap_or(0)
}

fn update(call: &mut Call<'_>) -> u64 {
    let Some(map) = call.map(0) else { return Errno::EINVAL.to_ret() };
    let (slot, flags) = (call.slot(), call.scalar(3));
    let value = call.mem(2).copy_in();
    ret(with_key(call, |key| map.update(key, &value, flags, slot)))
}

fn delete(call: &mut Call<'_>) -> u64 {
    let Some(map) = call.map(0) else { return Errno::EINVAL.to_ret() };
    ret(with_key(call, |key| map.delete(key)))
}

fn for_each(call: &mut Call<'_>) -> u64 {
    if call.scalar(3) != 0 {
        return Errno::EINVAL.to_ret();
    }
    match call.for_each_map_elem(0, 1, 2) {
        Ok(visited) => visited,
        Err(e) => e.to_ret(),
    }
}

/// Hands the key (argument 1) over; keys of usual size need no allocation.
fn with_key<T>(call: &mut Call<'_>, f: impl FnOnce(&[u8]) -> T) -> T {
    let key = call.mem(1);
    let mut small = [0u8; 64];
    if let Some(buf) = small.get_mut(..key.len())
        && key.copy_in_to(buf).is_ok()
    {
        return f(buf);
    }
    f(&key.copy_in())
}
