//! See the package manifest.
#![forbid(unsafe_code)]
