//! [`Campaign`]: many programs under both judges, findings counted, grouped and made small.

use std::collections::BTreeMap;

use skep_abi::insn::{CallTarget, Insn, Reg};
use skep_host::kernel;

use super::kernel::KernelJudge;
use super::skep::SkepJudge;
use super::{Answer, Class, Verdict, classify};
use crate::generate::{Generated, features, generate};
use crate::reduce::reduce;

/// Findings of one class and reason that are made small; the rest are counted.
const SMALL_PER_GROUP: usize = 2;
/// Programs in a row between looks at the kernel's taint flags.
const BATCH: u64 = 64;

/// A program whose two answers call for attention.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What kind.
    pub class: Class,
    /// Seed of the program it came from.
    pub seed: u64,
    /// Reason without numbers: findings with the same one are of the same group.
    pub group: String,
    /// How many there were of the group up to this one.
    pub number: usize,
    /// The smallest program that still shows it.
    pub program: Generated,
    /// The kernel's answer to that.
    pub kernel: Answer,
    /// Skep's answer to that.
    pub skep: Answer,
}

/// What a campaign found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Programs that were judged.
    pub programs: u64,
    /// Programs that the kernel accepted.
    pub kernel_accepted: u64,
    /// Programs in each class.
    pub classes: BTreeMap<Class, u64>,
    /// Features that programs asked for: in how many, and in how many that both judges accept.
    pub features: BTreeMap<&'static str, (u64, u64)>,
    /// Findings by class and reason.
    pub groups: BTreeMap<(Class, String), u64>,
    /// The first few of each group, made small.
    pub findings: Vec<Finding>,
    /// Set when the campaign stopped early: why.
    pub stopped: Option<String>,
}

impl Report {
    /// How many programs are in a class.
    pub fn count(&self, class: Class) -> u64 {
        self.classes.get(&class).copied().unwrap_or(0)
    }
}

/// A run over many seeds.
#[derive(Debug)]
pub struct Campaign {
    kernel: KernelJudge,
    skep: SkepJudge,
    tainted: u64,
}

impl Campaign {
    /// Gets both judges ready.
    ///
    /// # Errors
    /// Says what is missing.
    pub fn new() -> Result<Campaign, String> {
        kernel::available().map_err(|e| e.to_string())?;
        let tainted = kernel::tainted().map_err(|e| format!("reading the taint flags: {e}"))?;
        Ok(Campaign { kernel: KernelJudge::new()?, skep: SkepJudge::new()?, tainted })
    }

    /// Judges `programs` programs from a seed on; `progress` hears of each.
    pub fn run(&self, seed: u64, programs: u64, progress: &mut dyn FnMut(&Report)) -> Report {
        let mut report = Report::default();
        for n in 0..programs {
            if n % BATCH == 0
                && let Some(why) = self.taint_changed()
            {
                report.stopped = Some(format!("before program {}: {why}", seed + n));
                break;
            }
            self.judge_one(seed.wrapping_add(n), &mut report);
            progress(&report);
        }
        if report.stopped.is_none() {
            report.stopped = self.taint_changed();
        }
        report
    }

    /// Why the kernel is no oracle any more.
    fn taint_changed(&self) -> Option<String> {
        match kernel::tainted() {
            Ok(now) if now == self.tainted => None,
            Ok(now) => Some(format!("the kernel's taint went from {} to {now}", self.tainted)),
            Err(e) => Some(format!("the kernel's taint cannot be read: {e}")),
        }
    }

    fn judge_one(&self, seed: u64, report: &mut Report) {
        let program = generate(seed);
        let (class, kernel, skep) = self.compare(&program);
        report.programs += 1;
        report.kernel_accepted += u64::from(kernel.verdict == Verdict::Accepted);
        *report.classes.entry(class).or_default() += 1;
        let both = skep.verdict == Verdict::Accepted && kernel.verdict == Verdict::Accepted;
        for feature in features(&program) {
            let (seen, accepted) = report.features.entry(feature).or_default();
            *seen += 1;
            *accepted += u64::from(both);
        }
        if !class.is_finding() {
            return;
        }
        let group = group(class, &kernel, &skep);
        let seen = report.groups.entry((class, group.clone())).or_default();
        *seen += 1;
        let number = *seen as usize;
        if number <= SMALL_PER_GROUP {
            report.findings.push(self.make_small(seed, class, group, number, program));
        }
    }

    /// Both answers and their class.
    pub fn compare(&self, program: &Generated) -> (Class, Answer, Answer) {
        let (kernel, skep) = (self.kernel.ask(program), self.skep.ask(program));
        (classify(program, &kernel, &skep), kernel, skep)
    }

    fn make_small(
        &self,
        seed: u64,
        class: Class,
        group_name: String,
        number: usize,
        mut program: Generated,
    ) -> Finding {
        let candidate = |insns: &[Insn]| Generated { insns: insns.to_vec(), ..program.clone() };
        // Without a store a load may read what was never written, which differs for no good reason.
        let stores = stack_stores(&program.insns);
        let small = reduce(&program.insns, |insns| {
            if class == Class::DifferentResult && stack_stores(insns) != stores {
                return false;
            }
            let (c, kernel, skep) = self.compare(&candidate(insns));
            c == class && group(c, &kernel, &skep) == group_name
        });
        program.insns = small;
        let (_, kernel, skep) = self.compare(&program);
        Finding { class, seed, group: group_name, number, program, kernel, skep }
    }
}

fn stack_stores(insns: &[Insn]) -> usize {
    let is_store = |i: &&Insn| {
        matches!(i, Insn::Store { dst: Reg::R10, .. } | Insn::Call(CallTarget::Helper(_)))
    };
    insns.iter().filter(is_store).count()
}

/// What findings of a class are grouped by: the reason of the judge that objects, without numbers.
fn group(class: Class, kernel: &Answer, skep: &Answer) -> String {
    let text = match (class, &kernel.verdict, &skep.verdict) {
        (Class::UnsafeAccept, Verdict::Rejected(why), _) => why.clone(),
        (Class::FalseReject, _, Verdict::Rejected(why)) => why.clone(),
        (Class::Trapped, ..) => match &skep.run {
            Some(Err(why)) => why.clone(),
            Some(Ok(_)) | None => String::new(),
        },
        (Class::DifferentResult, ..) => match (&kernel.run, &skep.run) {
            (Some(Ok(k)), Some(Ok(s))) => {
                let parts = [
                    (k.retval != s.retval, "result "),
                    (k.packet != s.packet, "packet "),
                    (k.maps != s.maps, "maps"),
                ];
                parts.into_iter().filter(|(d, _)| *d).map(|(_, name)| name).collect()
            }
            (k, s) => format!("{} / {}", super::short(k), super::short(s)),
        },
        _ => String::new(),
    };
    without_numbers(&text)
}

fn without_numbers(text: &str) -> String {
    let mut out = String::new();
    let mut in_number = false;
    for c in text.chars() {
        let digit = c.is_ascii_digit() || (in_number && (c.is_ascii_hexdigit() || c == 'x'));
        if digit && !in_number {
            out.push('#');
        } else if !digit {
            out.push(c);
        }
        in_number = digit;
    }
    out
}
