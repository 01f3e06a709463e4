//! What works of a thing: shared by all descriptors.

pub use skep_maps::Support;
