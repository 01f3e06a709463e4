//! The examples beside the live kernel, in one run: time of a packet, and time of a load.
//!
//! `cargo bench -p skep-tests --bench engine`. The kernel's program is compiled by its JIT, and its time
//! is what `BPF_PROG_TEST_RUN` reports over many repetitions; Skep's is measured in the same way.

use std::time::{Duration, Instant};

use skep::{LoadOptions, System, TestRun};
use skep_elf::{Object, OpenOptions};
use skep_host::kernel;
use skep_tests::{examples, has_live_kernel, native::Native};

const EXAMPLES: &[(&str, &str)] = &[
    ("ipproto.bpf.o", "ipproto"),
    ("portfilter.bpf.o", "portfilter"),
    ("sizes.bpf.o", "sizes_filter"),
    ("xdplb.bpf.o", "xdplb"),
];
const REPEAT: u32 = 2_000;
const LOADS: u32 = 50;

/// The fastest of several goes: what disturbs only ever adds.
fn fastest(goes: u32, mut run: impl FnMut()) -> Duration {
    (0..goes)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed()
        })
        .min()
        .unwrap_or_default()
}

#[expect(clippy::print_stdout, reason = "a benchmark prints its table")]
fn main() {
    if !has_live_kernel() {
        return;
    }
    // Every tenth packet of the example capture.
    let packets: Vec<_> = examples::packets().into_iter().step_by(10).collect();
    println!(
        "{:<12} {:>16} {:>16} {:>7}",
        "a packet", "kernel JIT, ns", "interpreter, ns", "ratio"
    );
    for (file, program) in EXAMPLES {
        let object =
            Object::open(program, &examples::read(file), &OpenOptions::default()).expect("opens");
        let native = Native::load(&object).expect("loads natively");
        let system = System::new();
        let loaded = system.load_object(&object, &LoadOptions::default()).expect("loads on Skep");
        let index = object.programs.iter().position(|p| p.name == *program).expect("the program");
        let ours = loaded.program(program).expect("the program");
        let (mut theirs_ns, mut ours_ns) = (0u64, 0u64);
        for packet in &packets {
            let run =
                kernel::TestRun { data: packet, repeat: REPEAT, ..kernel::TestRun::default() };
            let kernel = native.programs[index].test_run(&run).expect("runs natively");
            let run = TestRun { data_in: packet, repeat: REPEAT, ..TestRun::default() };
            let skep = system.test_run(ours, &run).expect("runs on Skep");
            theirs_ns += u64::from(kernel.duration_ns);
            ours_ns += u64::from(skep.duration_ns);
        }
        let count = packets.len() as u64;
        let ratio = ours_ns as f64 / theirs_ns.max(1) as f64;
        println!("{program:<12} {:>16} {:>16} {ratio:>7.1}", theirs_ns / count, ours_ns / count);
    }
    println!();
    println!("{:<12} {:>16} {:>16} {:>7}", "a load", "kernel, µs", "Skep, µs", "ratio");
    for (file, program) in EXAMPLES {
        let object =
            Object::open(program, &examples::read(file), &OpenOptions::default()).expect("opens");
        let theirs = fastest(LOADS, || drop(Native::load(&object).expect("loads natively")));
        let system = System::new();
        let ours = fastest(LOADS, || {
            drop(system.load_object(&object, &LoadOptions::default()).expect("loads on Skep"));
        });
        let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
        println!("{program:<12} {:>16} {:>16} {ratio:>7.2}", theirs.as_micros(), ours.as_micros());
    }
}
