//! `xtask objects`: opens many objects with `skep-elf` and with libbpf, and compares what comes out.
//!
//! libbpf is the oracle; it is built only with the cargo feature `oracle`, since it needs libelf and zlib.
//! Prepares objects in the live kernel, so it needs root.

pub(crate) mod build;
#[cfg(feature = "oracle")]
mod facts;
pub(crate) mod host;
#[cfg(feature = "oracle")]
mod oracle;
#[cfg(feature = "oracle")]
mod ours;
#[cfg(feature = "oracle")]
mod run;

use std::error::Error;
use std::path::PathBuf;

/// `xtask objects`
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Tree of a kernel's source, for its BPF self-tests.
    #[arg(long)]
    kernel_src: Option<PathBuf>,
    /// Also the objects in Debian packages.
    #[arg(long)]
    debs: bool,
    /// Further objects.
    objects: Vec<PathBuf>,
    /// Link each object alone, with both linkers, and compare that too.
    #[arg(long)]
    link_each: bool,
    /// Only objects whose name contains this.
    #[arg(long)]
    filter: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Where objects are built and kept.
    #[arg(long, default_value = "target/objects")]
    work: PathBuf,
}

#[cfg(not(feature = "oracle"))]
pub(crate) fn run(_args: &Args) -> Result<(), Box<dyn Error>> {
    Err("built without libbpf; use: cargo run --release --package xtask --features oracle -- objects …".into())
}

#[cfg(feature = "oracle")]
pub(crate) fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    run::run(args)
}
