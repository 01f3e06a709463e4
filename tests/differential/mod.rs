//! The same program under two judges: the live kernel and Skep.
//!
//! [`campaign`] asks both for a verdict and, where they accept, for the outcome of a run on the same packet and maps;
//! what it finds is a [`Class`]. [`kernel`] and [`skep`] are the two judges; [`super::generate`] makes the programs.

pub mod campaign;
pub mod corpus;
pub mod kernel;
pub mod skep;
pub mod soundness;

use std::collections::BTreeMap;
use std::fmt;

use crate::generate::{Comparable, Generated};

/// Whether a program may run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It may.
    Accepted,
    /// It may not: why, in a line.
    Rejected(String),
    /// The judge cannot tell: what Skep does not support yet, or a bug that the kernel's verifier finds in itself.
    Abstained(String),
}

/// What a run leaves behind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// Result, 32 bits of R0.
    pub retval: u32,
    /// The packet as the run left it.
    pub packet: Vec<u8>,
    /// Contents of each map, by key.
    pub maps: Vec<BTreeMap<Vec<u8>, Vec<u8>>>,
}

/// A judge's answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// Its verdict.
    pub verdict: Verdict,
    /// The outcome of the run, or why there was none although the program was accepted.
    pub run: Option<Result<Outcome, String>>,
}

/// How the two answers relate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Class {
    /// Both reject.
    BothReject,
    /// Both accept, with the same outcome.
    SameResult,
    /// Both accept; the outcome depends on more than packet and maps.
    BothAccept,
    /// One of them cannot tell.
    Abstained,
    /// The kernel accepts, Skep rejects.
    FalseReject,
    /// The kernel rejects, Skep accepts.
    UnsafeAccept,
    /// Both accept, and the outcomes differ.
    DifferentResult,
    /// Skep accepted a program whose checked run trapped.
    Trapped,
}

impl Class {
    /// Every class.
    pub const ALL: [Class; 8] = [
        Class::BothReject,
        Class::SameResult,
        Class::BothAccept,
        Class::Abstained,
        Class::FalseReject,
        Class::UnsafeAccept,
        Class::DifferentResult,
        Class::Trapped,
    ];

    /// In words that fit a table and a file name.
    pub const fn name(self) -> &'static str {
        match self {
            Class::BothReject => "both-reject",
            Class::SameResult => "same-result",
            Class::BothAccept => "both-accept",
            Class::Abstained => "abstained",
            Class::FalseReject => "false-reject",
            Class::UnsafeAccept => "unsafe-accept",
            Class::DifferentResult => "different-result",
            Class::Trapped => "trapped",
        }
    }

    /// Whether it asks for someone's attention.
    pub const fn is_finding(self) -> bool {
        match self {
            Class::BothReject | Class::SameResult | Class::BothAccept | Class::Abstained => false,
            Class::FalseReject | Class::UnsafeAccept | Class::DifferentResult | Class::Trapped => {
                true
            }
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The class of a program's two answers.
pub fn classify(program: &Generated, kernel: &Answer, skep: &Answer) -> Class {
    if let Some(Err(_)) = &skep.run {
        return Class::Trapped;
    }
    match (&kernel.verdict, &skep.verdict) {
        (_, Verdict::Abstained(_)) | (Verdict::Abstained(_), _) => Class::Abstained,
        (Verdict::Rejected(_), Verdict::Rejected(_)) => Class::BothReject,
        (Verdict::Accepted, Verdict::Rejected(_)) => Class::FalseReject,
        (Verdict::Rejected(_), Verdict::Accepted) => Class::UnsafeAccept,
        (Verdict::Accepted, Verdict::Accepted) => {
            match (program.comparable, &kernel.run, &skep.run) {
                (Comparable::No, _, _) => Class::BothAccept,
                (Comparable::Yes, a, b) if a == b => Class::SameResult,
                (Comparable::Yes, _, _) => Class::DifferentResult,
            }
        }
    }
}

/// How two outcomes differ, in a few words.
pub fn difference(kernel: &Answer, skep: &Answer) -> String {
    match (&kernel.run, &skep.run) {
        (Some(Ok(k)), Some(Ok(s))) => {
            let mut parts = Vec::new();
            if k.retval != s.retval {
                parts
                    .push(format!("result {:#x} in the kernel, {:#x} in Skep", k.retval, s.retval));
            }
            if k.packet != s.packet {
                let at = k.packet.iter().zip(&s.packet).position(|(a, b)| a != b);
                parts.push(format!(
                    "packet of {} and {} bytes, first difference {at:?}",
                    k.packet.len(),
                    s.packet.len()
                ));
            }
            for (n, (a, b)) in k.maps.iter().zip(&s.maps).enumerate().filter(|(_, (a, b))| a != b) {
                parts.push(format!("map {n}: {a:x?} in the kernel, {b:x?} in Skep"));
            }
            parts.join("; ")
        }
        (k, s) => format!("kernel {:?}, Skep {:?}", short(k), short(s)),
    }
}

fn short(run: &Option<Result<Outcome, String>>) -> String {
    match run {
        None => "did not run".into(),
        Some(Ok(o)) => format!("gave {:#x}", o.retval),
        Some(Err(why)) => why.clone(),
    }
}
