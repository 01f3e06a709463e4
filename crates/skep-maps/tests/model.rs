//! Each type against a plain model: random operations of user space and programs, equal results.

use proptest::prelude::*;
use skep_abi::Errno;
use skep_maps::{MapOps, MapSpec, Slot, create};
use std::collections::BTreeMap;
use std::sync::Arc;

const NOEXIST: u64 = 1;
const EXIST: u64 = 2;
const LOCK: u64 = 4;

const HASH: u32 = 1;
const ARRAY: u32 = 2;
const PERCPU_HASH: u32 = 5;
const PERCPU_ARRAY: u32 = 6;

#[derive(Clone, Debug)]
enum Op {
    UserLookup(u8),
    Lookup(u8),
    UserUpdate(u8, u8, u64),
    Update(u8, u8, u64),
    UserDelete(u8),
    Delete(u8),
    Take(u8),
    WalkKeys,
    ForEach,
}

fn op() -> impl Strategy<Value = Op> {
    let key = 0..12u8;
    let flags = prop_oneof![6 => Just(0u64), 2 => Just(NOEXIST), 2 => Just(EXIST), 1 => 3..9u64];
    prop_oneof![
        3 => key.clone().prop_map(Op::UserLookup),
        3 => key.clone().prop_map(Op::Lookup),
        6 => (key.clone(), any::<u8>(), flags.clone()).prop_map(|(k, v, f)| Op::UserUpdate(k, v, f)),
        6 => (key.clone(), any::<u8>(), flags).prop_map(|(k, v, f)| Op::Update(k, v, f)),
        2 => key.clone().prop_map(Op::UserDelete),
        2 => key.clone().prop_map(Op::Delete),
        2 => key.prop_map(Op::Take),
        1 => Just(Op::WalkKeys),
        1 => Just(Op::ForEach),
    ]
}

/// The plain model: values of all slots by key.
struct Model {
    values: BTreeMap<Vec<u8>, Vec<Vec<u8>>>,
    is_array: bool,
    is_percpu: bool,
    max_entries: usize,
}

struct Run {
    map: Arc<dyn MapOps>,
    model: Model,
    slot: Slot,
    key_size: usize,
    value_size: usize,
}

impl Run {
    fn new(map_type: u32, key_size: u32, value_size: u32, max_entries: u32, flags: u32) -> Run {
        let spec =
            MapSpec { map_type, key_size, value_size, max_entries, flags, ..MapSpec::default() };
        let map = create(&spec).expect("a sound spec");
        let is_array = matches!(map_type, ARRAY | PERCPU_ARRAY);
        let is_percpu = matches!(map_type, PERCPU_ARRAY | PERCPU_HASH);
        let parts = if is_percpu { Slot::count() as usize } else { 1 };
        let mut values = BTreeMap::new();
        if is_array {
            for index in 0..max_entries {
                values.insert(
                    index.to_ne_bytes().to_vec(),
                    vec![vec![0; value_size as usize]; parts],
                );
            }
        }
        let model = Model { values, is_array, is_percpu, max_entries: max_entries as usize };
        let slot = Slot::new(Slot::count() - 1).expect("the last slot");
        Run { map, model, slot, key_size: key_size as usize, value_size: value_size as usize }
    }

    fn key(&self, k: u8) -> Vec<u8> {
        if self.model.is_array {
            return u32::from(k).to_ne_bytes().to_vec();
        }
        (0..self.key_size)
            .map(|i| if i == self.key_size - 1 { k } else { 0x40 + i as u8 })
            .collect()
    }

    fn slot_value(&self, v: u8, slot: usize) -> Vec<u8> {
        (0..self.value_size).map(|i| v.wrapping_add((i * 3 + slot * 17) as u8)).collect()
    }

    fn parts(&self) -> usize {
        if self.model.is_percpu { Slot::count() as usize } else { 1 }
    }

    fn to_user(&self, parts: &[Vec<u8>]) -> Vec<u8> {
        if !self.model.is_percpu {
            return parts[0].clone();
        }
        let mut all = Vec::new();
        for part in parts {
            let mut padded = part.clone();
            padded.resize(self.value_size.next_multiple_of(8), 0);
            all.extend(padded);
        }
        all
    }

    /// As [`check_update`](Self::check_update), where arrays look at `BPF_F_LOCK` last.
    fn check_program_update(&self, key: &[u8], flags: u64) -> Result<(), Errno> {
        if !self.model.is_array || flags & LOCK == 0 || flags & !LOCK > EXIST {
            return self.check_update(key, flags);
        }
        self.check_update(key, flags & !LOCK)?;
        Err(Errno::EINVAL)
    }

    fn check_update(&self, key: &[u8], flags: u64) -> Result<(), Errno> {
        let there = self.model.values.contains_key(key);
        if flags > EXIST {
            Err(Errno::EINVAL)
        } else if self.model.is_array && !there {
            Err(Errno::E2BIG)
        } else if there && flags == NOEXIST {
            Err(Errno::EEXIST)
        } else if !there && flags == EXIST {
            Err(Errno::ENOENT)
        } else if !there && self.model.values.len() == self.model.max_entries {
            Err(Errno::E2BIG)
        } else {
            Ok(())
        }
    }

    fn delete(&mut self, key: &[u8]) -> Result<(), Errno> {
        if self.model.is_array {
            return Err(Errno::EINVAL);
        }
        self.model.values.remove(key).map(drop).ok_or(Errno::ENOENT)
    }

    /// What a program reads at an address.
    fn read(&self, addr: u64) -> Vec<u8> {
        assert!(self.map.owns(addr, self.value_size));
        assert!(!self.map.owns(addr + 1, self.value_size));
        let mut value = vec![0; self.value_size];
        let at = core::ptr::with_exposed_provenance::<u8>(addr as usize);
        // SAFETY: the map says that it owns these bytes, and nobody writes meanwhile.
        unsafe { skep_maps::cells::copy_out(at, &mut value) };
        value
    }

    fn step(&mut self, op: &Op) {
        let user_size = self.map.user_value_size();
        match *op {
            Op::UserLookup(k) => {
                let key = self.key(k);
                let mut value = vec![0xaa; user_size];
                let got = self.map.user_lookup(&key, &mut value, 0).map(|()| value);
                let want =
                    self.model.values.get(&key).map(|v| self.to_user(v)).ok_or(Errno::ENOENT);
                assert_eq!(got, want);
            }
            Op::Lookup(k) => {
                let key = self.key(k);
                let got = self.map.lookup(&key, self.slot).map(|addr| self.read(addr));
                let part = self.parts() - 1;
                assert_eq!(got.as_ref(), self.model.values.get(&key).map(|v| &v[part]));
            }
            Op::UserUpdate(k, v, flags) => {
                let key = self.key(k);
                let parts: Vec<_> = (0..self.parts()).map(|s| self.slot_value(v, s)).collect();
                let got = self.map.user_update(&key, &self.to_user(&parts), flags);
                let want = self.check_update(&key, flags);
                assert_eq!(got, want);
                if want.is_ok() {
                    self.model.values.insert(key, parts);
                }
            }
            Op::Update(k, v, flags) => {
                let key = self.key(k);
                let value = self.slot_value(v, 0);
                let got = self.map.update(&key, &value, flags, self.slot);
                let want = self.check_program_update(&key, flags);
                assert_eq!(got, want);
                if want.is_ok() {
                    let zero = vec![vec![0; self.value_size]; self.parts()];
                    let parts = self.model.values.entry(key).or_insert(zero);
                    *parts.last_mut().expect("a part") = value;
                }
            }
            Op::UserDelete(k) => {
                let key = self.key(k);
                assert_eq!(self.map.user_delete(&key), self.delete(&key));
            }
            Op::Delete(k) => {
                let key = self.key(k);
                assert_eq!(self.map.delete(&key), self.delete(&key));
            }
            Op::Take(k) => {
                let key = self.key(k);
                let mut value = vec![0xaa; user_size];
                let got = self.map.user_lookup_and_delete(&key, &mut value, 0).map(|()| value);
                let want = if self.model.is_array {
                    Err(Errno::ENOTSUPP)
                } else {
                    let parts = self.model.values.remove(&key);
                    parts.map(|v| self.to_user(&v)).ok_or(Errno::ENOENT)
                };
                assert_eq!(got, want);
            }
            Op::WalkKeys => {
                let mut keys = Vec::new();
                let mut key: Option<Vec<u8>> = None;
                loop {
                    let mut next = vec![0; self.key_size];
                    match self.map.next_key(key.as_deref(), &mut next) {
                        Ok(()) => keys.push(next.clone()),
                        Err(e) => {
                            assert_eq!(e, Errno::ENOENT);
                            break;
                        }
                    }
                    key = Some(next);
                    assert!(keys.len() <= self.model.max_entries);
                }
                if !self.model.is_array {
                    keys.sort();
                }
                assert_eq!(keys, self.model.values.keys().cloned().collect::<Vec<_>>());
            }
            Op::ForEach => {
                let mut seen = Vec::new();
                let calls = self.map.for_each(self.slot, &mut |key_addr, value_addr| {
                    let mut key = vec![0; self.key_size];
                    let at = core::ptr::with_exposed_provenance::<u8>(key_addr as usize);
                    // SAFETY: the key is readable during this call, and nobody writes it.
                    unsafe { core::ptr::copy_nonoverlapping(at, key.as_mut_ptr(), key.len()) };
                    seen.push((key, self.read(value_addr)));
                    true
                });
                assert_eq!(calls, Ok(seen.len() as u64));
                seen.sort();
                let part = self.parts() - 1;
                let mut want: Vec<_> =
                    self.model.values.iter().map(|(k, v)| (k.clone(), v[part].clone())).collect();
                want.sort();
                assert_eq!(seen, want);
            }
        }
    }
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: if cfg!(miri) { 1 } else { 256 },
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn array(value_size in 1..40u32, max in 1..10u32, ops in prop::collection::vec(op(), 1..120)) {
        let mut run = Run::new(ARRAY, 4, value_size, max, 0);
        ops.iter().for_each(|op| run.step(op));
    }

    #[test]
    fn percpu_array(
        value_size in 1..40u32,
        max in 1..10u32,
        ops in prop::collection::vec(op(), 1..120),
    ) {
        let mut run = Run::new(PERCPU_ARRAY, 4, value_size, max, 0);
        ops.iter().for_each(|op| run.step(op));
    }

    #[test]
    fn hash(
        key_size in 1..20u32,
        value_size in 1..40u32,
        max in 1..10u32,
        flags in prop_oneof![Just(0u32), Just(1), Just(64)],
        ops in prop::collection::vec(op(), 1..200),
    ) {
        let mut run = Run::new(HASH, key_size, value_size, max, flags);
        ops.iter().for_each(|op| run.step(op));
    }

    #[test]
    fn percpu_hash(
        key_size in 1..20u32,
        value_size in 1..40u32,
        max in 1..10u32,
        flags in prop_oneof![Just(0u32), Just(1), Just(64)],
        ops in prop::collection::vec(op(), 1..200),
    ) {
        let mut run = Run::new(PERCPU_HASH, key_size, value_size, max, flags);
        ops.iter().for_each(|op| run.step(op));
    }
}
