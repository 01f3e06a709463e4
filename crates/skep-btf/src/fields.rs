//! [`fields`]: members of a struct that only the kernel may touch: locks, timers, kernel pointers, lists and trees.
//!
//! The kernel creates a map whose value breaks these rules, and refuses the programs that would use its special
//! members; BTF with such a struct, if it has a lock, list, tree or reference count, is refused when it is loaded.
//!
//! Source: `btf_parse_fields` and `btf_find_field`, kernel/bpf/btf.c of Linux 6.18; Documentation/bpf/graph_ds_impl.rst.

use core::fmt;
use std::collections::{BTreeMap, HashSet};

use skep_abi::Errno;

use crate::btf::Btf;
use crate::error::BtfError;
use crate::types::{Composite, Kind, Type, TypeId, TypeView};

/// Most special members in one struct (`BTF_FIELDS_MAX`).
const MAX_FIELDS: usize = 11;
/// How deep nested structs are searched (`MAX_RESOLVE_DEPTH`).
const MAX_DEPTH: u32 = 32;

macro_rules! structs {
    ($($variant:ident = $name:literal, $size:literal, $align:literal, $doc:literal;)*) => {
        /// What a special member is.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        pub enum FieldKind {
            $(#[doc = $doc] $variant,)*
            /// Pointer tagged `kptr_untrusted`.
            KptrUntrusted,
            /// Pointer tagged `kptr`: owns a reference.
            Kptr,
            /// Pointer tagged `percpu_kptr`.
            PercpuKptr,
            /// Pointer tagged `uptr`: to a user page.
            Uptr,
        }

        impl FieldKind {
            /// The kind, size and alignment in bytes of a struct with this name.
            fn of_struct(name: &str) -> Option<(FieldKind, u32, u32)> {
                match name { $($name => Some((FieldKind::$variant, $size, $align)),)* _ => None }
            }

            /// The struct's name, or the pointer's tag.
            pub const fn name(self) -> &'static str {
                match self {
                    $(FieldKind::$variant => $name,)*
                    FieldKind::KptrUntrusted => "kptr_untrusted",
                    FieldKind::Kptr => "kptr",
                    FieldKind::PercpuKptr => "percpu_kptr",
                    FieldKind::Uptr => "uptr",
                }
            }
        }
    };
}

structs! {
    SpinLock = "bpf_spin_lock", 4, 4, "`struct bpf_spin_lock`";
    ResSpinLock = "bpf_res_spin_lock", 4, 4, "`struct bpf_res_spin_lock`";
    Timer = "bpf_timer", 16, 8, "`struct bpf_timer`";
    Workqueue = "bpf_wq", 16, 8, "`struct bpf_wq`";
    TaskWork = "bpf_task_work", 8, 8, "`struct bpf_task_work`";
    ListHead = "bpf_list_head", 16, 8, "`struct bpf_list_head`";
    ListNode = "bpf_list_node", 24, 8, "`struct bpf_list_node`";
    RbRoot = "bpf_rb_root", 16, 8, "`struct bpf_rb_root`";
    RbNode = "bpf_rb_node", 32, 8, "`struct bpf_rb_node`";
    Refcount = "bpf_refcount", 4, 4, "`struct bpf_refcount`";
}

impl FieldKind {
    /// Whether a struct may have only one.
    const fn is_unique(self) -> bool {
        matches!(
            self,
            FieldKind::SpinLock
                | FieldKind::ResSpinLock
                | FieldKind::Timer
                | FieldKind::Workqueue
                | FieldKind::TaskWork
                | FieldKind::Refcount
        )
    }

    /// Pointer of any tag.
    pub const fn is_pointer(self) -> bool {
        matches!(
            self,
            FieldKind::KptrUntrusted | FieldKind::Kptr | FieldKind::PercpuKptr | FieldKind::Uptr
        )
    }

    /// Head of a list or root of a tree.
    pub const fn is_graph_root(self) -> bool {
        matches!(self, FieldKind::ListHead | FieldKind::RbRoot)
    }

    /// Node of a list or tree.
    const fn is_graph_node(self) -> bool {
        matches!(self, FieldKind::ListNode | FieldKind::RbNode)
    }

    /// Whether the kernel looks for it there.
    const fn is_in(self, scope: Scope) -> bool {
        match scope {
            Scope::MapValue => !self.is_graph_node(),
            Scope::Allocated => !matches!(
                self,
                FieldKind::Timer | FieldKind::Workqueue | FieldKind::TaskWork | FieldKind::Uptr
            ),
        }
    }
}

/// Where a struct is used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// As the value of a map, or as a data section.
    MapValue,
    /// For `bpf_obj_new`.
    Allocated,
}

/// One special member.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Field {
    /// What it is.
    pub kind: FieldKind,
    /// Offset in bytes.
    pub offset: u32,
    /// Size in bytes.
    pub size: u32,
    /// What a pointer points to, or a list or tree contains.
    pub target: Option<FieldTarget>,
}

/// What a pointer points to, or a list or tree contains.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FieldTarget {
    /// A struct.
    pub ty: TypeId,
    /// For lists and trees: offset in bytes of the node in the struct.
    pub node_offset: u32,
}

/// Why a struct's special members are wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FieldError {
    /// A type is broken.
    Btf(BtfError),
    /// A member is wrong.
    Member {
        /// What it is.
        kind: FieldKind,
        /// Its offset in bytes.
        offset: u32,
        /// What is wrong.
        fault: FieldFault,
    },
    /// A pointer has a tag that means nothing here.
    UnknownTag {
        /// The tag.
        tag: String,
        /// The pointer's offset in bytes.
        offset: u32,
    },
    /// More than eleven special members.
    TooMany,
    /// Structs are nested too deeply.
    TooDeep(TypeId),
}

/// What is wrong with a special member.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FieldFault {
    /// There may be only one.
    Duplicate,
    /// It is not aligned.
    Misaligned,
    /// It overlaps another one.
    Overlap,
    /// It ends after the value.
    OutOfValue,
    /// It may not be in an array.
    InArray,
    /// The list or tree has no `contains:STRUCT:NODE` tag.
    Contains,
    /// The struct that the tag names does not exist.
    NoSuchStruct,
    /// The node that the tag names is not in the struct.
    NoSuchNode,
    /// The node that the tag names has another type, or is not aligned.
    Node,
    /// The pointer has more than one tag.
    TwoTags,
    /// The pointer does not point to a struct.
    NotStruct,
    /// A list or tree needs a lock beside it.
    NeedsLock,
    /// A struct with nodes of both a list and a tree needs a reference count.
    NeedsRefcount,
    /// There is a lock of the other kind.
    TwoLocks,
}

impl FieldError {
    /// The error number that the kernel gives.
    pub fn errno(&self) -> Errno {
        match self {
            FieldError::Btf(error) => error.errno(),
            FieldError::TooMany | FieldError::TooDeep(_) => Errno::E2BIG,
            FieldError::UnknownTag { .. } => Errno::EINVAL,
            FieldError::Member { fault, .. } => match fault {
                FieldFault::Duplicate => Errno::E2BIG,
                FieldFault::Overlap => Errno::EEXIST,
                FieldFault::OutOfValue | FieldFault::Misaligned => Errno::EFAULT,
                FieldFault::NoSuchStruct | FieldFault::NoSuchNode => Errno::ENOENT,
                FieldFault::InArray
                | FieldFault::Contains
                | FieldFault::Node
                | FieldFault::TwoTags
                | FieldFault::NotStruct
                | FieldFault::NeedsLock
                | FieldFault::NeedsRefcount
                | FieldFault::TwoLocks => Errno::EINVAL,
            },
        }
    }
}

impl From<BtfError> for FieldError {
    fn from(error: BtfError) -> FieldError {
        FieldError::Btf(error)
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FieldError::Btf(error) => write!(f, "{error}"),
            FieldError::Member { kind, offset, fault } => {
                write!(f, "{} at offset {offset}: ", kind.name())?;
                f.write_str(match fault {
                    FieldFault::Duplicate => "there may be only one",
                    FieldFault::Misaligned => "is not aligned",
                    FieldFault::Overlap => "overlaps another special member",
                    FieldFault::OutOfValue => "ends after the value",
                    FieldFault::InArray => "may not be in an array",
                    FieldFault::Contains => "needs a declaration tag \"contains:STRUCT:NODE\"",
                    FieldFault::NoSuchStruct => "its tag names a struct that does not exist",
                    FieldFault::NoSuchNode => "its tag names a node that the struct does not have",
                    FieldFault::Node => "its tag names no aligned node of the right type",
                    FieldFault::TwoTags => "the pointer has more than one tag",
                    FieldFault::NotStruct => "does not point to a struct",
                    FieldFault::NeedsLock => "needs a lock in the same value",
                    FieldFault::NeedsRefcount => {
                        "with nodes of a list and of a tree, a bpf_refcount is needed"
                    }
                    FieldFault::TwoLocks => "there is also a lock of the other kind",
                })
            }
            FieldError::UnknownTag { tag, offset } => {
                write!(f, "pointer at offset {offset} has an unknown type tag '{tag}'")
            }
            FieldError::TooMany => write!(f, "more than {MAX_FIELDS} special members"),
            FieldError::TooDeep(id) => write!(f, "type [{id}] is nested too deeply"),
        }
    }
}

impl core::error::Error for FieldError {}

/// Finds the special members of a struct or data section, in order of their offsets. `value_size` is the size of the
/// map's value in bytes. Types other than structs and data sections have none.
///
/// # Errors
/// [`FieldError`]
pub fn fields(
    btf: &Btf,
    id: TypeId,
    value_size: u32,
    scope: Scope,
) -> Result<Vec<Field>, FieldError> {
    let mut finder = Finder { btf, scope, found: Vec::new(), barren: HashSet::new() };
    let Some(ty) = btf.skip_typedefs_and_modifiers(id) else { return Ok(Vec::new()) };
    match ty.view() {
        TypeView::Struct(fields) => finder.in_struct(ty, fields, 0, Copies::One, 0)?,
        TypeView::Datasec(sec) => {
            for var in sec.vars.iter() {
                let declared = Declared { on: var.ty, component: None };
                let of = btf.get(var.ty)?.referenced().unwrap_or_default();
                finder.member(of, declared, var.offset, Copies::One, 0)?;
            }
        }
        _ => return Ok(Vec::new()),
    }
    let found = finder.found;
    check(&found, value_size)?;
    Ok(found)
}

/// Special members of structs, by type id.
pub type StructFields = BTreeMap<TypeId, Vec<Field>>;

/// Looks into every struct of its own; one that breaks the rules cannot be allocated and has no record.
pub(crate) fn of_allocated(btf: &Btf) -> StructFields {
    let structs = btf.own_types().filter(|t| matches!(t.view(), TypeView::Struct(_)));
    let found = structs.filter_map(|ty| {
        let size = u32::try_from(btf.size_of(ty.id()).ok()?).ok()?;
        let found = fields(btf, ty.id(), size, Scope::Allocated).ok()?;
        (!found.is_empty()).then_some((ty.id(), found))
    });
    found.collect()
}

/// Where a declaration tag would be.
#[derive(Clone, Copy)]
struct Declared {
    on: TypeId,
    component: Option<u32>,
}

/// Whether a member is alone or in an array.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Copies {
    One,
    Array,
}

struct Finder<'a> {
    btf: &'a Btf,
    scope: Scope,
    found: Vec<Field>,
    /// Structs in which there is nothing to find: looked into once, however often they are nested.
    barren: HashSet<TypeId>,
}

fn wrong(kind: FieldKind, offset: u32, fault: FieldFault) -> FieldError {
    FieldError::Member { kind, offset, fault }
}

impl Finder<'_> {
    fn in_struct(
        &mut self,
        ty: Type<'_>,
        fields: Composite<'_>,
        base: u32,
        copies: Copies,
        depth: u32,
    ) -> Result<(), FieldError> {
        if depth >= MAX_DEPTH {
            return Err(FieldError::TooDeep(ty.id()));
        }
        if self.barren.contains(&ty.id()) {
            return Ok(());
        }
        let before = self.found.len();
        for (index, m) in fields.members.iter().enumerate() {
            if m.bitfield_bits != 0 || m.bit_offset % 8 != 0 {
                continue;
            }
            let declared = Declared { on: ty.id(), component: u32::try_from(index).ok() };
            let offset = base.saturating_add(m.bit_offset / 8);
            self.member(m.ty, declared, offset, copies, depth)?;
        }
        if self.found.len() == before {
            self.barren.insert(ty.id());
        }
        Ok(())
    }

    fn member(
        &mut self,
        id: TypeId,
        declared: Declared,
        offset: u32,
        copies: Copies,
        depth: u32,
    ) -> Result<(), FieldError> {
        // Arrays of special members count as that many of them.
        let mut elem = id;
        let mut count = 1u64;
        for _ in 0..MAX_DEPTH {
            let Some(array) = self.btf.get(elem)?.as_array() else { break };
            count = count.saturating_mul(u64::from(array.nelems));
            elem = array.elem;
        }
        if count == 0 {
            return Ok(());
        }
        let copies = if count > 1 { Copies::Array } else { copies };
        let before = self.found.len();
        self.one(elem, declared, offset, copies, depth)?;
        let one: Vec<Field> = self.found.get(before..).unwrap_or(&[]).to_vec();
        if one.is_empty() || count == 1 {
            return Ok(());
        }
        let stride = u32::try_from(self.btf.size_of(elem)?).unwrap_or(u32::MAX);
        for nth in 1..count {
            if self.found.len() + one.len() > MAX_FIELDS {
                return Err(FieldError::TooMany);
            }
            // At most eleven turns.
            let shift = stride.saturating_mul(nth as u32);
            self.found.extend(one.iter().map(|field| Field {
                offset: field.offset.saturating_add(shift),
                ..field.clone()
            }));
        }
        Ok(())
    }

    fn one(
        &mut self,
        id: TypeId,
        declared: Declared,
        offset: u32,
        copies: Copies,
        depth: u32,
    ) -> Result<(), FieldError> {
        let ty = self.btf.get(id)?;
        if let Some(field) = self.pointer(ty, offset)? {
            return self.add(field, 8, copies);
        }
        let Some(ty) = self.btf.skip_typedefs_and_modifiers(id) else { return Ok(()) };
        let TypeView::Struct(inner) = ty.view() else { return Ok(()) };
        let Some((kind, size, align)) = FieldKind::of_struct(ty.name()) else {
            return self.in_struct(ty, inner, offset, copies, depth + 1);
        };
        if inner.size != size || !kind.is_in(self.scope) {
            return Ok(());
        }
        let target =
            if kind.is_graph_root() { Some(self.contents(kind, declared, offset)?) } else { None };
        self.add(Field { kind, offset, size, target }, align, copies)
    }

    fn add(&mut self, field: Field, align: u32, copies: Copies) -> Result<(), FieldError> {
        let (kind, offset) = (field.kind, field.offset);
        if offset % align != 0 {
            return Err(wrong(kind, offset, FieldFault::Misaligned));
        }
        if kind.is_unique() && self.found.iter().any(|f| f.kind == kind) {
            return Err(wrong(kind, offset, FieldFault::Duplicate));
        }
        if copies == Copies::Array && !kind.is_pointer() && !kind.is_graph_root() {
            return Err(wrong(kind, offset, FieldFault::InArray));
        }
        if self.found.len() >= MAX_FIELDS {
            return Err(FieldError::TooMany);
        }
        self.found.push(field);
        Ok(())
    }

    /// A tagged pointer.
    fn pointer(&self, ty: Type<'_>, offset: u32) -> Result<Option<Field>, FieldError> {
        let ty = match ty.view() {
            TypeView::Volatile(of) => self.btf.get(of)?,
            _ => ty,
        };
        let TypeView::Ptr(to) = ty.view() else { return Ok(None) };
        let tag = self.btf.get(to)?;
        let TypeView::TypeTag(of) = tag.view() else { return Ok(None) };
        // A kind flag marks attributes of other meaning.
        if tag.kind_flag() {
            return Ok(None);
        }
        let kind = match tag.name() {
            "kptr_untrusted" => FieldKind::KptrUntrusted,
            "kptr" => FieldKind::Kptr,
            "percpu_kptr" => FieldKind::PercpuKptr,
            "uptr" => FieldKind::Uptr,
            other => return Err(FieldError::UnknownTag { tag: other.to_owned(), offset }),
        };
        if self.btf.get(of)?.kind() == Kind::TypeTag {
            return Err(wrong(kind, offset, FieldFault::TwoTags));
        }
        if !kind.is_in(self.scope) {
            return Ok(None);
        }
        let target = self
            .btf
            .skip_typedefs_and_modifiers(of)
            .filter(|t| t.kind() == Kind::Struct || is_fwd_struct(*t))
            .ok_or_else(|| wrong(kind, offset, FieldFault::NotStruct))?;
        let target = Some(FieldTarget { ty: target.id(), node_offset: 0 });
        Ok(Some(Field { kind, offset, size: 8, target }))
    }

    /// What a list or tree contains: its tag is `contains:STRUCT:NODE`.
    fn contents(
        &self,
        kind: FieldKind,
        declared: Declared,
        offset: u32,
    ) -> Result<FieldTarget, FieldError> {
        let bad_tag = || wrong(kind, offset, FieldFault::Contains);
        let bad_node = || wrong(kind, offset, FieldFault::Node);
        let tag = self
            .btf
            .types()
            .filter(|t| {
                matches!(t.view(), TypeView::DeclTag { target, component }
                    if target == declared.on && component == declared.component)
            })
            .find_map(|t| t.name().strip_prefix("contains:"));
        let (name, node) = tag.and_then(|t| t.split_once(':')).ok_or_else(bad_tag)?;
        let ty = self.btf.find_by_name_kind(name, Kind::Struct);
        let ty = ty.ok_or_else(|| wrong(kind, offset, FieldFault::NoSuchStruct))?;
        if node.is_empty() {
            return Err(bad_tag());
        }
        let wanted =
            if kind == FieldKind::ListHead { FieldKind::ListNode } else { FieldKind::RbNode };
        let member = ty
            .as_composite()
            .and_then(|c| c.members.iter().find(|m| m.name == node))
            .ok_or_else(|| wrong(kind, offset, FieldFault::NoSuchNode))?;
        if !member.bit_offset.is_multiple_of(64) {
            return Err(bad_node());
        }
        let is_node = self
            .btf
            .skip_typedefs_and_modifiers(member.ty)
            .is_some_and(|t| t.kind() == Kind::Struct && t.name() == wanted.name());
        if !is_node {
            return Err(bad_node());
        }
        Ok(FieldTarget { ty: ty.id(), node_offset: member.bit_offset / 8 })
    }
}

fn is_fwd_struct(ty: Type<'_>) -> bool {
    matches!(ty.view(), TypeView::Fwd(crate::types::FwdKind::Struct))
}

/// Rules about all of them together.
fn check(found: &[Field], value_size: u32) -> Result<(), FieldError> {
    let mut end = 0;
    for field in found {
        if u64::from(field.offset) + u64::from(field.size) > u64::from(value_size) {
            return Err(wrong(field.kind, field.offset, FieldFault::OutOfValue));
        }
        if field.offset < end {
            return Err(wrong(field.kind, field.offset, FieldFault::Overlap));
        }
        end = field.offset + field.size;
    }
    let first = |kind| found.iter().find(|f| f.kind == kind);
    let lock = first(FieldKind::SpinLock);
    let res_lock = first(FieldKind::ResSpinLock);
    if let (Some(_), Some(field)) = (lock, res_lock) {
        return Err(wrong(field.kind, field.offset, FieldFault::TwoLocks));
    }
    if let Some(field) = found.iter().find(|f| f.kind.is_graph_root())
        && lock.or(res_lock).is_none()
    {
        return Err(wrong(field.kind, field.offset, FieldFault::NeedsLock));
    }
    if let (Some(field), Some(_)) = (first(FieldKind::ListNode), first(FieldKind::RbNode))
        && first(FieldKind::Refcount).is_none()
    {
        return Err(wrong(field.kind, field.offset, FieldFault::NeedsRefcount));
    }
    Ok(())
}
