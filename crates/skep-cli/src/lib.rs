//! Parts of the `skep` program that tests and fuzz targets reach.
#![forbid(unsafe_code)]

pub mod capture;
