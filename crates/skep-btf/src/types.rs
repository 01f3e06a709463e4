//! Views of types: [`Type`] is one type in a [`Btf`], [`TypeView`] its decoded form.
//!
//! A view borrows the words of the type section; nothing is copied. The words were checked by
//! `parse`, so a view always has the words that its kind and vlen need.

use core::fmt;

use crate::btf::Btf;

/// Number of a type; 0 is `void`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct TypeId(pub u32);

impl TypeId {
    /// `void`, and "no type".
    pub const VOID: TypeId = TypeId(0);

    /// Whether this is [`TypeId::VOID`].
    pub const fn is_void(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for TypeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

macro_rules! kinds {
    ($($variant:ident = $num:literal, $text:literal, $alias:literal;)*) => {
        /// Kind of a type (`BTF_KIND_*`).
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        #[repr(u8)]
        pub enum Kind {
            $(#[doc = concat!("`", $alias, "`")] #[doc(alias = $alias)] $variant = $num,)*
        }

        impl Kind {
            /// `None` for a number that is no kind.
            pub const fn from_raw(num: u32) -> Option<Kind> {
                match num { $($num => Some(Kind::$variant),)* _ => None }
            }

            /// The name without its prefix, as `bpftool btf dump` prints it: `STRUCT`.
            pub const fn name(self) -> &'static str {
                match self { $(Kind::$variant => $text,)* }
            }
        }
    };
}

kinds! {
    Void = 0, "UNKN", "BTF_KIND_UNKN";
    Int = 1, "INT", "BTF_KIND_INT";
    Ptr = 2, "PTR", "BTF_KIND_PTR";
    Array = 3, "ARRAY", "BTF_KIND_ARRAY";
    Struct = 4, "STRUCT", "BTF_KIND_STRUCT";
    Union = 5, "UNION", "BTF_KIND_UNION";
    Enum = 6, "ENUM", "BTF_KIND_ENUM";
    Fwd = 7, "FWD", "BTF_KIND_FWD";
    Typedef = 8, "TYPEDEF", "BTF_KIND_TYPEDEF";
    Volatile = 9, "VOLATILE", "BTF_KIND_VOLATILE";
    Const = 10, "CONST", "BTF_KIND_CONST";
    Restrict = 11, "RESTRICT", "BTF_KIND_RESTRICT";
    Func = 12, "FUNC", "BTF_KIND_FUNC";
    FuncProto = 13, "FUNC_PROTO", "BTF_KIND_FUNC_PROTO";
    Var = 14, "VAR", "BTF_KIND_VAR";
    Datasec = 15, "DATASEC", "BTF_KIND_DATASEC";
    Float = 16, "FLOAT", "BTF_KIND_FLOAT";
    DeclTag = 17, "DECL_TAG", "BTF_KIND_DECL_TAG";
    TypeTag = 18, "TYPE_TAG", "BTF_KIND_TYPE_TAG";
    Enum64 = 19, "ENUM64", "BTF_KIND_ENUM64";
}

impl Kind {
    /// `const`, `volatile`, `restrict` and type tags: they change no layout and have no name of their own.
    pub const fn is_modifier(self) -> bool {
        matches!(self, Kind::Const | Kind::Volatile | Kind::Restrict | Kind::TypeTag)
    }

    /// Struct or union.
    pub const fn is_composite(self) -> bool {
        matches!(self, Kind::Struct | Kind::Union)
    }

    /// Enum of either width.
    pub const fn is_enum(self) -> bool {
        matches!(self, Kind::Enum | Kind::Enum64)
    }

    /// Words after the three common ones, for a vlen; never overflows, since a vlen is 16 bits.
    pub(crate) const fn tail_words(self, vlen: usize) -> usize {
        match self {
            Kind::Int | Kind::Var | Kind::DeclTag => 1,
            Kind::Array => 3,
            Kind::Struct | Kind::Union | Kind::Datasec | Kind::Enum64 => 3 * vlen,
            Kind::Enum | Kind::FuncProto => 2 * vlen,
            Kind::Void
            | Kind::Ptr
            | Kind::Fwd
            | Kind::Typedef
            | Kind::Volatile
            | Kind::Const
            | Kind::Restrict
            | Kind::Func
            | Kind::Float
            | Kind::TypeTag => 0,
        }
    }

    /// Whether the third word is a type id and not a size.
    pub(crate) const fn refers(self) -> bool {
        matches!(
            self,
            Kind::Ptr
                | Kind::Typedef
                | Kind::Volatile
                | Kind::Const
                | Kind::Restrict
                | Kind::Func
                | Kind::FuncProto
                | Kind::Var
                | Kind::DeclTag
                | Kind::TypeTag
        )
    }

    /// Whether the third word is a size in bytes.
    pub(crate) const fn has_size(self) -> bool {
        matches!(
            self,
            Kind::Int
                | Kind::Struct
                | Kind::Union
                | Kind::Enum
                | Kind::Datasec
                | Kind::Float
                | Kind::Enum64
        )
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// An integer's encoding and its place in its storage.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Int {
    /// Bytes of storage.
    pub size: u32,
    /// Bits of the value.
    pub bits: u8,
    /// First bit of the value in the storage; 0 in all but very old BTF.
    pub bit_offset: u8,
    /// The four encoding bits as stored: see [`Int::is_signed`] and its neighbours.
    pub encoding: u8,
}

impl Int {
    /// `BTF_INT_SIGNED`
    pub const SIGNED: u8 = 1;
    /// `BTF_INT_CHAR`
    pub const CHAR: u8 = 2;
    /// `BTF_INT_BOOL`
    pub const BOOL: u8 = 4;

    /// Whether the value is signed.
    pub const fn is_signed(self) -> bool {
        self.encoding & Int::SIGNED != 0
    }

    /// Whether it was declared as a character; clang does not set this for `char`.
    pub const fn is_char(self) -> bool {
        self.encoding & Int::CHAR != 0
    }

    /// Whether it is a `bool`.
    pub const fn is_bool(self) -> bool {
        self.encoding & Int::BOOL != 0
    }
}

/// An array.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Array {
    /// Type of one element.
    pub elem: TypeId,
    /// Type of the index.
    pub index: TypeId,
    /// Number of elements; 0 for a flexible array.
    pub nelems: u32,
}

/// Whether a forward declaration is of a struct or of a union.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FwdKind {
    /// `struct`
    Struct,
    /// `union`
    Union,
}

/// Linkage of a function (`BTF_FUNC_*`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FuncLinkage {
    /// `static`
    Static,
    /// Global, verified on its own.
    Global,
    /// Declared, defined elsewhere.
    Extern,
    /// A number that is none of these.
    Other(u16),
}

impl FuncLinkage {
    pub(crate) const fn from_raw(raw: u16) -> FuncLinkage {
        match raw {
            0 => FuncLinkage::Static,
            1 => FuncLinkage::Global,
            2 => FuncLinkage::Extern,
            other => FuncLinkage::Other(other),
        }
    }

    /// The number stored in vlen.
    pub const fn raw(self) -> u16 {
        match self {
            FuncLinkage::Static => 0,
            FuncLinkage::Global => 1,
            FuncLinkage::Extern => 2,
            FuncLinkage::Other(raw) => raw,
        }
    }
}

/// Linkage of a variable (`BTF_VAR_*`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum VarLinkage {
    /// `static`
    Static,
    /// `BTF_VAR_GLOBAL_ALLOCATED`
    Global,
    /// `BTF_VAR_GLOBAL_EXTERN`
    Extern,
    /// A number that is none of these.
    Other(u32),
}

impl VarLinkage {
    pub(crate) const fn from_raw(raw: u32) -> VarLinkage {
        match raw {
            0 => VarLinkage::Static,
            1 => VarLinkage::Global,
            2 => VarLinkage::Extern,
            other => VarLinkage::Other(other),
        }
    }

    /// The number as stored.
    pub const fn raw(self) -> u32 {
        match self {
            VarLinkage::Static => 0,
            VarLinkage::Global => 1,
            VarLinkage::Extern => 2,
            VarLinkage::Other(raw) => raw,
        }
    }
}

/// A view of one type.
#[derive(Clone, Copy)]
pub struct Type<'a> {
    btf: &'a Btf,
    id: TypeId,
    /// `name_off`, `info`, `size` or `type`, then what the kind adds.
    words: &'a [u32],
    kind: Kind,
}

/// A type decoded.
#[derive(Clone, Copy, Debug)]
pub enum TypeView<'a> {
    /// `void`
    Void,
    /// Integer.
    Int(Int),
    /// Pointer to a type.
    Ptr(TypeId),
    /// Array.
    Array(Array),
    /// Struct.
    Struct(Composite<'a>),
    /// Union.
    Union(Composite<'a>),
    /// Enum with values of up to 32 bits.
    Enum(Enum<'a>),
    /// Forward declaration.
    Fwd(FwdKind),
    /// Typedef of a type.
    Typedef(TypeId),
    /// Volatile type.
    Volatile(TypeId),
    /// Const type.
    Const(TypeId),
    /// Restrict pointer.
    Restrict(TypeId),
    /// Function.
    Func {
        /// Its prototype.
        proto: TypeId,
        /// Its linkage.
        linkage: FuncLinkage,
    },
    /// Function prototype.
    FuncProto(FuncProto<'a>),
    /// Variable.
    Var {
        /// Its type.
        ty: TypeId,
        /// Its linkage.
        linkage: VarLinkage,
    },
    /// Data section.
    Datasec(Datasec<'a>),
    /// Floating point number of so many bytes.
    Float(u32),
    /// Tag on a declaration.
    DeclTag {
        /// What is tagged.
        target: TypeId,
        /// Which member or parameter is tagged; `None` for the type itself.
        component: Option<u32>,
    },
    /// Tag on a type; the tag's text is the name.
    TypeTag(TypeId),
    /// Enum with values of 64 bits.
    Enum64(Enum<'a>),
}

static VOID_WORDS: [u32; 3] = [0; 3];

impl<'a> Type<'a> {
    /// `words` hold at least what `kind` and its vlen need.
    pub(crate) fn new(btf: &'a Btf, id: TypeId, words: &'a [u32], kind: Kind) -> Type<'a> {
        debug_assert!(words.len() >= 3);
        Type { btf, id, words, kind }
    }

    pub(crate) fn void(btf: &'a Btf) -> Type<'a> {
        Type { btf, id: TypeId::VOID, words: &VOID_WORDS, kind: Kind::Void }
    }

    fn word(&self, index: usize) -> u32 {
        self.words.get(index).copied().unwrap_or(0)
    }

    fn tail(&self) -> &'a [u32] {
        self.words.get(3..).unwrap_or(&[])
    }

    /// The set it belongs to.
    pub fn btf(&self) -> &'a Btf {
        self.btf
    }

    /// Its id.
    pub fn id(&self) -> TypeId {
        self.id
    }

    /// Its kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its name, empty where it has none. For tags, the text of the tag.
    pub fn name(&self) -> &'a str {
        self.btf.str_at(self.word(0)).unwrap_or("")
    }

    /// Offset of its name in the string section.
    pub fn name_off(&self) -> u32 {
        self.word(0)
    }

    /// Whether it has no name.
    pub fn is_anon(&self) -> bool {
        self.name().is_empty()
    }

    /// `info` as stored: vlen in bits 0 to 15, kind in 24 to 28, kind flag in 31.
    pub fn info(&self) -> u32 {
        self.word(1)
    }

    /// Number of members, values, parameters or variables; the linkage of a function.
    pub fn vlen(&self) -> u16 {
        (self.word(1) & 0xffff) as u16
    }

    /// The kind flag: what it means depends on the kind.
    pub fn kind_flag(&self) -> bool {
        self.word(1) >> 31 != 0
    }

    /// The third word: a size in bytes or a type id, depending on the kind.
    pub fn size_or_type(&self) -> u32 {
        self.word(2)
    }

    /// Everything after the third word, as stored.
    pub fn tail_words(&self) -> &'a [u32] {
        self.tail()
    }

    /// All words of the type, as stored.
    pub fn words(&self) -> &'a [u32] {
        self.words
    }

    /// What a pointer, typedef, modifier, function, prototype, variable or tag refers to.
    pub fn referenced(&self) -> Option<TypeId> {
        self.kind.refers().then(|| TypeId(self.word(2)))
    }

    /// The size in bytes that the type itself states, for kinds that state one.
    pub fn stated_size(&self) -> Option<u32> {
        self.kind.has_size().then(|| self.word(2))
    }

    /// The decoded form.
    pub fn view(&self) -> TypeView<'a> {
        let third = self.word(2);
        let id = TypeId(third);
        match self.kind {
            Kind::Void => TypeView::Void,
            Kind::Int => TypeView::Int(self.int_fields()),
            Kind::Ptr => TypeView::Ptr(id),
            Kind::Array => TypeView::Array(Array {
                elem: TypeId(self.word(3)),
                index: TypeId(self.word(4)),
                nelems: self.word(5),
            }),
            Kind::Struct => TypeView::Struct(self.composite_fields()),
            Kind::Union => TypeView::Union(self.composite_fields()),
            Kind::Enum => TypeView::Enum(self.enum_fields()),
            Kind::Fwd => {
                TypeView::Fwd(if self.kind_flag() { FwdKind::Union } else { FwdKind::Struct })
            }
            Kind::Typedef => TypeView::Typedef(id),
            Kind::Volatile => TypeView::Volatile(id),
            Kind::Const => TypeView::Const(id),
            Kind::Restrict => TypeView::Restrict(id),
            Kind::Func => TypeView::Func { proto: id, linkage: FuncLinkage::from_raw(self.vlen()) },
            Kind::FuncProto => TypeView::FuncProto(FuncProto {
                ret: id,
                params: Params { btf: self.btf, words: self.tail() },
            }),
            Kind::Var => TypeView::Var { ty: id, linkage: VarLinkage::from_raw(self.word(3)) },
            Kind::Datasec => {
                TypeView::Datasec(Datasec { size: third, vars: SecVars { words: self.tail() } })
            }
            Kind::Float => TypeView::Float(third),
            Kind::DeclTag => TypeView::DeclTag {
                target: id,
                component: (self.word(3) != u32::MAX).then(|| self.word(3)),
            },
            Kind::TypeTag => TypeView::TypeTag(id),
            Kind::Enum64 => TypeView::Enum64(self.enum_fields()),
        }
    }

    fn int_fields(&self) -> Int {
        let data = self.word(3);
        Int {
            size: self.word(2),
            bits: data as u8,
            bit_offset: (data >> 16) as u8,
            encoding: ((data >> 24) & 0xf) as u8,
        }
    }

    fn composite_fields(&self) -> Composite<'a> {
        Composite {
            size: self.word(2),
            members: Members { btf: self.btf, words: self.tail(), kind_flag: self.kind_flag() },
        }
    }

    fn enum_fields(&self) -> Enum<'a> {
        Enum {
            size: self.word(2),
            signed: self.kind_flag(),
            values: Enumerators {
                btf: self.btf,
                words: self.tail(),
                wide: self.kind == Kind::Enum64,
                signed: self.kind_flag(),
            },
        }
    }

    /// The integer, if it is one.
    pub fn as_int(&self) -> Option<Int> {
        (self.kind == Kind::Int).then(|| self.int_fields())
    }

    /// The array, if it is one.
    pub fn as_array(&self) -> Option<Array> {
        match self.view() {
            TypeView::Array(array) => Some(array),
            _ => None,
        }
    }

    /// The struct or union, if it is one.
    pub fn as_composite(&self) -> Option<Composite<'a>> {
        self.kind.is_composite().then(|| self.composite_fields())
    }

    /// The enum of either width, if it is one.
    pub fn as_enum(&self) -> Option<Enum<'a>> {
        self.kind.is_enum().then(|| self.enum_fields())
    }

    /// The prototype, if it is one.
    pub fn as_func_proto(&self) -> Option<FuncProto<'a>> {
        match self.view() {
            TypeView::FuncProto(proto) => Some(proto),
            _ => None,
        }
    }

    /// The data section, if it is one.
    pub fn as_datasec(&self) -> Option<Datasec<'a>> {
        match self.view() {
            TypeView::Datasec(sec) => Some(sec),
            _ => None,
        }
    }
}

impl fmt::Debug for Type<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {} '{}'", self.id.0, self.kind, self.name())
    }
}

/// A struct or union.
#[derive(Clone, Copy, Debug)]
pub struct Composite<'a> {
    /// Size in bytes.
    pub size: u32,
    /// Its members in the order of declaration.
    pub members: Members<'a>,
}

/// A member of a struct or union.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Member<'a> {
    /// Name, empty for an anonymous struct or union.
    pub name: &'a str,
    /// Its type.
    pub ty: TypeId,
    /// Offset from the start of the struct in bits.
    pub bit_offset: u32,
    /// Width in bits of a bitfield; 0 for an ordinary member.
    pub bitfield_bits: u8,
}

/// An enum of either width.
#[derive(Clone, Copy, Debug)]
pub struct Enum<'a> {
    /// Size in bytes: 1, 2, 4 or 8.
    pub size: u32,
    /// Whether its values are signed.
    pub signed: bool,
    /// Its values in the order of declaration.
    pub values: Enumerators<'a>,
}

/// A value of an enum.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EnumValue<'a> {
    /// Name.
    pub name: &'a str,
    /// The value, sign-extended to 64 bits where the enum is signed and zero-extended otherwise.
    pub value: u64,
}

/// A function prototype.
#[derive(Clone, Copy, Debug)]
pub struct FuncProto<'a> {
    /// Type of the result; void for none.
    pub ret: TypeId,
    /// Its parameters; a last one without name and type stands for `...`.
    pub params: Params<'a>,
}

/// A parameter of a prototype.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Param<'a> {
    /// Name, may be empty.
    pub name: &'a str,
    /// Its type.
    pub ty: TypeId,
}

/// A data section.
#[derive(Clone, Copy, Debug)]
pub struct Datasec<'a> {
    /// Size in bytes; 0 in an object that was not linked yet.
    pub size: u32,
    /// Its variables.
    pub vars: SecVars<'a>,
}

/// A variable in a data section.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SecVar {
    /// The variable, or a function in a `.ksyms` section.
    pub ty: TypeId,
    /// Offset in the section in bytes.
    pub offset: u32,
    /// Size in bytes.
    pub size: u32,
}

macro_rules! sequence {
    ($(#[$doc:meta])* $name:ident<$lt:lifetime> of $item:ty, $width:expr, $self:ident, $words:ident => $get:expr, { $($field:ident: $fty:ty),* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $name<$lt> {
            words: &$lt [u32],
            $($field: $fty,)*
        }

        impl<$lt> $name<$lt> {
            /// How many there are.
            pub fn len(&self) -> usize {
                let $self = self;
                let _ = $self;
                self.words.len() / $width
            }

            /// Whether there are none.
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// One of them.
            pub fn get(&self, index: usize) -> Option<$item> {
                let $self = self;
                let _ = $self;
                let width = $width;
                let start = index.checked_mul(width)?;
                let $words = self.words.get(start..start.checked_add(width)?)?;
                Some($get)
            }

            /// All of them in order.
            pub fn iter(self) -> impl ExactSizeIterator<Item = $item> + use<$lt> {
                let $self = &self;
                let _ = $self;
                let width = $width;
                self.words.chunks_exact(width).map(move |$words| {
                    let $self = &self;
                    let _ = $self;
                    $get
                })
            }
        }

        impl fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_list().entries(self.iter()).finish()
            }
        }
    };
}

sequence! {
    /// Members of a struct or union.
    Members<'a> of Member<'a>, 3, this, w => Member {
        name: this.btf.str_at(w[0]).unwrap_or(""),
        ty: TypeId(w[1]),
        bit_offset: if this.kind_flag { w[2] & 0xff_ffff } else { w[2] },
        bitfield_bits: if this.kind_flag { (w[2] >> 24) as u8 } else { 0 },
    }, { btf: &'a Btf, kind_flag: bool }
}

sequence! {
    /// Values of an enum.
    Enumerators<'a> of EnumValue<'a>, if this.wide { 3 } else { 2 }, this, w => EnumValue {
        name: this.btf.str_at(w[0]).unwrap_or(""),
        value: match (this.wide, this.signed) {
            (true, _) => u64::from(w[1]) | u64::from(w[2]) << 32,
            (false, true) => i64::from(w[1] as i32) as u64,
            (false, false) => u64::from(w[1]),
        },
    }, { btf: &'a Btf, wide: bool, signed: bool }
}

sequence! {
    /// Parameters of a prototype.
    Params<'a> of Param<'a>, 2, this, w => Param {
        name: this.btf.str_at(w[0]).unwrap_or(""),
        ty: TypeId(w[1]),
    }, { btf: &'a Btf }
}

sequence! {
    /// Variables of a data section.
    SecVars<'a> of SecVar, 3, this, w => SecVar { ty: TypeId(w[0]), offset: w[1], size: w[2] }, {}
}
