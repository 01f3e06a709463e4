//! `xtask uapi`: writes `crates/skep-abi/src/uapi.rs` from the running kernel's BTF.
//!
//! Enums come from BTF; macros leave no trace there, so they are listed here by hand.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use skep_btf::{Btf, Enum, Kind};

/// The reference release of the kernel.
const RELEASE: &str = "6.18";
const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";

/// `xtask uapi`
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write nothing; fail if the file differs from what would be written.
    #[arg(long)]
    check: bool,
    /// BTF to read.
    #[arg(long, default_value = KERNEL_BTF)]
    btf: PathBuf,
}

/// Named enums: each also becomes a table of its names.
const ENUMS: &[&str] = &[
    "bpf_cmd",
    "bpf_map_type",
    "bpf_prog_type",
    "bpf_attach_type",
    "bpf_link_type",
    "bpf_func_id",
    "bpf_perf_event_type",
    "bpf_stats_type",
    "bpf_stream_id",
    "bpf_cgroup_iter_order",
    "bpf_addr_space_cast",
    "bpf_cond_pseudo_jmp",
    "bpf_stack_build_id_status",
    "bpf_adj_room_mode",
    "bpf_hdr_start_off",
    "bpf_lwt_encap_mode",
    "bpf_ret_code",
    "bpf_check_mtu_flags",
    "bpf_check_mtu_ret",
    "bpf_task_fd_type",
    "bpf_core_relo_kind",
    "bpf_kfunc_flags",
    "btf_func_linkage",
    "xdp_action",
    "sk_action",
    "tcx_action_base",
    "netfilter_verdict",
    "tc_action_base",
];

/// One of these as the first value makes an anonymous enum part of `linux/bpf.h` or `linux/btf.h`.
const ANONYMOUS: &[&str] = &[
    "BPF_REG_0",
    "BPF_F_LINK",
    "BPF_F_KPROBE_MULTI_RETURN",
    "BPF_F_UPROBE_MULTI_RETURN",
    "BPF_ANY",
    "BPF_F_NO_PREALLOC",
    "BPF_F_RECOMPUTE_CSUM",
    "BPF_F_HDR_FIELD_MASK",
    "BPF_F_PSEUDO_HDR",
    "BPF_F_INGRESS",
    "BPF_F_TUNINFO_IPV6",
    "BPF_F_SKIP_FIELD_MASK",
    "BPF_F_ZERO_CSUM_TX",
    "BPF_F_INDEX_MASK",
    "BPF_F_CURRENT_NETNS",
    "BPF_CSUM_LEVEL_QUERY",
    "BPF_F_ADJ_ROOM_FIXED_GSO",
    "BPF_ADJ_ROOM_ENCAP_L2_MASK",
    "BPF_F_SYSCTL_BASE_NAME",
    "BPF_LOCAL_STORAGE_GET_F_CREATE",
    "BPF_F_GET_BRANCH_RECORDS_SIZE",
    "BPF_RB_NO_WAKEUP",
    "BPF_RB_AVAIL_DATA",
    "BPF_RINGBUF_BUSY_BIT",
    "BPF_SK_LOOKUP_F_REPLACE",
    "BPF_F_BPRM_SECUREEXEC",
    "BPF_F_BROADCAST",
    "BPF_SKB_TSTAMP_UNSPEC",
    "BPF_SKB_CLOCK_REALTIME",
    "BPF_SOCK_OPS_RTO_CB_FLAG",
    "BPF_SOCK_OPS_VOID",
    "BPF_TCP_ESTABLISHED",
    "TCP_BPF_IW",
    "BPF_LOAD_HDR_OPT_TCP_SYN",
    "BPF_WRITE_HDR_TCP_CURRENT_MSS",
    "BPF_FIB_LOOKUP_DIRECT",
    "BPF_FIB_LKUP_RET_SUCCESS",
    "BPF_FLOW_DISSECTOR_F_PARSE_1ST_FRAG",
    "BPF_F_TIMER_ABS",
    "BTF_F_COMPACT",
    "BTF_KIND_UNKN",
    "BTF_VAR_STATIC",
    "BPF_F_PAD_ZEROS",
    "SK_BPF_CB_TX_TIMESTAMPING",
];

/// A macro: name, type, value.
type Macro = (&'static str, &'static str, &'static str);

/// Macros, and enums that the kernel does not use itself; the header that defines them. Values are facts of Linux 6.18.
const MACROS: &[(&str, &[Macro])] = &[
    (
        "linux/bpf.h",
        &[
            ("BPF_PSEUDO_MAP_FD", "u32", "1"),
            ("BPF_PSEUDO_MAP_VALUE", "u32", "2"),
            ("BPF_PSEUDO_BTF_ID", "u32", "3"),
            ("BPF_PSEUDO_FUNC", "u32", "4"),
            ("BPF_PSEUDO_MAP_IDX", "u32", "5"),
            ("BPF_PSEUDO_MAP_IDX_VALUE", "u32", "6"),
            ("BPF_PSEUDO_CALL", "u32", "1"),
            ("BPF_PSEUDO_KFUNC_CALL", "u32", "2"),
            ("BPF_F_ALLOW_OVERRIDE", "u32", "1 << 0"),
            ("BPF_F_ALLOW_MULTI", "u32", "1 << 1"),
            ("BPF_F_REPLACE", "u32", "1 << 2"),
            ("BPF_F_BEFORE", "u32", "1 << 3"),
            ("BPF_F_AFTER", "u32", "1 << 4"),
            ("BPF_F_ID", "u32", "1 << 5"),
            ("BPF_F_PREORDER", "u32", "1 << 6"),
            ("BPF_F_LINK", "u32", "1 << 13"),
            ("BPF_F_STRICT_ALIGNMENT", "u32", "1 << 0"),
            ("BPF_F_ANY_ALIGNMENT", "u32", "1 << 1"),
            ("BPF_F_TEST_RND_HI32", "u32", "1 << 2"),
            ("BPF_F_TEST_STATE_FREQ", "u32", "1 << 3"),
            ("BPF_F_SLEEPABLE", "u32", "1 << 4"),
            ("BPF_F_XDP_HAS_FRAGS", "u32", "1 << 5"),
            ("BPF_F_XDP_DEV_BOUND_ONLY", "u32", "1 << 6"),
            ("BPF_F_TEST_REG_INVARIANTS", "u32", "1 << 7"),
            ("BPF_F_NETFILTER_IP_DEFRAG", "u32", "1 << 0"),
            ("BPF_F_QUERY_EFFECTIVE", "u32", "1 << 0"),
            ("BPF_F_TEST_RUN_ON_CPU", "u32", "1 << 0"),
            ("BPF_F_TEST_XDP_LIVE_FRAMES", "u32", "1 << 1"),
            ("BPF_F_TEST_SKB_CHECKSUM_COMPLETE", "u32", "1 << 2"),
            ("BPF_OBJ_NAME_LEN", "u32", "16"),
            ("BPF_TAG_SIZE", "u32", "8"),
            ("BPF_BUILD_ID_SIZE", "u32", "20"),
            ("BPF_LINE_INFO_LINE_SHIFT", "u32", "10"),
            ("XDP_PACKET_HEADROOM", "u32", "256"),
            ("BPF_DEVCG_ACC_MKNOD", "u32", "1 << 0"),
            ("BPF_DEVCG_ACC_READ", "u32", "1 << 1"),
            ("BPF_DEVCG_ACC_WRITE", "u32", "1 << 2"),
            ("BPF_DEVCG_DEV_BLOCK", "u32", "1 << 0"),
            ("BPF_DEVCG_DEV_CHAR", "u32", "1 << 1"),
        ],
    ),
    ("linux/bpf_common.h", &[("BPF_MAXINSNS", "u32", "4096")]),
    (
        "linux/btf.h",
        &[
            ("BTF_MAGIC", "u32", "0xeb9f"),
            ("BTF_VERSION", "u32", "1"),
            ("BTF_MAX_TYPE", "u32", "0x000f_ffff"),
            ("BTF_MAX_NAME_OFFSET", "u32", "0x00ff_ffff"),
            ("BTF_MAX_VLEN", "u32", "0xffff"),
        ],
    ),
    (
        "linux/pkt_cls.h",
        &[
            ("TC_ACT_UNSPEC", "i32", "-1"),
            ("TC_ACT_OK", "i32", "0"),
            ("TC_ACT_RECLASSIFY", "i32", "1"),
            ("TC_ACT_SHOT", "i32", "2"),
            ("TC_ACT_PIPE", "i32", "3"),
            ("TC_ACT_STOLEN", "i32", "4"),
            ("TC_ACT_QUEUED", "i32", "5"),
            ("TC_ACT_REPEAT", "i32", "6"),
            ("TC_ACT_REDIRECT", "i32", "7"),
            ("TC_ACT_TRAP", "i32", "8"),
        ],
    ),
    (
        "linux/seccomp.h",
        &[
            ("SECCOMP_RET_KILL_PROCESS", "u32", "0x8000_0000"),
            ("SECCOMP_RET_KILL_THREAD", "u32", "0"),
            ("SECCOMP_RET_TRAP", "u32", "0x0003_0000"),
            ("SECCOMP_RET_ERRNO", "u32", "0x0005_0000"),
            ("SECCOMP_RET_USER_NOTIF", "u32", "0x7fc0_0000"),
            ("SECCOMP_RET_TRACE", "u32", "0x7ff0_0000"),
            ("SECCOMP_RET_LOG", "u32", "0x7ffc_0000"),
            ("SECCOMP_RET_ALLOW", "u32", "0x7fff_0000"),
            ("SECCOMP_RET_ACTION_FULL", "u32", "0xffff_0000"),
            ("SECCOMP_RET_DATA", "u32", "0x0000_ffff"),
        ],
    ),
];

fn target_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/skep-abi/src/uapi.rs")
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let btf = read_btf(&args.btf)?;
    let text = rustfmt(&render(&btf)?)?;
    let file = target_file();
    if !args.check {
        std::fs::write(&file, text)?;
        return Ok(());
    }
    if std::fs::read_to_string(&file)? == text {
        return Ok(());
    }
    Err(format!("{} is not what `cargo xtask uapi` writes", file.display()).into())
}

fn read_btf(path: &Path) -> Result<Btf, Box<dyn Error>> {
    let data = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(Btf::parse(&data).map_err(|e| format!("{}: {e}", path.display()))?)
}

/// Constants that were written, so that a name that occurs twice is written once.
#[derive(Default)]
struct Seen(BTreeMap<String, u64>);

impl Seen {
    /// Whether `name` is new. The same name with another value is an error.
    fn is_new(&mut self, name: &str, value: u64) -> Result<bool, Box<dyn Error>> {
        match self.0.insert(name.to_owned(), value) {
            None => Ok(true),
            Some(old) if old == value => Ok(false),
            Some(old) => Err(format!("{name} is {old} and also {value}").into()),
        }
    }
}

fn render(btf: &Btf) -> Result<String, Box<dyn Error>> {
    let mut out = String::new();
    let mut seen = Seen::default();
    writeln!(
        out,
        "//! Constants of `linux/bpf.h` and its neighbours of Linux {RELEASE}, spelled as there."
    )?;
    writeln!(out, "//!")?;
    writeln!(
        out,
        "//! Generated by `cargo xtask uapi` from the kernel's BTF, hence its length; do not edit. Macros, which are"
    )?;
    writeln!(
        out,
        "//! not in BTF, are listed in `xtask/src/uapi.rs`. Enums of 64 bits become `u64`, all others `u32`."
    )?;
    writeln!(out, "//! Each named enum also has a table of its names and values, `…_NAMES`.")?;
    writeln!(
        out,
        "#![expect(missing_docs, non_upper_case_globals, reason = \"names are the uapi's own\")]"
    )?;
    for name in ENUMS {
        for kind in [Kind::Enum, Kind::Enum64] {
            if let Some(e) = btf.find_by_name_kind(name, kind).and_then(|t| t.as_enum()) {
                writeln!(out, "\n// enum {name}")?;
                constants(&mut out, e, &mut seen)?;
                table(&mut out, name, e)?;
            }
        }
    }
    for e in btf.types().filter(|t| t.is_anon()).filter_map(|t| t.as_enum()) {
        if e.values.get(0).is_some_and(|first| ANONYMOUS.contains(&first.name)) {
            writeln!(out)?;
            constants(&mut out, e, &mut seen)?;
        }
    }
    for (header, macros) in MACROS {
        writeln!(out, "\n// macros of {header}")?;
        for (name, ty, value) in *macros {
            if !seen.0.contains_key(*name) {
                writeln!(out, "pub const {name}: {ty} = {value};")?;
            }
        }
    }
    Ok(out)
}

fn constants(out: &mut String, e: Enum<'_>, seen: &mut Seen) -> Result<(), Box<dyn Error>> {
    for v in e.values.iter() {
        if !seen.is_new(v.name, v.value)? {
            continue;
        }
        if e.size == 8 {
            writeln!(out, "pub const {}: u64 = {:#x};", v.name, v.value)?;
        } else if e.signed && (v.value as i64) < 0 {
            writeln!(out, "pub const {}: i32 = {};", v.name, v.value as i32)?;
        } else {
            writeln!(out, "pub const {}: u32 = {};", v.name, v.value as u32)?;
        }
    }
    Ok(())
}

fn table(out: &mut String, name: &str, e: Enum<'_>) -> Result<(), Box<dyn Error>> {
    if e.size == 8 || e.signed {
        return Ok(());
    }
    let upper = name.to_uppercase();
    writeln!(out, "\n/// Names and values of `enum {name}`.")?;
    writeln!(out, "pub const {upper}_NAMES: &[(&str, u32)] = &[")?;
    for v in e.values.iter().filter(|v| !v.name.starts_with("__")) {
        writeln!(out, "(\"{}\", {}),", v.name, v.name)?;
    }
    writeln!(out, "];")?;
    if name == "bpf_func_id" {
        writeln!(out, "\n/// Helpers as programs spell them, with their ids.")?;
        writeln!(out, "pub const HELPER_NAMES: &[(&str, u32)] = &[")?;
        for v in e.values.iter().filter(|v| !v.name.starts_with("__")) {
            writeln!(out, "(\"{}\", {}),", v.name.replacen("BPF_FUNC_", "bpf_", 1), v.name)?;
        }
        writeln!(out, "];")?;
    }
    Ok(())
}

/// Formats source as the repository is formatted.
fn rustfmt(source: &str) -> Result<String, Box<dyn Error>> {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut child = Command::new("rustfmt")
        .arg("--edition=2024")
        .arg("--config-path")
        .arg(config)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| format!("rustfmt: {e}"))?;
    let mut stdin = child.stdin.take().ok_or("rustfmt has no standard input")?;
    stdin.write_all(source.as_bytes())?;
    drop(stdin);
    let output = child.wait_with_output()?;
    if !output.status.success() {
        return Err(format!("rustfmt: {}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_is_what_the_running_kernel_says() {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        if !release.starts_with(&format!("{RELEASE}.")) || !Path::new(KERNEL_BTF).exists() {
            println!("skipped: the running kernel is not {RELEASE} with BTF but {release}");
            return;
        }
        run(&Args { check: true, btf: KERNEL_BTF.into() }).unwrap();
    }
}
