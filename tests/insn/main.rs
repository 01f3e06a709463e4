//! Instructions against the live kernel: decoder and disassembler against the verifier log, classic BPF against sockets
//! and seccomp.

mod classic;
mod kernel;

/// Whether the live kernel is there to compare with; else says why not.
fn has_kernel(test: &str) -> bool {
    match skep_host::kernel::available() {
        Ok(()) => true,
        Err(why) => {
            #[expect(clippy::print_stderr, reason = "a skipped test says why")]
            {
                eprintln!("{test} skipped: {why}");
            }
            false
        }
    }
}
