//! What the test binaries share: the live kernel and Skep as two callers of the same source.

pub mod differential;
pub mod examples;
pub mod functions;
pub mod generate;
pub mod native;
pub mod random;
pub mod reduce;

/// Whether there is a live kernel to compare with. Where there is none it says so, and the test returns.
///
/// # Panics
/// When there is none and the environment has `CI` set.
#[expect(clippy::print_stderr, reason = "a skipped test says why")]
pub fn has_live_kernel() -> bool {
    match skep_host::kernel::available() {
        Ok(()) => true,
        Err(why) => {
            eprintln!("skipped: {why}");
            false
        }
    }
}
