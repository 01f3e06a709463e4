//! One corpus, every engine, equal results.

mod conformance;
mod examples;
mod generated;
mod vectors;
