//! What holds only until something else is done: packet pointers across global functions that change the packet, what is
//! held across those that throw, and pointers that a lock keeps.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use skep::{CheckOptions, RawProgram, System};
use skep_abi::insn::asm::assemble;
use skep_abi::uapi::BPF_F_SLEEPABLE;
use skep_btf::build::{BtfBuilder, NewMember};
use skep_btf::fields::{Scope, fields};
use skep_btf::{Btf, FuncLinkage, Int, Kind};
use skep_verifier::env::{MapProps, MapTypes};
use std::sync::Arc;

const TC: u32 = 3;
const XDP: u32 = 6;
const SYSCALL: u32 = 31;

/// The live kernel's types, if it is a Linux 6.18: they have the ids of its functions.
fn kernel_btf() -> Option<Arc<Btf>> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
    let bytes = std::fs::read("/sys/kernel/btf/vmlinux").ok()?;
    release.starts_with("6.18.").then(|| Arc::new(Btf::parse(&bytes).unwrap()))
}

/// The text with kernel functions by their ids.
fn named(kernel: &Btf, source: &str) -> String {
    let mut text = String::new();
    for line in source.lines() {
        match line.trim().strip_prefix("kfunc ") {
            Some(name) => {
                let id = kernel.find_by_name_kind(name, Kind::Func).unwrap().id().0;
                text.push_str(&format!("call kfunc[id:{id},fd_idx:0]\n"));
            }
            None => text.push_str(&format!("{line}\n")),
        }
    }
    text
}

/// Judges a program whose last function, from `callee` on, is global and takes the context or a number; the reason if it
/// is refused.
fn judge(prog_type: u32, kernel: &Arc<Btf>, source: &str, callee: u32) -> Option<String> {
    let mut b = BtfBuilder::new();
    let int = Int { size: 4, bits: 32, bit_offset: 0, encoding: Int::SIGNED };
    let int = b.add_int("int", int);
    let ctx = b.add_struct(if prog_type == XDP { "xdp_md" } else { "__sk_buff" }, 4, &[]);
    let ctx = b.add_ptr(ctx);
    let main = b.add_func_proto(int, &[("ctx", ctx)]);
    let main = b.add_func("main", main, FuncLinkage::Global);
    let of_ctx = b.add_func_proto(int, &[("ctx", ctx), ("n", int)]);
    let of_ctx = b.add_func("callee", of_ctx, FuncLinkage::Global);
    let raw = RawProgram {
        name: "test".into(),
        prog_type,
        insns: assemble(&named(kernel, source)).unwrap(),
        license: "GPL".into(),
        btf: Some(Arc::new(b.build().unwrap())),
        func_info: vec![(0, main.0), (callee, of_ctx.0)],
        ..RawProgram::default()
    };
    let system = System::new().with_kernel_btf(kernel.clone());
    let checked = system.check_raw(&raw, &[], &CheckOptions::default());
    checked.verdict.err().map(|e| e.to_string())
}

#[track_caller]
fn assert_refused(refusal: Option<String>, reason: &str) {
    let refusal = refusal.expect("it must be refused");
    assert!(refusal.contains(reason), "{refusal}");
}

/// As the kernel does.
#[test]
fn a_function_that_pulls_data_changes_the_packet() {
    let Some(kernel) = kernel_btf() else { return };
    let source = "r6 = *(u32 *)(r1 + 0)
        r7 = *(u32 *)(r1 + 4)
        r2 = r6
        r2 += 14
        if r2 > r7 goto pc+3
        r2 = 0
        call pc+3
        r0 = *(u8 *)(r6 + 3)
        r0 = 0
        exit
        r2 = 14
        kfunc bpf_xdp_pull_data
        exit";
    assert_refused(judge(XDP, &kernel, source, 10), "R6 invalid mem access 'scalar'");
}

/// The kernel forgets this one.
#[test]
fn a_function_that_writes_through_a_dynptr_changes_the_packet() {
    let Some(kernel) = kernel_btf() else { return };
    let source = "r6 = *(u32 *)(r1 + 76)
        r7 = *(u32 *)(r1 + 80)
        r2 = r6
        r2 += 14
        if r2 > r7 goto pc+3
        r2 = 0
        call pc+3
        r0 = *(u8 *)(r6 + 3)
        r0 = 0
        exit
        r2 = 0
        r3 = r10
        r3 += -16
        kfunc bpf_dynptr_from_skb
        *(u64 *)(r10 -24) = 0
        r1 = r10
        r1 += -16
        r2 = 0
        r3 = r10
        r3 += -24
        r4 = 8
        r5 = 0
        call bpf_dynptr_write#202
        exit";
    assert_refused(judge(TC, &kernel, source, 10), "R6 invalid mem access 'scalar'");
}

/// And this one: preemption would stay disabled for good.
#[test]
fn a_function_that_throws_leaves_nothing_held() {
    let Some(kernel) = kernel_btf() else { return };
    let callee = "r0 = 0
        if r2 == 0 goto pc+2
        r1 = 0
        kfunc bpf_throw
        exit";
    let held = format!(
        "r6 = r1
        kfunc bpf_preempt_disable
        r1 = r6
        r2 = *(u32 *)(r1 + 0)
        call pc+3
        kfunc bpf_preempt_enable
        r0 = 0
        exit
        {callee}"
    );
    assert_refused(judge(TC, &kernel, &held, 8), "bpf_preempt_disable-ed region");
    let free = format!(
        "r2 = *(u32 *)(r1 + 0)
        call pc+2
        r0 = 0
        exit
        {callee}"
    );
    assert_eq!(judge(TC, &kernel, &free, 4), None);
}

/// A map whose value has a lock, from byte 8 on an owned pointer to a task, and from byte 16 on one to an object with a
/// reference count.
fn owners() -> (Arc<Btf>, MapProps) {
    let mut b = BtfBuilder::new();
    let member = |name, ty, bit_offset| NewMember { name, ty, bit_offset, bitfield_bits: 0 };
    let lock = b.add_struct("bpf_spin_lock", 4, &[]);
    let task = b.add_struct("task_struct", 4, &[]);
    let task = b.add_type_tag("kptr", task);
    let task = b.add_ptr(task);
    let count = b.add_struct("bpf_refcount", 4, &[]);
    let node = b.add_struct("counted_by_this_test", 8, &[member("count", count, 0)]);
    let node = b.add_type_tag("kptr", node);
    let node = b.add_ptr(node);
    let members = [member("lock", lock, 0), member("task", task, 64), member("node", node, 128)];
    let value = b.add_struct("value", 24, &members);
    let btf = Arc::new(b.build().unwrap());
    let props = MapProps {
        map_type: 2,
        name: "owners".into(),
        key_size: 4,
        value_size: 24,
        max_entries: 1,
        flags: 0,
        frozen_data: None,
        direct_value: true,
        inner: None,
        fields: fields(&btf, value, 24, Scope::MapValue).unwrap(),
        types: Some(MapTypes { btf: btf.clone(), key: 0, value: value.0 }),
    };
    (btf, props)
}

/// Judges a program that may sleep and has R6 point to the map's value; the reason if it is refused.
fn judge_sleepable(kernel: &Arc<Btf>, body: &str) -> Option<String> {
    let source = format!(
        "*(u32 *)(r10 -4) = 0
        r2 = r10
        r2 += -4
        r1 = map[idx:0]
        call bpf_map_lookup_elem#1
        if r0 != 0 goto pc+1
        exit
        r6 = r0
        {body}
        r0 = 0
        exit"
    );
    let (btf, map) = owners();
    let raw = RawProgram {
        name: "test".into(),
        prog_type: SYSCALL,
        flags: BPF_F_SLEEPABLE,
        insns: assemble(&named(kernel, &source)).unwrap(),
        license: "GPL".into(),
        btf: Some(btf),
        ..RawProgram::default()
    };
    let system = System::new().with_kernel_btf(kernel.clone());
    let checked = system.check_raw(&raw, &[map], &CheckOptions::default());
    checked.verdict.err().map(|e| e.to_string())
}

/// The kernel goes on trusting it, though the program may sleep and another CPU may give the task back.
#[test]
fn a_lock_keeps_what_was_loaded_only_while_it_is_held() {
    let Some(kernel) = kernel_btf() else { return };
    let body = "r1 = r6
        call bpf_spin_lock#93
        r7 = *(u64 *)(r6 +8)
        r1 = r6
        call bpf_spin_unlock#94
        if r7 == 0 goto pc+5
        r1 = r7
        kfunc bpf_task_acquire
        if r0 == 0 goto pc+2
        r1 = r0
        kfunc bpf_task_release";
    assert_refused(judge_sleepable(&kernel, body), "R1 must be a rcu pointer");
}

#[test]
fn a_count_is_raised_only_where_it_is_kept() {
    let Some(kernel) = kernel_btf() else { return };
    let body = |first: &str, last: &str| {
        format!(
            "kfunc bpf_rcu_read_lock
            r7 = *(u64 *)(r6 +16)
            {first}
            if r7 == 0 goto pc+7
            r1 = r7
            r2 = 0
            kfunc bpf_refcount_acquire_impl
            if r0 == 0 goto pc+3
            r1 = r0
            r2 = 0
            kfunc bpf_obj_drop_impl
            {last}"
        )
    };
    let unlock = "kfunc bpf_rcu_read_unlock";
    assert_eq!(judge_sleepable(&kernel, &body("", unlock)), None);
    assert_refused(
        judge_sleepable(&kernel, &body(unlock, "")),
        "arg#0 is neither owning or non-owning ref",
    );
}
