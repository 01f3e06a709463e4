//! [`ProgEnv`]: what the verifier may ask about one program's surroundings.

use crate::helper::{self, Caller};
use crate::kfunc;
use crate::prog_type::ProgType;
use skep_abi::uapi::BPF_PROG_TYPE_EXT;
use skep_btf::{Btf, TypeId};
use skep_maps::{MapOps, Slot};
use skep_verifier::env::{
    Env, HelperLookup, INTERNAL_HELPER_BASE, KfuncLookup, MapProps, Privilege, ProgTypeProps,
    TargetProg,
};
use std::sync::Arc;

/// Whether a program was written as eBPF.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Origin {
    /// It was.
    Extended,
    /// It was translated from classic BPF, which may use what ancillary loads need.
    Classic,
}

/// `BPF_F_RDONLY_PROG`.
const RDONLY_PROG: u32 = 1 << 7;

pub(crate) struct ProgEnv {
    kind: &'static ProgType,
    props: ProgTypeProps,
    attach_type: u32,
    maps: Vec<MapProps>,
    btf: Option<Arc<Btf>>,
    kernel_btf: Option<Arc<Btf>>,
    origin: Origin,
    privilege: Privilege,
    /// Name of what the program attaches to, in the kernel's types.
    target: Option<String>,
    /// The program that it attaches to.
    attached: Option<AttachedTo>,
}

/// What surrounds a program, as [`ProgEnv::new`] takes it.
pub(crate) struct Surroundings {
    pub(crate) expected_attach_type: u32,
    pub(crate) attach_btf_id: u32,
    pub(crate) maps: Vec<MapProps>,
    pub(crate) btf: Option<Arc<Btf>>,
    pub(crate) kernel_btf: Option<Arc<Btf>>,
    pub(crate) origin: Origin,
    pub(crate) privilege: Privilege,
    /// The program that this one attaches to.
    pub(crate) attached: Option<AttachedTo>,
}

/// A program that another one attaches to.
#[derive(Clone, Debug)]
pub(crate) struct AttachedTo {
    /// What the verifier must know of it.
    pub(crate) prog: TargetProg,
    /// Its type.
    pub(crate) kind: &'static ProgType,
}

impl ProgEnv {
    pub(crate) fn new(kind: &'static ProgType, around: Surroundings) -> ProgEnv {
        let Surroundings {
            expected_attach_type,
            attach_btf_id,
            maps,
            btf,
            kernel_btf,
            origin,
            privilege,
            attached,
        } = around;
        let props = kind.props_at(expected_attach_type);
        let kernel = kernel_btf.as_ref().filter(|_| attached.is_none());
        let target = kernel.and_then(|btf| btf.type_by_id(TypeId(attach_btf_id)));
        let target = target.map(|t| match t.as_composite() {
            Some(ops) => {
                let member = usize::try_from(expected_attach_type).ok();
                let member = member.and_then(|n| ops.members.get(n)).map_or("", |m| m.name);
                format!("{}.{member}", t.name())
            }
            None => t.name().to_owned(),
        });
        ProgEnv {
            kind,
            props,
            attach_type: expected_attach_type,
            maps,
            btf,
            kernel_btf,
            origin,
            privilege,
            target,
            attached,
        }
    }
}

/// What the verifier must know of a map that exists.
pub(crate) fn map_props(map: &dyn MapOps) -> MapProps {
    let spec = map.spec();
    let direct_value = map.direct_values().is_some();
    let constant = direct_value && map.is_frozen() && spec.flags & RDONLY_PROG != 0;
    let frozen_data = constant.then(|| {
        let mut data = vec![0; map.user_value_size()];
        map.user_lookup(&0u32.to_ne_bytes(), &mut data, 0).ok().map(|()| data)
    });
    MapProps {
        map_type: spec.map_type,
        name: spec.name.clone(),
        key_size: spec.key_size,
        value_size: spec.value_size,
        max_entries: spec.max_entries,
        flags: spec.flags,
        frozen_data: frozen_data.flatten(),
        direct_value,
        inner: None,
        fields: Vec::new(),
        types: None,
    }
}

impl Env for ProgEnv {
    fn prog_type(&self) -> &ProgTypeProps {
        &self.props
    }

    fn helper(&self, id: i32) -> HelperLookup<'_> {
        if id >= INTERNAL_HELPER_BASE && self.origin == Origin::Extended {
            return HelperLookup::Unknown;
        }
        // An extension may do what its target may.
        let extended =
            self.attached.as_ref().filter(|_| self.kind.props.prog_type == BPF_PROG_TYPE_EXT);
        let (types, attach_type) = match extended {
            Some(of) => (of.kind.set, of.prog.expected_attach_type),
            None => (self.kind.set, self.attach_type),
        };
        let caller = Caller { types, attach_type, target: self.target.as_deref() };
        helper::lookup(id, &caller)
    }

    fn map(&self, idx: u32) -> Option<&MapProps> {
        self.maps.get(idx as usize)
    }

    fn btf(&self) -> Option<&Btf> {
        self.btf.as_deref()
    }

    fn kernel_btf(&self) -> Option<&Btf> {
        self.kernel_btf.as_deref()
    }

    fn target(&self) -> Option<&TargetProg> {
        self.attached.as_ref().map(|of| &of.prog)
    }

    fn kfunc(&self, name: &str) -> KfuncLookup<'_> {
        let extended =
            self.attached.as_ref().filter(|_| self.kind.props.prog_type == BPF_PROG_TYPE_EXT);
        let (prog_type, attach_type) = match extended {
            Some(of) => (of.prog.props.prog_type, of.prog.expected_attach_type),
            None => (self.props.prog_type, self.attach_type),
        };
        kfunc::lookup(name, prog_type, attach_type)
    }

    fn cpus(&self) -> u32 {
        Slot::count()
    }

    fn privilege(&self) -> Privilege {
        self.privilege
    }
}
