//! See the package manifest.
