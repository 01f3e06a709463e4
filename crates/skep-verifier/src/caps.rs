//! Who loads: [`Caps`], and [`Rights`], what Linux 6.18 makes of them for one verification.
//!
//! Neighbours: `env` hands the capabilities in, nearly every check asks for a right.

use core::ops::BitOr;

/// A set of capabilities, of those that bpf(2) asks for (capabilities(7)).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub struct Caps(u8);

impl Caps {
    /// None: an ordinary user.
    pub const NONE: Caps = Caps(0);
    /// `CAP_BPF`: loops, functions, precision; most program types.
    pub const BPF: Caps = Caps(1);
    /// `CAP_PERFMON`: addresses may be seen, no protection against speculation.
    pub const PERFMON: Caps = Caps(2);
    /// `CAP_NET_ADMIN`: program types of the network.
    pub const NET_ADMIN: Caps = Caps(4);
    /// `CAP_SYS_ADMIN`: stands for all the others.
    pub const SYS_ADMIN: Caps = Caps(8);
    /// All of them.
    pub const ALL: Caps = Caps(15);

    /// Whether it allows what needs all of `needed` (`bpf_token_capable`): CAP_SYS_ADMIN allows everything.
    pub const fn allows(self, needed: Caps) -> bool {
        self.0 & needed.0 == needed.0 || self.0 & Caps::SYS_ADMIN.0 != 0
    }
}

impl BitOr for Caps {
    type Output = Caps;

    fn bitor(self, other: Caps) -> Caps {
        Caps(self.0 | other.0)
    }
}

/// What a loader may (`struct bpf_verifier_env`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Rights {
    /// CAP_BPF: loops, functions, numbers that are not all precise.
    pub(crate) bpf_capable: bool,
    /// Addresses may leave the program.
    pub(crate) allow_ptr_leaks: bool,
    /// Stack that was never written may be read.
    pub(crate) allow_uninit_stack: bool,
    /// No protection against mispredicted branches.
    pub(crate) bypass_spec_v1: bool,
    /// No protection against loads that pass older stores.
    pub(crate) bypass_spec_v4: bool,
}

impl Rights {
    pub(crate) fn of(caps: Caps) -> Rights {
        let perfmon = caps.allows(Caps::PERFMON);
        Rights {
            bpf_capable: caps.allows(Caps::BPF),
            allow_ptr_leaks: perfmon,
            allow_uninit_stack: perfmon,
            bypass_spec_v1: perfmon,
            bypass_spec_v4: perfmon,
        }
    }
}
