//! [`Verdict`]: what a program's return value means for its packet.

use skep_abi::uapi;

/// What happens to the packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    /// It goes on, here or elsewhere.
    Passes,
    /// It goes on, but only its first bytes (socket filters).
    PassesUpTo(u32),
    /// It ends here.
    Ends,
}

/// A return value, understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Verdict {
    /// Name, as the programs spell it.
    pub(crate) name: &'static str,
    pub(crate) fate: Fate,
}

/// Program types whose return value is about a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PacketProgram {
    SocketFilter,
    /// Classifiers and actions of traffic control.
    SchedCls,
    Xdp,
}

impl PacketProgram {
    /// From `BPF_PROG_TYPE_*`; `None` for types that do not run on packets.
    pub(crate) fn from_type(prog_type: u32) -> Option<Self> {
        match prog_type {
            uapi::BPF_PROG_TYPE_SOCKET_FILTER => Some(Self::SocketFilter),
            uapi::BPF_PROG_TYPE_SCHED_CLS | uapi::BPF_PROG_TYPE_SCHED_ACT => Some(Self::SchedCls),
            uapi::BPF_PROG_TYPE_XDP => Some(Self::Xdp),
            _ => None,
        }
    }

    /// What the return value says about a packet.
    pub(crate) fn verdict(self, value: u32) -> Verdict {
        let (name, fate) = match self {
            Self::SocketFilter => match value {
                0 => ("dropped", Fate::Ends),
                len => ("accepted", Fate::PassesUpTo(len)),
            },
            // What the kernel does not know it takes for XDP_ABORTED.
            Self::Xdp => match value {
                uapi::XDP_ABORTED => ("XDP_ABORTED", Fate::Ends),
                uapi::XDP_DROP => ("XDP_DROP", Fate::Ends),
                uapi::XDP_PASS => ("XDP_PASS", Fate::Passes),
                uapi::XDP_TX => ("XDP_TX", Fate::Passes),
                uapi::XDP_REDIRECT => ("XDP_REDIRECT", Fate::Passes),
                _ => ("invalid XDP action", Fate::Ends),
            },
            // The same for TC_ACT_UNSPEC, as `tcx_action_code` has it.
            Self::SchedCls => match value.cast_signed() {
                -1 => ("TC_ACT_UNSPEC", Fate::Passes),
                0 => ("TC_ACT_OK", Fate::Passes),
                1 => ("TC_ACT_RECLASSIFY", Fate::Passes),
                2 => ("TC_ACT_SHOT", Fate::Ends),
                3 => ("TC_ACT_PIPE", Fate::Passes),
                4 => ("TC_ACT_STOLEN", Fate::Ends),
                5 => ("TC_ACT_QUEUED", Fate::Ends),
                6 => ("TC_ACT_REPEAT", Fate::Passes),
                7 => ("TC_ACT_REDIRECT", Fate::Passes),
                8 => ("TC_ACT_TRAP", Fate::Ends),
                _ => ("unknown tc action", Fate::Passes),
            },
        };
        Verdict { name, fate }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_have_their_names() {
        let name = |program: PacketProgram, value| program.verdict(value).name;
        assert_eq!(name(PacketProgram::Xdp, 0), "XDP_ABORTED");
        assert_eq!(name(PacketProgram::Xdp, 3), "XDP_TX");
        assert_eq!(name(PacketProgram::Xdp, 99), "invalid XDP action");
        assert_eq!(name(PacketProgram::SchedCls, u32::MAX), "TC_ACT_UNSPEC");
        assert_eq!(name(PacketProgram::SchedCls, 2), "TC_ACT_SHOT");
        assert_eq!(PacketProgram::Xdp.verdict(1).fate, Fate::Ends);
        assert_eq!(PacketProgram::Xdp.verdict(4).fate, Fate::Passes);
        assert_eq!(PacketProgram::SocketFilter.verdict(0).fate, Fate::Ends);
        assert_eq!(PacketProgram::SocketFilter.verdict(96).fate, Fate::PassesUpTo(96));
        assert_eq!(PacketProgram::from_type(uapi::BPF_PROG_TYPE_KPROBE), None);
    }
}
