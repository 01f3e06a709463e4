//! The bpf(2) surface: one source, two callers, the live kernel and Skep. See the package manifest.

mod maps;
