//! A refusal in plain words: what the registers held, where that came from, and what would help.
//!
//! The facts are the verifier's ([`skep_verifier::diag`]); here they become sentences and source lines.

use crate::diagnostic::{Place, errno_name, place};
use core::fmt::{self, Write as _};
use serde::Serialize;
use skep_elf::Object;
use skep_verifier::Reject;
use skep_verifier::diag::{Advice, Holds, Origin, RegisterFact, Target};

/// A refusal, ready to be shown.
#[derive(Serialize, Clone, Debug)]
pub(crate) struct Explanation {
    /// The reason, as the kernel words it.
    pub(crate) reason: String,
    /// `errno` that the kernel answers.
    pub(crate) errno: String,
    /// Where.
    pub(crate) at: Place,
    /// What the registers in question held.
    pub(crate) registers: Vec<Register>,
    /// What else has to do with it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) related: Vec<Related>,
    /// What would help.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) help: Option<String>,
}

/// A register.
#[derive(Serialize, Clone, Debug)]
pub(crate) struct Register {
    /// `R0` to `R10`.
    pub(crate) name: String,
    /// What it held, in words.
    pub(crate) holds: String,
    /// The same in the notation of the kernel's log.
    pub(crate) state: String,
    /// Where that came from, in words.
    pub(crate) origin: String,
    /// The instruction that made it so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) set_at: Option<Place>,
    /// Of a pointer whose offset varies: where the number came from that it was moved by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) offset: Option<Related>,
}

/// A place that has to do with the refusal.
#[derive(Serialize, Clone, Debug)]
pub(crate) struct Related {
    /// What is there.
    pub(crate) what: String,
    pub(crate) at: Place,
}

impl Explanation {
    pub(crate) fn new(reject: &Reject, object: Option<&Object>, program: &str) -> Explanation {
        let at = |slot| place(object, program, slot);
        let diagnosis = &reject.diagnosis;
        let related = match &diagnosis.advice {
            Some(Advice::Release { acquired }) => acquired
                .iter()
                .map(|slot| Related { what: "acquired here".into(), at: at(*slot) })
                .collect(),
            Some(Advice::ReloadPacket { call }) => {
                vec![Related { what: "the packet may have moved here".into(), at: at(*call) }]
            }
            Some(Advice::Unlock { taken: Some(call) }) => {
                vec![Related { what: "the lock was taken here".into(), at: at(*call) }]
            }
            Some(_) | None => Vec::new(),
        };
        Explanation {
            reason: reject.to_string(),
            errno: errno_name(reject.errno),
            at: at(reject.insn_idx),
            registers: diagnosis
                .registers
                .iter()
                .map(|fact| Register {
                    name: format!("R{}", fact.reg),
                    holds: HoldsText(&fact.holds).to_string(),
                    state: fact.state.clone(),
                    origin: origin_text(&fact.origin),
                    set_at: fact.set_at.map(at),
                    offset: fact.offset.as_ref().and_then(|offset| {
                        let what = format!("its offset: {}", origin_text(&offset.origin));
                        Some(Related { what, at: at(offset.set_at?) })
                    }),
                })
                .collect(),
            related,
            help: diagnosis.advice.as_ref().map(|a| advice_text(a, &diagnosis.registers)),
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = self.reason.lines();
        write!(f, "rejected: {} ({})", lines.next().unwrap_or(""), self.errno)?;
        for line in lines {
            write!(f, "\n          {line}")?;
        }
        self.at.source_lines(f)?;
        write!(f, "\n   = instruction {}", self.at.insn)?;
        if let Some(text) = &self.at.text {
            write!(f, ": {text}")?;
        }
        for reg in &self.registers {
            write!(f, "\n   = {} {}", reg.name, reg.holds)?;
            write!(f, ": {}", reg.origin)?;
            if let Some(at) = &reg.set_at {
                at.source_lines(f)?;
            }
            if let Some(offset) = &reg.offset {
                write!(f, "\n   = {}", offset.what)?;
                offset.at.source_lines(f)?;
            }
        }
        for related in &self.related {
            write!(f, "\n   = {}", related.what)?;
            related.at.source_lines(f)?;
        }
        if let Some(help) = &self.help {
            write!(f, "\n   = help: {help}")?;
        }
        Ok(())
    }
}

impl Place {
    fn source_lines(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(file), Some(line)) = (&self.file, self.line) {
            write!(f, "\n  --> {}:{line}", file.trim_start_matches("./"))?;
        }
        match &self.source {
            Some(source) if !source.is_empty() => write!(f, "\n   | {source}"),
            Some(_) | None => Ok(()),
        }
    }
}

struct HoldsText<'a>(&'a Holds);

impl fmt::Display for HoldsText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Holds::Nothing => f.write_str("holds nothing that may be read"),
            Holds::Constant(v) => write!(f, "is the number {v}"),
            Holds::Number { signed: (i64::MIN, i64::MAX), unsigned: (0, u64::MAX) } => {
                f.write_str("may be any number")
            }
            // Whichever of the two says more.
            Holds::Number { signed: (min, max), unsigned: (low, high) }
                if max.abs_diff(*min) < high.abs_diff(*low) =>
            {
                write!(f, "is a number from {} to {}", Signed(*min), Signed(*max))
            }
            Holds::Number { unsigned: (min, max), .. } => {
                write!(f, "is a number from {min} to {}", Unsigned(*max))
            }
            Holds::Pointer { to, may_be_null, off } => {
                f.write_str(if *may_be_null {
                    "may be NULL, or points to "
                } else {
                    "points to "
                })?;
                match off {
                    (min, max) if *to == Target::Stack && min == max => {
                        return write!(f, "the stack, {} bytes below its top", min.unsigned_abs());
                    }
                    (min, max) if *to == Target::Stack => {
                        let (min, max) = (Signed(*min), Signed(*max));
                        return write!(f, "the stack, from {min} to {max} of its top");
                    }
                    (0, 0) => {}
                    (min, max) if min == max => write!(f, "byte {min} of ")?,
                    (min, max) => write!(f, "byte {} to {} of ", Signed(*min), Signed(*max))?,
                }
                TargetText(to).fmt(f)
            }
        }
    }
}

struct Signed(i64);

impl fmt::Display for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            i64::MIN => f.write_str("the smallest"),
            i64::MAX => f.write_str("the largest"),
            v => v.fmt(f),
        }
    }
}

struct Unsigned(u64);

impl fmt::Display for Unsigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == u64::MAX { f.write_str("the largest") } else { self.0.fmt(f) }
    }
}

struct TargetText<'a>(&'a Target);

impl fmt::Display for TargetText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Target::Context(name) => write!(f, "the context (struct {name})"),
            Target::Map { name } => write!(f, "map '{name}'"),
            Target::MapValue { name, size } => {
                write!(f, "a value of map '{name}', which has {size} bytes")
            }
            Target::MapKey { name, size } => {
                write!(f, "a key of map '{name}', which has {size} bytes")
            }
            Target::Stack => f.write_str("the stack"),
            Target::Packet { checked: 0 } => {
                f.write_str("the packet, of which nothing was compared with its end")
            }
            Target::Packet { checked } => {
                write!(f, "the packet, of which {checked} bytes were compared with its end")
            }
            Target::PacketMeta { checked } => {
                write!(
                    f,
                    "the packet's metadata, of which {checked} bytes were compared with its end"
                )
            }
            Target::PacketEnd => f.write_str("the end of the packet"),
            Target::Memory { size } => write!(f, "memory of {size} bytes"),
            Target::Other(ty) => write!(f, "an object of type '{ty}'"),
        }
    }
}

fn origin_text(origin: &Origin) -> String {
    match origin {
        Origin::Never => "this path never set it".into(),
        Origin::Argument => "the program started with it".into(),
        Origin::CallbackArgument => "the callback was called with it".into(),
        Origin::ContextField { name: "", off } => format!("from the context, byte {off}"),
        Origin::ContextField { name, .. } => format!("from member '{name}' of the context"),
        Origin::Helper { name } => format!("the result of bpf_{name}"),
        Origin::Function => "the result of a call".into(),
        Origin::LostInCall => "a call lost it, as it does R1 to R5".into(),
        Origin::Constant => "a constant".into(),
        Origin::Address => "an address in the program".into(),
        Origin::StackAddress => "the address of a local variable".into(),
        Origin::Memory => "read from memory".into(),
        Origin::Computed => "computed".into(),
    }
}

fn bytes(size: &Option<u32>) -> String {
    size.map_or_else(|| "what it is an offset into".into(), |size| format!("its {size} bytes"))
}

fn advice_text(advice: &Advice, registers: &[RegisterFact]) -> String {
    let fact = |reg: &u8| registers.iter().find(|f| f.reg == *reg);
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = match advice {
        Advice::CheckNull { reg } => {
            text.push_str(
                "compare the pointer with NULL before it is used, and go another way if it is",
            );
            match fact(reg).map(|f| &f.origin) {
                Some(Origin::Helper { name: "map_lookup_elem" }) => {
                    write!(text, "; a lookup gives NULL where the map has no such element")
                }
                Some(Origin::Helper { name }) => {
                    write!(text, "; bpf_{name} gives NULL when it fails")
                }
                Some(_) | None => Ok(()),
            }
        }
        Advice::ReloadPacket { .. } => write!(
            text,
            "read data and data_end from the context again behind that call, and compare anew: it may move the packet"
        ),
        Advice::CheckPacketEnd { bytes } => write!(
            text,
            "before the access, leave unless the packet has the bytes: `if (data + {bytes} > data_end) return …;`"
        ),
        Advice::BoundAbove { size, .. } => write!(
            text,
            "compare it with its upper bound first, so that the access stays within {}: `if (i >= N) return …;` or \
             `i &= N - 1`; compare the same variable that is used, of the same width",
            bytes(size)
        ),
        Advice::BoundBelow { .. } => write!(
            text,
            "it may be negative: make it unsigned, or compare it with 0 too: `if (i < 0 || i >= N) return …;`"
        ),
        Advice::BoundBoth { size, .. } => write!(
            text,
            "it may be negative or too large: make it unsigned or compare it with 0 too, and bound it so that the access \
             stays within {}: `if (i < 0 || i >= N) return …;`",
            bytes(size)
        ),
        Advice::BoundSize { .. } => write!(
            text,
            "the size must be at least 1 and at most that of the memory: `if (len == 0 || len > sizeof(buf)) return …;`"
        ),
        Advice::StayInside { size } => write!(
            text,
            "access only what is there: the offset must lie within {}",
            match size {
                Some(512) => "the stack, 512 bytes below its top".to_owned(),
                size => bytes(size),
            }
        ),
        Advice::InitialiseStack => write!(
            text,
            "write all bytes first, padding too: `struct key key = {{}};` or memset(&key, 0, sizeof(key))"
        ),
        Advice::Initialise { .. } => write!(text, "give it a value on every path that leads here"),
        Advice::KeepOverCall { .. } => {
            write!(text, "keep the value in R6 to R9 or on the stack; a call loses R1 to R5")
        }
        Advice::NotAPointer { .. } => write!(
            text,
            "a number is no address; pass or keep the address itself: what is read from plain memory is a number"
        ),
        Advice::BoundLoop => write!(
            text,
            "give the loop a bound that does not depend on what cannot be known: a counter that is compared with a \
             constant, bpf_loop(), or bpf_for()"
        ),
        Advice::OtherHelper => write!(
            text,
            "use a helper that programs of this type have (`skep features` lists them), or another type of program"
        ),
        Advice::Licence => write!(
            text,
            "declare a GPL-compatible licence, such as `char LICENSE[] SEC(\"license\") = \"Dual MIT/GPL\";`, or do \
             without the helper"
        ),
        Advice::LessStack => write!(
            text,
            "all functions on the way share 512 bytes: move large variables into a per-CPU array of one element, or \
             let functions share them"
        ),
        Advice::CallLessDeep => {
            write!(
                text,
                "at most 8 functions may be active at once: join some of them (`__always_inline`)"
            )
        }
        Advice::Align { size } => write!(
            text,
            "access {size} bytes only at a multiple of {size}, or byte by byte (memcpy of a packed structure)"
        ),
        Advice::WriteElsewhere => write!(
            text,
            "programs may not change this map: write to another one; constants (.rodata) are set by the loader"
        ),
        Advice::ReadElsewhere => {
            write!(text, "programs may not read this map: keep what they need in another one")
        }
        Advice::ContextMember => write!(
            text,
            "access one whole member of the context, and write only members that programs of this type may write"
        ),
        Advice::Return { min, max } if max - min == 1 => {
            write!(text, "return {min} or {max}")
        }
        Advice::Return { min, max } => write!(text, "return a number from {min} to {max}"),
        Advice::NoArithmetic => {
            write!(
                text,
                "this pointer may not be moved: copy what it points to, or compute with numbers"
            )
        }
        Advice::RemoveDeadCode => write!(text, "nothing leads there: remove it, or jump to it"),
        Advice::EndWithExit => write!(
            text,
            "every function must end with an exit or a jump back: a C function without `return` runs off its end"
        ),
        Advice::KeepAddress => write!(
            text,
            "without CAP_PERFMON a program may not tell addresses: store what the pointer points to instead"
        ),
        Advice::Release { .. } => write!(
            text,
            "give back what was acquired on every path, also where something else fails, before the program ends"
        ),
        Advice::Unlock { .. } => write!(text, "release the lock before this, on every path"),
        Advice::OneLock => write!(text, "take a lock only when none is held; release it first"),
    };
    text
}
