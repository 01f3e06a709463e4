//! [`Tags`]: the expectations that annotated programs carry as declaration tags of their functions.
//!
//! What each tag means: the tree's `test_loader.c` and `progs/bpf_misc.h`. Up to Linux 6.1 a tag is
//! `comment:NAME=VALUE`; then messages got a counter, `comment:NAME=N=VALUE`; then all, `comment:N:NAME=VALUE`.

use skep_btf::{Btf, Kind, TypeView};

use super::input::{CAPS, Cap, Expect, Mode, Run};
use super::pattern::Pattern;

/// Bytes of the packet that a test run gets.
const DATA_LEN: usize = 64;

/// All that the tags of a function say.
#[derive(Debug, Default)]
pub(super) struct Tags {
    success: [Option<bool>; 2],
    messages: [Vec<Pattern>; 2],
    retval: [Option<Option<u32>>; 2],
    log_level: u32,
    flags_set: u32,
    flags_cleared: u32,
    has_mode: [bool; 2],
    is_auxiliary: bool,
    caps: Vec<Cap>,
    arches: Vec<String>,
    is_annotated: bool,
}

/// Reads the tags of the function with a name.
///
/// # Errors
/// The tag that is not understood.
pub(super) fn read(btf: &Btf, function: &str) -> Result<Tags, String> {
    let mut tags = Tags::default();
    let Some(func) = btf.find_by_name_kind(function, Kind::Func) else { return Ok(tags) };
    let mut found: Vec<(Option<u32>, &str)> = btf
        .types()
        .filter(|t| {
            matches!(t.view(), TypeView::DeclTag { target, component: None } if target == func.id())
        })
        .filter_map(|t| btf.str_at(t.name_off())?.strip_prefix("comment:"))
        .map(|text| match text.split_once(':') {
            Some((n, rest)) if n.bytes().all(|b| b.is_ascii_digit()) => (n.parse().ok(), rest),
            _ => (None, text),
        })
        .collect();
    // Counted tags are in the order of the source only by their counters.
    found.sort_by_key(|(n, _)| *n);
    for (n, tag) in found {
        tags.add(tag, n.is_some())?;
    }
    Ok(tags)
}

impl Tags {
    fn add(&mut self, tag: &str, is_counted: bool) -> Result<(), String> {
        let (name, value) = tag.split_once('=').unwrap_or((tag, ""));
        let (name, at) = match name.strip_suffix("_unpriv") {
            Some(name) if name != "test_caps" => (name, 1),
            _ => (name, 0),
        };
        let bad = || format!("tag '{tag}' is not understood");
        match name {
            "test_expect_success" => self.success[at] = Some(true),
            "test_expect_failure" => self.success[at] = Some(false),
            "test_expect_msg" | "test_expect_not_msg" => {
                let text = if is_counted { value } else { without_counter(value) };
                let mut pattern = Pattern::parse(text).ok_or_else(bad)?;
                pattern.is_absent = name == "test_expect_not_msg";
                self.messages[at].push(pattern);
            }
            "test_expect_regex" => {
                let text = if is_counted { value } else { without_counter(value) };
                let text = format!("{{{{{text}}}}}");
                self.messages[at].push(Pattern::parse(&text).ok_or_else(bad)?);
            }
            "test_retval" => self.retval[at] = Some(retval(value).ok_or_else(bad)?),
            "test_auxiliary" => self.is_auxiliary = true,
            "test_log_level" => self.log_level = value.parse().map_err(|_| bad())?,
            "test_prog_flags" => {
                let (text, set) = match value.strip_prefix('!') {
                    Some(text) => (text, false),
                    None => (value, true),
                };
                let flag = flag(text).ok_or_else(bad)?;
                if set {
                    self.flags_set |= flag;
                } else {
                    self.flags_cleared |= flag;
                }
            }
            "test_arch" => self.arches.push(value.to_owned()),
            "test_caps_unpriv" => {
                let names = value.split('|').map(str::trim);
                let cap = |name| CAPS.into_iter().find(|c| c.name == name);
                self.caps = names.map(cap).collect::<Option<_>>().ok_or_else(bad)?;
            }
            // Of the others (code after rewriting, output, descriptions) nothing is compared.
            _ => {}
        }
        self.is_annotated = true;
        let names_mode = matches!(
            name,
            "test_expect_success"
                | "test_expect_failure"
                | "test_expect_msg"
                | "test_expect_not_msg"
                | "test_expect_regex"
                | "test_expect_xlated"
                | "test_retval"
                | "test_auxiliary"
        );
        self.has_mode[at] |= names_mode;
        Ok(())
    }

    /// Whether there are any.
    pub(super) fn is_annotated(&self) -> bool {
        self.is_annotated
    }

    /// Whether it is only there for others, or for other machines.
    pub(super) fn is_test_here(&self) -> bool {
        let here = self.arches.is_empty() || self.arches.iter().any(|a| a == "X86_64");
        self.is_annotated && !self.is_auxiliary && here
    }

    /// Who loads it.
    pub(super) fn modes(&self) -> Vec<Mode> {
        match self.has_mode {
            [_, false] => vec![Mode::Privileged],
            [false, true] => vec![Mode::Unprivileged],
            [true, true] => Mode::ALL.to_vec(),
        }
    }

    /// What is left to somebody without privileges.
    pub(super) fn caps(&self) -> Vec<Cap> {
        self.caps.clone()
    }

    /// The load's flags.
    pub(super) fn flags(&self, flags: u32) -> u32 {
        (flags | self.flags_set) & !self.flags_cleared
    }

    /// What is expected of a load by somebody.
    pub(super) fn expect(&self, mode: Mode, takes_packet: bool) -> Expect {
        let at = usize::from(mode == Mode::Unprivileged);
        let success = self.success[at].or(self.success[0]).unwrap_or(true);
        let own = !self.messages[at].is_empty();
        let retval = self.retval[at].or(self.retval[0]).filter(|_| success);
        let data = if takes_packet { vec![0; DATA_LEN] } else { Vec::new() };
        Expect {
            accepted: Some(success),
            messages: self.messages[if own { at } else { 0 }].clone(),
            log_level: self.log_level,
            runs: retval.map(|retval| Run { retval, data }).into_iter().collect(),
        }
    }
}

fn without_counter(value: &str) -> &str {
    match value.split_once('=') {
        Some((n, text)) if !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()) => text,
        _ => value,
    }
}

/// `None` in it for a pointer, of which nothing is expected.
fn retval(text: &str) -> Option<Option<u32>> {
    match text {
        "POINTER_VALUE" | "0xcafe4all" => Some(None),
        "INT_MIN" => Some(Some(i32::MIN as u32)),
        "TEST_DATA_LEN" => Some(Some(DATA_LEN as u32)),
        _ => number(text).map(Some),
    }
}

fn number(text: &str) -> Option<u32> {
    let value = match text.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(hex, 16).ok()?,
        None => text.parse().ok()?,
    };
    Some(value as u32)
}

fn flag(text: &str) -> Option<u32> {
    Some(match text {
        "BPF_F_STRICT_ALIGNMENT" => 1 << 0,
        "BPF_F_ANY_ALIGNMENT" => 1 << 1,
        "BPF_F_TEST_RND_HI32" => 1 << 2,
        "BPF_F_TEST_STATE_FREQ" => 1 << 3,
        "BPF_F_SLEEPABLE" => 1 << 4,
        "BPF_F_XDP_HAS_FRAGS" => 1 << 5,
        "BPF_F_TEST_REG_INVARIANTS" => 1 << 7,
        _ => number(text)?,
    })
}
