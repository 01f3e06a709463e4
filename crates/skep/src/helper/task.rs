//! Helpers about the task that is running, and about files, tasks and programs that the kernel shows. Facts: kernel/bpf/helpers.c,
//! kernel/trace/bpf_trace.c, kernel/bpf/bpf_lsm.c.

use super::{
    ANY, Allowed, ArgType, Callback, Helper, IN, IN_OUT, OUT, RetType, SIZE, SIZE0, allowed,
    calls_back, gpl, judged, object, proto, returns, sleeps,
};
use crate::prog_type::ProgTypes;

const NOTE: &str = "there is no task behind a run";

pub(super) static HELPERS: &[Helper] = &[
    judged(
        gpl(proto(4, "probe_read", &[OUT, SIZE0, ANY])),
        (4, 1),
        ProgTypes::PROBES.with(ProgTypes::BTF_TYPED).with(ProgTypes::SYSCALL),
        NOTE,
    ),
    judged(proto(14, "get_current_pid_tgid", &[]), (4, 2), ProgTypes::EXTENDED, NOTE),
    judged(proto(15, "get_current_uid_gid", &[]), (4, 2), ProgTypes::EXTENDED, NOTE),
    judged(proto(16, "get_current_comm", &[OUT, SIZE]), (4, 2), ProgTypes::EXTENDED, NOTE),
    judged(gpl(proto(35, "get_current_task", &[])), (4, 8), ProgTypes::EXTENDED, NOTE),
    judged(
        gpl(proto(36, "probe_write_user", &[ANY, IN, SIZE])),
        (4, 8),
        ProgTypes::PROBES.with(ProgTypes::BTF_TYPED).with(ProgTypes::SYSCALL),
        NOTE,
    ),
    judged(
        gpl(proto(45, "probe_read_str", &[OUT, SIZE0, ANY])),
        (4, 11),
        ProgTypes::PROBES.with(ProgTypes::BTF_TYPED).with(ProgTypes::SYSCALL),
        NOTE,
    ),
    judged(proto(109, "send_signal", &[ANY]), (5, 3), ProgTypes::EXTENDED, NOTE),
    judged(
        gpl(proto(112, "probe_read_user", &[OUT, SIZE0, ANY])),
        (5, 5),
        ProgTypes::EXTENDED,
        NOTE,
    ),
    judged(
        gpl(proto(114, "probe_read_user_str", &[OUT, SIZE0, ANY])),
        (5, 5),
        ProgTypes::EXTENDED,
        NOTE,
    ),
    judged(proto(117, "send_signal_thread", &[ANY]), (5, 5), ProgTypes::EXTENDED, NOTE),
    judged(
        proto(120, "get_ns_current_pid_tgid", &[ANY, ANY, OUT, SIZE]),
        (5, 7),
        ProgTypes::EXTENDED,
        NOTE,
    ),
    allowed(
        judged(
            proto(147, "d_path", &[object("path"), IN_OUT, SIZE0]),
            (5, 10),
            ProgTypes::BTF_TYPED.with(ProgTypes::SYSCALL),
            NOTE,
        ),
        Allowed::Path,
    ),
    judged(
        sleeps(proto(148, "copy_from_user", &[OUT, SIZE0, ANY])),
        (5, 10),
        ProgTypes::EXTENDED,
        NOTE,
    ),
    judged(
        gpl(returns(proto(158, "get_current_task_btf", &[]), RetType::BtfTrusted("task_struct"))),
        (5, 11),
        ProgTypes::EXTENDED,
        NOTE,
    ),
    judged(
        proto(159, "bprm_opts_set", &[object("linux_binprm"), ANY]),
        (5, 11),
        ProgTypes::LSM,
        NOTE,
    ),
    allowed(
        judged(
            sleeps(proto(161, "ima_inode_hash", &[object("inode"), OUT, SIZE])),
            (5, 11),
            ProgTypes::LSM,
            NOTE,
        ),
        Allowed::SleepableHook,
    ),
    judged(
        gpl(returns(proto(175, "task_pt_regs", &[object("task_struct")]), RetType::Btf("pt_regs"))),
        (5, 15),
        ProgTypes::EXTENDED,
        NOTE,
    ),
    judged(
        calls_back(
            proto(
                180,
                "find_vma",
                &[object("task_struct"), ANY, ArgType::Func, ArgType::StackOrNull, ANY],
            ),
            Callback::FindVma,
        ),
        (5, 17),
        ProgTypes::EXTENDED,
        NOTE,
    ),
    judged(
        sleeps(gpl(proto(
            191,
            "copy_from_user_task",
            &[OUT, SIZE0, ANY, object("task_struct"), ANY],
        ))),
        (5, 18),
        ProgTypes::EXTENDED,
        NOTE,
    ),
    allowed(
        judged(
            sleeps(proto(193, "ima_file_hash", &[object("file"), OUT, SIZE])),
            (5, 18),
            ProgTypes::LSM,
            NOTE,
        ),
        Allowed::SleepableHook,
    ),
];
