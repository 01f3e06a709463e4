//! The verifier: bounds, verdicts. See the package manifest.

mod bounds;
mod cases;
mod hard;
mod logs;
mod spec;
mod testenv;
mod values;
