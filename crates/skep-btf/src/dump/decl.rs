//! [`Printer`]: C declarations, such as `const char *(*name)(int, ...)`, and the bodies of structs and enums.

use std::collections::HashSet;

use super::layout::{Layout, Layouts};
use super::names::{Names, clean};
use crate::btf::Btf;
use crate::error::{BtfError, TypeFault};
use crate::types::{Composite, Enum, Kind, Type, TypeId, TypeView};

/// How deep anonymous structs and prototypes are printed in place, and how long one declarator may be.
const MAX_DEPTH: usize = 64;

/// How much text may be made in all, in bytes: anonymous structs are printed wherever they are used, which hostile
/// types can multiply without end.
const MAX_TEXT: usize = 256 << 20;

/// Prints pieces of C.
pub(super) struct Printer<'a> {
    btf: &'a Btf,
    names: Names,
    layouts: Layouts<'a>,
    /// Anonymous enums whose values were printed: C allows that once.
    inlined: HashSet<TypeId>,
    /// What is left of [`MAX_TEXT`].
    budget: usize,
}

/// Where something is printed: how far it is indented and how deep it is nested.
#[derive(Clone, Copy)]
struct Place {
    indent: usize,
    depth: usize,
}

impl Place {
    const TOP: Place = Place { indent: 0, depth: 0 };

    fn inner(self, id: TypeId, btf: &Btf, indent: usize) -> Result<Place, BtfError> {
        if self.depth >= MAX_DEPTH {
            return Err(btf.type_error(id, TypeFault::TooDeep(MAX_DEPTH)));
        }
        Ok(Place { indent, depth: self.depth + 1 })
    }
}

fn tabs(count: usize) -> String {
    "\t".repeat(count)
}

impl<'a> Printer<'a> {
    pub(super) fn new(btf: &'a Btf) -> Printer<'a> {
        Printer {
            btf,
            names: Names::new(),
            layouts: Layouts::new(btf),
            inlined: HashSet::new(),
            budget: MAX_TEXT,
        }
    }

    /// `struct foo;`
    pub(super) fn declaration(&mut self, ty: Type<'_>) -> String {
        let word = tag_word(ty);
        format!("{word} {};\n", self.names.of(ty))
    }

    /// A whole definition of a struct, union, enum or typedef.
    pub(super) fn definition(&mut self, ty: Type<'a>) -> Result<String, BtfError> {
        if let TypeView::Typedef(of) = ty.view() {
            let name = self.names.of(ty);
            return Ok(format!("typedef {};\n", self.declare(of, &name, Place::TOP)?));
        }
        let name = if ty.is_anon() { String::new() } else { self.names.of(ty) };
        Ok(format!("{};\n", self.body(ty, &name, Place::TOP)?))
    }

    /// `struct foo { … }` with attributes.
    fn body(&mut self, ty: Type<'a>, name: &str, place: Place) -> Result<String, BtfError> {
        let word = tag_word(ty);
        let head = if name.is_empty() { word.to_owned() } else { format!("{word} {name}") };
        match ty.view() {
            TypeView::Enum(e) | TypeView::Enum64(e) => Ok(self.enum_body(&head, e, place)),
            TypeView::Struct(fields) | TypeView::Union(fields) => {
                self.fields(&head, ty, fields, place)
            }
            _ => Ok(head),
        }
    }

    fn spend(&mut self, id: TypeId, bytes: usize) -> Result<(), BtfError> {
        match self.budget.checked_sub(bytes) {
            Some(left) => {
                self.budget = left;
                Ok(())
            }
            None => Err(self.btf.type_error(id, TypeFault::TooLarge)),
        }
    }

    fn enum_body(&mut self, head: &str, e: Enum<'_>, place: Place) -> String {
        if e.values.is_empty() {
            return head.to_owned();
        }
        let indent = tabs(place.indent + 1);
        let mut out = format!("{head} {{\n");
        let mut fits = true;
        for v in e.values.iter() {
            let name = self.names.enumerator(v.name);
            let text = if e.signed {
                signed_text(v.value as i64)
            } else if v.value > u64::from(u32::MAX) {
                format!("{}ULL", v.value)
            } else {
                v.value.to_string()
            };
            fits &= if e.signed {
                i32::try_from(v.value as i64).is_ok()
            } else {
                v.value <= u64::from(u32::MAX)
            };
            out.push_str(&format!("{indent}{name} = {text},\n"));
        }
        out.push_str(&format!("{}}}", tabs(place.indent)));
        let natural = if fits { 4 } else { 8 };
        out.push_str(match e.size {
            size if size == natural => "",
            1 => " __attribute__((mode(byte)))",
            2 => " __attribute__((mode(HI)))",
            4 => " __attribute__((mode(SI)))",
            _ => " __attribute__((mode(DI)))",
        });
        out
    }

    fn fields(
        &mut self,
        head: &str,
        ty: Type<'a>,
        fields: Composite<'a>,
        place: Place,
    ) -> Result<String, BtfError> {
        let Layout { packed, aligned, .. } = self.layouts.layout(ty.id());
        let padding = if ty.kind() == Kind::Struct {
            self.layouts.padding(ty.id(), fields)
        } else {
            Vec::new()
        };
        let inner = place.inner(ty.id(), self.btf, place.indent + 1)?;
        let indent = tabs(inner.indent);
        let mut out = format!("{head} {{");
        if !fields.members.is_empty() || padding.iter().any(|(from, to)| from < to) {
            out.push('\n');
        }
        for (index, m) in fields.members.iter().enumerate() {
            pad(&mut out, &indent, padding.get(index));
            let name = if m.name.is_empty() { String::new() } else { clean(m.name) };
            let decl = self.declare(m.ty, &name, inner)?;
            match m.bitfield_bits {
                0 => out.push_str(&format!("{indent}{decl};\n")),
                bits => out.push_str(&format!("{indent}{decl}: {bits};\n")),
            }
        }
        pad(&mut out, &indent, padding.get(fields.members.len()));
        if out.ends_with('\n') {
            out.push_str(&tabs(place.indent));
        }
        out.push('}');
        if packed {
            out.push_str(" __attribute__((packed))");
        }
        if let Some(bytes) = aligned {
            out.push_str(&format!(" __attribute__((aligned({bytes})))"));
        }
        Ok(out)
    }

    /// Declares `name` with a type. The declarator grows from the name outward.
    fn declare(&mut self, id: TypeId, name: &str, place: Place) -> Result<String, BtfError> {
        // Each piece is copied once for each level that it is nested in.
        self.spend(id, (64 + name.len()) * (place.depth + 1))?;
        let mut decl = name.to_owned();
        let mut quals: Vec<String> = Vec::new();
        let mut at = id;
        for _ in 0..MAX_DEPTH {
            let ty = self.btf.get(at)?;
            match ty.view() {
                TypeView::Const(to) => {
                    add_qualifier(&mut quals, "const");
                    at = to;
                }
                TypeView::Volatile(to) => {
                    add_qualifier(&mut quals, "volatile");
                    at = to;
                }
                TypeView::Restrict(to) => {
                    add_qualifier(&mut quals, "restrict");
                    at = to;
                }
                TypeView::TypeTag(to) => {
                    let text = format!("__attribute__((btf_type_tag({:?})))", ty.name());
                    add_qualifier(&mut quals, &text);
                    at = to;
                }
                TypeView::Ptr(to) => {
                    let quals = core::mem::take(&mut quals);
                    let space = if quals.is_empty() || decl.is_empty() { "" } else { " " };
                    let gap = if quals.is_empty() { "" } else { " " };
                    decl = format!("*{gap}{}{space}{decl}", quals.join(" "));
                    at = to;
                }
                TypeView::Array(array) => {
                    // Qualifiers of an array are those of its elements.
                    decl = format!("{}[{}]", in_parens(&decl), array.nelems);
                    at = array.elem;
                }
                TypeView::FuncProto(proto) => {
                    quals.clear();
                    let inner = place.inner(at, self.btf, place.indent)?;
                    let mut params = Vec::new();
                    let last = proto.params.len().checked_sub(1);
                    for (index, p) in proto.params.iter().enumerate() {
                        if p.ty.is_void() && Some(index) == last {
                            params.push("...".to_owned());
                        } else {
                            params.push(self.declare(p.ty, &param_name(p.name), inner)?);
                        }
                    }
                    if params.is_empty() {
                        params.push("void".to_owned());
                    }
                    decl = format!("{}({})", in_parens(&decl), params.join(", "));
                    at = proto.ret;
                }
                _ => {
                    let base = self.base(ty, place)?;
                    quals.push(base);
                    if !decl.is_empty() {
                        quals.push(decl);
                    }
                    return Ok(quals.join(" "));
                }
            }
        }
        Err(self.btf.type_error(id, TypeFault::TooDeep(MAX_DEPTH)))
    }

    /// The specifier at the start of a declaration.
    fn base(&mut self, ty: Type<'a>, place: Place) -> Result<String, BtfError> {
        Ok(match ty.view() {
            TypeView::Void => "void".to_owned(),
            TypeView::Int(_) | TypeView::Float(_) => spelled(ty.name()),
            TypeView::Typedef(_) if is_builtin(ty.name()) => ty.name().to_owned(),
            TypeView::Typedef(_) => self.names.of(ty),
            TypeView::Struct(_) | TypeView::Union(_) if ty.is_anon() => self.body(ty, "", place)?,
            TypeView::Enum(e) | TypeView::Enum64(e) if ty.is_anon() => {
                if self.inlined.insert(ty.id()) {
                    self.body(ty, "", place)?
                } else {
                    integer_of(e).to_owned()
                }
            }
            TypeView::Struct(_)
            | TypeView::Union(_)
            | TypeView::Enum(_)
            | TypeView::Enum64(_)
            | TypeView::Fwd(_) => format!("{} {}", tag_word(ty), self.names.of(ty)),
            // The rest has no place in a declaration.
            TypeView::Func { .. }
            | TypeView::Var { .. }
            | TypeView::Datasec(_)
            | TypeView::DeclTag { .. }
            | TypeView::Ptr(_)
            | TypeView::Array(_)
            | TypeView::Volatile(_)
            | TypeView::Const(_)
            | TypeView::Restrict(_)
            | TypeView::FuncProto(_)
            | TypeView::TypeTag(_) => {
                return Err(self
                    .btf
                    .type_error(ty.id(), TypeFault::Rule("cannot be the type of anything in C")));
            }
        })
    }
}

/// Typedefs that compilers know without a definition.
pub(super) fn is_builtin(name: &str) -> bool {
    name == "__builtin_va_list"
}

fn add_qualifier(quals: &mut Vec<String>, text: &str) {
    if !quals.iter().any(|q| q == text) {
        quals.push(text.to_owned());
    }
}

fn in_parens(decl: &str) -> String {
    if decl.starts_with('*') { format!("({decl})") } else { decl.to_owned() }
}

fn param_name(name: &str) -> String {
    if name.is_empty() { String::new() } else { clean(name) }
}

/// The name of a number type; kernels spell some in a way that only their own headers explain.
fn spelled(name: &str) -> String {
    if name.is_empty() {
        return "int".to_owned();
    }
    name.split(' ').map(clean).collect::<Vec<_>>().join(" ")
}

fn integer_of(e: Enum<'_>) -> &'static str {
    match (e.size, e.signed) {
        (1, true) => "signed char",
        (1, false) => "unsigned char",
        (2, true) => "short",
        (2, false) => "unsigned short",
        (8, true) => "long long",
        (8, false) => "unsigned long long",
        (_, true) => "int",
        (_, false) => "unsigned int",
    }
}

fn signed_text(value: i64) -> String {
    if value == i64::MIN {
        "(-9223372036854775807LL - 1)".to_owned()
    } else if i32::try_from(value).is_ok() {
        value.to_string()
    } else {
        format!("{value}LL")
    }
}

fn tag_word(ty: Type<'_>) -> &'static str {
    match ty.view() {
        TypeView::Union(_) | TypeView::Fwd(crate::types::FwdKind::Union) => "union",
        TypeView::Enum(_) | TypeView::Enum64(_) => "enum",
        _ => "struct",
    }
}

/// Fills a hole in a struct with unnamed bitfields, none across a 64-bit boundary.
fn pad(out: &mut String, indent: &str, hole: Option<&(u64, u64)>) {
    let Some(&(mut at, to)) = hole else { return };
    // Long holes become an array, which also keeps hostile sizes from filling memory.
    if to.saturating_sub(at) > 4096 {
        let aligned = at.next_multiple_of(64).min(to);
        pad(out, indent, Some(&(at, aligned)));
        let longs = (to - aligned) / 64;
        out.push_str(&format!("{indent}char __pad_{}[{}];\n", aligned / 8, longs * 8));
        at = aligned + longs * 64;
    }
    while at < to {
        let bits = (64 - at % 64).min(to - at);
        out.push_str(&format!("{indent}long: {bits};\n"));
        at += bits;
    }
}
