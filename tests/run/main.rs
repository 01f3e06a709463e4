//! One corpus, every engine, equal results.

mod conformance;
mod generated;
mod vectors;
