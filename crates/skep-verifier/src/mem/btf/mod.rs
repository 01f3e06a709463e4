//! Pointers to objects that BTF describes.
//!
//! - [`member`]: what lies in a structure at an offset;
//! - [`trust`]: what a pointer loaded from an object is worth;
//! - [`access`]: loads and stores through such pointers;
//! - [`writes`]: what a program type may write;
//! - [`ctx`]: contexts that are the arguments of a kernel function.

pub(crate) mod access;
pub(crate) mod ctx;
pub(crate) mod member;
pub(crate) mod trust;
pub(crate) mod writes;
