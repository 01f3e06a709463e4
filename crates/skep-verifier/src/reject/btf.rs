//! [`BtfReject`]: reasons about pointers to what BTF describes.

kinds! {
    /// A reason about pointers to what BTF describes.
    enum BtfReject delegates {}
    InvalidTypeId { id: u32 } = EINVAL, "invalid type id {id}";
}
