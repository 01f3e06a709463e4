//! [`plan`]: in which order definitions and forward declarations must be printed.
//!
//! A struct that is contained must be defined before; one that is pointed to must be declared before. Anonymous types
//! are printed where they are used, so what they contain counts as contained by their user.

use std::collections::HashSet;

use super::names::definition_of;
use crate::btf::Btf;
use crate::types::{Kind, Type, TypeId, TypeView};

/// One thing to print.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// `struct foo;`
    Declare(TypeId),
    /// A whole definition.
    Define(TypeId),
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Need {
    /// The name must be known.
    Declared,
    /// The size must be known.
    Complete,
}

enum Task {
    Visit(TypeId, Need),
    Define(TypeId),
}

struct Planner<'a> {
    btf: &'a Btf,
    steps: Vec<Step>,
    stack: Vec<Task>,
    visited: HashSet<(TypeId, Need)>,
    declared: HashSet<TypeId>,
    defined: HashSet<TypeId>,
}

/// Plans the printing of all own types.
pub(super) fn plan(btf: &Btf) -> Vec<Step> {
    let referenced = referenced_anonymous_enums(btf);
    let mut planner = Planner {
        btf,
        steps: Vec::new(),
        stack: Vec::new(),
        visited: HashSet::new(),
        declared: HashSet::new(),
        defined: HashSet::new(),
    };
    for ty in btf.own_types() {
        let is_root = match ty.kind() {
            Kind::Struct | Kind::Union | Kind::Typedef | Kind::Fwd => !ty.is_anon(),
            Kind::Enum | Kind::Enum64 => !ty.is_anon() || !referenced.contains(&ty.id()),
            Kind::Void
            | Kind::Int
            | Kind::Ptr
            | Kind::Array
            | Kind::Volatile
            | Kind::Const
            | Kind::Restrict
            | Kind::Func
            | Kind::FuncProto
            | Kind::Var
            | Kind::Datasec
            | Kind::Float
            | Kind::DeclTag
            | Kind::TypeTag => false,
        };
        if is_root {
            planner.run(ty.id());
        }
    }
    planner.steps
}

/// Anonymous enums that some other type prints in place.
fn referenced_anonymous_enums(btf: &Btf) -> HashSet<TypeId> {
    let mut found = HashSet::new();
    let mut see = |id: TypeId| {
        if btf.type_by_id(id).is_some_and(|t| t.kind().is_enum() && t.is_anon()) {
            found.insert(id);
        }
    };
    for ty in btf.types() {
        match ty.view() {
            TypeView::Struct(fields) | TypeView::Union(fields) => {
                fields.members.iter().for_each(|m| see(m.ty));
            }
            TypeView::Array(array) => see(array.elem),
            TypeView::FuncProto(proto) => {
                proto.params.iter().for_each(|p| see(p.ty));
                see(proto.ret);
            }
            TypeView::Ptr(to)
            | TypeView::Typedef(to)
            | TypeView::Volatile(to)
            | TypeView::Const(to)
            | TypeView::Restrict(to)
            | TypeView::TypeTag(to) => see(to),
            TypeView::Void
            | TypeView::Int(_)
            | TypeView::Enum(_)
            | TypeView::Enum64(_)
            | TypeView::Fwd(_)
            | TypeView::Func { .. }
            | TypeView::Var { .. }
            | TypeView::Datasec(_)
            | TypeView::Float(_)
            | TypeView::DeclTag { .. } => {}
        }
    }
    found
}

impl Planner<'_> {
    fn run(&mut self, root: TypeId) {
        self.stack.push(Task::Visit(root, Need::Complete));
        while let Some(task) = self.stack.pop() {
            match task {
                Task::Visit(id, need) => self.visit(id, need),
                Task::Define(id) => {
                    self.defined.insert(id);
                    self.steps.push(Step::Define(id));
                }
            }
        }
    }

    fn declare(&mut self, ty: Type<'_>) {
        let id = definition_of(ty).map_or(ty.id(), |t| t.id());
        if !self.defined.contains(&id) && self.declared.insert(id) {
            self.steps.push(Step::Declare(id));
        }
    }

    /// Pushes visits so that the first is done first.
    fn visit_all(&mut self, ids: impl DoubleEndedIterator<Item = TypeId>, need: Need) {
        self.stack.extend(ids.rev().map(|id| Task::Visit(id, need)));
    }

    fn visit(&mut self, id: TypeId, need: Need) {
        let Some(ty) = self.btf.type_by_id(id) else { return };
        let view = ty.view();
        if let TypeView::Struct(_) | TypeView::Union(_) | TypeView::Fwd(_) = view
            && !ty.is_anon()
            && (need == Need::Declared || ty.kind() == Kind::Fwd)
        {
            self.declare(ty);
            return;
        }
        if !self.visited.insert((id, need)) {
            return;
        }
        match view {
            TypeView::Void | TypeView::Int(_) | TypeView::Float(_) | TypeView::Fwd(_) => {}
            TypeView::Ptr(to) => self.stack.push(Task::Visit(to, Need::Declared)),
            TypeView::Volatile(to)
            | TypeView::Const(to)
            | TypeView::Restrict(to)
            | TypeView::TypeTag(to) => self.stack.push(Task::Visit(to, need)),
            // Even a pointer to an array needs the element's size.
            TypeView::Array(array) => self.stack.push(Task::Visit(array.elem, Need::Complete)),
            TypeView::FuncProto(proto) => {
                let params: Vec<TypeId> =
                    core::iter::once(proto.ret).chain(proto.params.iter().map(|p| p.ty)).collect();
                self.visit_all(params.into_iter(), Need::Declared);
            }
            TypeView::Struct(fields) | TypeView::Union(fields) => {
                if !ty.is_anon() {
                    self.stack.push(Task::Define(id));
                }
                let members: Vec<TypeId> = fields.members.iter().map(|m| m.ty).collect();
                self.visit_all(members.into_iter(), Need::Complete);
            }
            TypeView::Enum(_) | TypeView::Enum64(_) => {
                let other = match need {
                    Need::Declared => Need::Complete,
                    Need::Complete => Need::Declared,
                };
                let is_inline = ty.is_anon() && !self.stack.is_empty();
                if !is_inline && !self.visited.contains(&(id, other)) {
                    self.stack.push(Task::Define(id));
                }
            }
            TypeView::Typedef(to) => {
                if need == Need::Complete {
                    // First the typedef itself, then what it is needs to be complete.
                    self.stack.push(Task::Visit(to, Need::Complete));
                    self.stack.push(Task::Visit(id, Need::Declared));
                } else {
                    self.stack.push(Task::Define(id));
                    self.stack.push(Task::Visit(to, Need::Declared));
                }
            }
            TypeView::Func { .. }
            | TypeView::Var { .. }
            | TypeView::Datasec(_)
            | TypeView::DeclTag { .. } => {}
        }
    }
}
