//! Findings as text files: a header of `name: value` lines, then the program for people to read.

use std::fmt::Write as _;

use skep_abi::insn::{RawInsn, decode, disasm, encode};

use super::campaign::Finding;
use super::{Verdict, difference};
use crate::generate::{Comparable, Flavor, Generated, Runs};

/// Everything that is needed to look at a finding again.
pub fn to_text(finding: &Finding) -> String {
    let mut text = String::new();
    let p = &finding.program;
    let line = |v: &Verdict| match v {
        Verdict::Accepted => "accepted".to_owned(),
        Verdict::Rejected(why) => format!("rejected: {why}"),
        Verdict::Abstained(why) => format!("cannot tell: {why}"),
    };
    let runs = match (finding.kernel.run == finding.skep.run, p.comparable) {
        (true, _) => "equal".to_owned(),
        (false, Comparable::Yes) => difference(&finding.kernel, &finding.skep),
        (false, Comparable::No) => "not comparable".to_owned(),
    };
    let bytes: Vec<u8> = encode(&p.insns).iter().flat_map(|i| i.to_le_bytes()).collect();
    for (name, value) in [
        ("class", finding.class.to_string()),
        ("seed", finding.seed.to_string()),
        ("type", p.flavor.name().to_owned()),
        ("kernel", line(&finding.kernel.verdict)),
        ("skep", line(&finding.skep.verdict)),
        ("runs", runs),
        ("globals", p.globals.iter().map(|g| if *g { '1' } else { '0' }).collect()),
        ("judged", if p.runs == Runs::Yes { "and run" } else { "only" }.to_owned()),
        ("packet", hex(&p.packet)),
        ("bytes", hex(&bytes)),
    ] {
        let _ = writeln!(text, "{name}: {value}");
    }
    text.push_str(&disasm::disasm_program(&p.insns, &disasm::NoNames));
    text
}

/// The program of a file that [`to_text`] made.
///
/// # Errors
/// Names the header line that is missing or wrong.
pub fn parse(text: &str) -> Result<Generated, String> {
    let field = |name: &str| {
        text.lines()
            .find_map(|l| l.strip_prefix(name)?.strip_prefix(": "))
            .ok_or_else(|| format!("there is no line '{name}: …'"))
    };
    let flavors = [Flavor::SocketFilter, Flavor::SchedCls, Flavor::Xdp];
    let type_name = field("type")?;
    let flavor = flavors
        .into_iter()
        .find(|f| f.name() == type_name)
        .ok_or_else(|| format!("'{type_name}' is no type of generated programs"))?;
    let raw: Vec<RawInsn> = unhex("bytes", field("bytes")?)?
        .chunks_exact(RawInsn::SIZE)
        .map(|c| RawInsn::from_le_bytes([c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]]))
        .collect();
    let insns = decode(&raw).map_err(|e| format!("bytes: {e}"))?;
    let comparable = match field("runs")? {
        "not comparable" => Comparable::No,
        _ => Comparable::Yes,
    };
    let globals = field("globals")?.chars().map(|c| c == '1').collect();
    let runs = if field("judged")? == "only" { Runs::No } else { Runs::Yes };
    let packet = unhex("packet", field("packet")?)?;
    Ok(Generated { flavor, insns, packet, comparable, globals, runs })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(name: &str, text: &str) -> Result<Vec<u8>, String> {
    let digit = |c: &u8| char::from(*c).to_digit(16);
    text.as_bytes()
        .chunks(2)
        .map(|pair| {
            let number = pair.iter().try_fold(0, |n, c| Some(n * 16 + digit(c)?));
            number.map(|n| n as u8).ok_or_else(|| format!("{name}: not hexadecimal"))
        })
        .collect()
}
