//! What is known of a pointer beside where it points: [`PtrFlags`], [`BtfType`], [`SockKind`], [`DynptrKind`].

use core::fmt;

/// Properties of a pointer (the modifiers of `enum bpf_type_flag`), as a set.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub(crate) struct PtrFlags(u16);

impl PtrFlags {
    /// None.
    pub(crate) const NONE: PtrFlags = PtrFlags(0);
    /// NULL unless a comparison says otherwise (`PTR_MAYBE_NULL`).
    pub(crate) const MAYBE_NULL: PtrFlags = PtrFlags(1);
    /// Memory that is only read (`MEM_RDONLY`).
    pub(crate) const RDONLY: PtrFlags = PtrFlags(1 << 1);
    /// A ring buffer's record (`MEM_RINGBUF`).
    pub(crate) const RINGBUF: PtrFlags = PtrFlags(1 << 2);
    /// User memory (`MEM_USER`).
    pub(crate) const USER: PtrFlags = PtrFlags(1 << 3);
    /// Each CPU has its own (`MEM_PERCPU`).
    pub(crate) const PERCPU: PtrFlags = PtrFlags(1 << 4);
    /// Maybe gone: may be read, with faults caught, and nothing else (`PTR_UNTRUSTED`).
    pub(crate) const UNTRUSTED: PtrFlags = PtrFlags(1 << 5);
    /// Allocated by the program (`MEM_ALLOC`).
    pub(crate) const ALLOC: PtrFlags = PtrFlags(1 << 6);
    /// Valid while its container's lock is held, but not the program's own (`NON_OWN_REF`).
    pub(crate) const NON_OWN: PtrFlags = PtrFlags(1 << 7);
    /// Valid within an RCU read section (`MEM_RCU`).
    pub(crate) const RCU: PtrFlags = PtrFlags(1 << 8);
    /// Surely valid (`PTR_TRUSTED`).
    pub(crate) const TRUSTED: PtrFlags = PtrFlags(1 << 9);
    /// Part of a packet, which changes of the packet invalidate (`DYNPTR_TYPE_SKB` and the like).
    pub(crate) const PKT_SLICE: PtrFlags = PtrFlags(1 << 10);

    /// Whether all of `other` are in it.
    pub(crate) const fn has(self, other: PtrFlags) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether some of `other` are in it.
    pub(crate) const fn has_any(self, other: PtrFlags) -> bool {
        self.0 & other.0 != 0
    }

    /// Both sets.
    pub(crate) const fn with(self, other: PtrFlags) -> PtrFlags {
        PtrFlags(self.0 | other.0)
    }

    /// This set without the other.
    pub(crate) const fn without(self, other: PtrFlags) -> PtrFlags {
        PtrFlags(self.0 & !other.0)
    }
}

/// A type in one of the BTFs that a verification knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub(crate) struct BtfType {
    /// Whose.
    pub(crate) btf: BtfOwner,
    /// Type id there.
    pub(crate) id: u32,
}

/// Whose BTF a type is in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub(crate) enum BtfOwner {
    /// The kernel's.
    Kernel,
    /// Of the kernel module at that index of the load's fd array.
    Module(u16),
    /// The program's own.
    Program,
    /// Of the program that is attached to.
    Target,
}

/// Sort of socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub(crate) enum SockKind {
    /// `struct bpf_sock` of a full socket (`PTR_TO_SOCKET`).
    Full,
    /// `struct bpf_sock` of any socket, request or time-wait socket (`PTR_TO_SOCK_COMMON`).
    Common,
    /// `struct bpf_tcp_sock` (`PTR_TO_TCP_SOCK`).
    Tcp,
    /// `struct bpf_xdp_sock` (`PTR_TO_XDP_SOCK`).
    Xdp,
}

impl SockKind {
    /// The kernel's name, as in messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            SockKind::Full => "sock",
            SockKind::Common => "sock_common",
            SockKind::Tcp => "tcp_sock",
            SockKind::Xdp => "xdp_sock",
        }
    }
}

/// What a dynptr points into (`enum bpf_dynptr_type`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub(crate) enum DynptrKind {
    /// Memory of the program's own: a map's value.
    Local,
    /// A ring buffer's record.
    Ringbuf,
    /// A socket buffer's packet.
    Skb,
    /// An XDP packet.
    Xdp,
    /// A socket buffer's metadata.
    SkbMeta,
}

/// A pointer's type as the kernel's messages name it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TypeText {
    pub(crate) base: &'static str,
    pub(crate) flags: PtrFlags,
}

impl fmt::Display for TypeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefixes = [
            (PtrFlags::RDONLY, "rdonly_"),
            (PtrFlags::RINGBUF, "ringbuf_"),
            (PtrFlags::USER, "user_"),
            (PtrFlags::PERCPU, "percpu_"),
            (PtrFlags::RCU, "rcu_"),
            (PtrFlags::UNTRUSTED, "untrusted_"),
            (PtrFlags::TRUSTED, "trusted_"),
        ];
        for (_, text) in prefixes.iter().filter(|(flag, _)| self.flags.has(*flag)) {
            f.write_str(text)?;
        }
        f.write_str(self.base)?;
        if self.flags.has(PtrFlags::MAYBE_NULL) {
            f.write_str(if self.base == "ptr_" { "or_null_" } else { "_or_null" })?;
        }
        Ok(())
    }
}
