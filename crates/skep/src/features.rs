//! What is supported of Linux 6.18: [`features`] as data, [`render`] as the page `docs/SUPPORT.md`.
//!
//! Everything comes from the descriptors, so neither can be out of date.

use crate::helper::helpers;
use crate::kfunc::KFUNCS;
use crate::prog_type::{PROG_TYPES, ProgKind};
use crate::support::Support;
use core::fmt::Write;
use skep_abi::Errno;
use skep_maps::map_types;

/// One line: a thing and how much of it works.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Feature {
    /// UAPI number; `None` where there is none.
    pub number: Option<u32>,
    /// Name as bpftool prints it.
    pub name: String,
    /// Linux version that introduced it, `(major, minor)`.
    pub since: (u16, u16),
    /// How far Skep goes with it.
    pub level: Level,
    /// What works when programs run.
    pub support: Support,
}

/// How far Skep goes with a thing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    /// Programs that use it run.
    Run,
    /// Programs that use it are verified, but do not run.
    Judged,
    /// Nothing.
    None,
}

impl Level {
    /// The level of what programs that run can use as far as `support` says, and can be judged at `otherwise`.
    fn of(support: Support, otherwise: Level) -> Level {
        match support {
            Support::Full | Support::Partial(_) => Level::Run,
            Support::No(..) => otherwise,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Level::Run => "judged, run",
            Level::Judged => "judged",
            Level::None => "",
        }
    }
}

/// Things of one kind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Section {
    /// What they are: `Map types`.
    pub title: &'static str,
    /// By ascending number.
    pub features: Vec<Feature>,
}

impl Section {
    /// How many work at least partly.
    pub fn supported(&self) -> usize {
        self.features.iter().filter(|f| !matches!(f.support, Support::No(..))).count()
    }
}

/// All features of Linux 6.18, by kind.
pub fn features() -> Vec<Section> {
    vec![instructions(), program_types(), map_type_section(), helper_section(), kfunc_section()]
}

const INSTRUCTIONS: &[(&str, (u16, u16), Support)] = &[
    ("64-bit arithmetic and jumps (v1)", (3, 18), Support::Full),
    ("unsigned less-than jumps (v2)", (4, 14), Support::Full),
    ("32-bit arithmetic and jumps (v3)", (5, 1), Support::Full),
    ("sign extension, byte swap, signed division, long jumps (v4)", (6, 6), Support::Full),
    ("atomic operations", (5, 12), Support::Full),
    ("load-acquire and store-release", (6, 15), Support::Full),
    ("may_goto", (6, 9), Support::Partial("counts iterations, 8,388,608 a frame, not time")),
    ("calls of subprograms and callbacks", (5, 13), Support::Full),
    ("tail calls", (4, 2), Support::Full),
    ("legacy packet loads", (3, 18), Support::Full),
    ("addresses of kernel variables", (5, 10), Support::No(Errno::EINVAL, "there is no kernel")),
    ("addr_space_cast", (6, 9), Support::No(Errno::EINVAL, "arenas are not implemented yet")),
];

const NO_KFUNC: Support = Support::No(Errno::EINVAL, "there is no kernel to call");

fn kfunc_section() -> Section {
    let kfuncs = KFUNCS.iter().flat_map(|topic| topic.iter());
    let features = kfuncs.map(|k| Feature {
        number: None,
        name: k.proto.name.to_owned(),
        since: k.since,
        level: Level::Judged,
        support: NO_KFUNC,
    });
    Section { title: "Kernel functions", features: features.collect() }
}

fn instructions() -> Section {
    let features = INSTRUCTIONS
        .iter()
        .map(|(name, since, support)| Feature {
            number: None,
            name: (*name).to_owned(),
            since: *since,
            level: Level::of(*support, Level::None),
            support: *support,
        })
        .collect();
    Section { title: "Instructions", features }
}

fn program_types() -> Section {
    let features = PROG_TYPES
        .iter()
        .map(|t| Feature {
            number: (t.kind != ProgKind::Seccomp).then_some(t.props.prog_type),
            name: match t.kind {
                ProgKind::Seccomp => "seccomp (classic)".to_owned(),
                ProgKind::SocketFilter
                | ProgKind::SchedCls
                | ProgKind::SchedAct
                | ProgKind::Xdp
                | ProgKind::Syscall
                | ProgKind::Judged => t.props.name.to_owned(),
            },
            since: t.since,
            level: Level::of(t.support, Level::Judged),
            support: t.support,
        })
        .collect();
    Section { title: "Program types", features }
}

fn map_type_section() -> Section {
    let features = map_types()
        .iter()
        .map(|t| Feature {
            number: Some(t.kind as u32),
            name: t.name.to_owned(),
            since: t.since,
            level: Level::of(t.support, Level::Judged),
            support: t.support,
        })
        .collect();
    Section { title: "Map types", features }
}

fn helper_section() -> Section {
    let features = helpers()
        .iter()
        .map(|h| Feature {
            number: u32::try_from(h.id).ok(),
            name: h.name.to_owned(),
            since: h.since,
            level: Level::of(h.support, Level::Judged),
            support: h.support,
        })
        .collect();
    Section { title: "Helpers", features }
}

/// The page `docs/SUPPORT.md`.
pub fn render() -> String {
    let mut page = String::from(
        "# What is supported\n\nMeasured against Linux 6.18. This page is made from the code's descriptors; \
         `UPDATE=1 cargo test -p skep --test support` rewrites it.\n",
    );
    for section in features() {
        // Writing to a String cannot fail.
        let _ = write!(
            page,
            "\n## {}: {} of {} run\n\n| number | name | Linux | programs that use it are | when they run |\n\
             | ---: | --- | --- | --- | --- |\n",
            section.title,
            section.supported(),
            section.features.len()
        );
        for f in &section.features {
            let number = f.number.map_or(String::new(), |n| n.to_string());
            let support = match f.support {
                Support::Full => "full".to_owned(),
                Support::Partial(note) => format!("partial: {note}"),
                Support::No(errno, note) => {
                    format!("no ({}): {note}", errno.name().unwrap_or("error"))
                }
            };
            let (major, minor) = f.since;
            let level = f.level.name();
            let _ =
                writeln!(page, "| {number} | {} | {major}.{minor} | {level} | {support} |", f.name);
        }
    }
    page
}
