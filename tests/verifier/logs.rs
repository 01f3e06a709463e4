//! Whole logs of Skep beside the live kernel's.

use crate::cases::{Case, Kernel, all, kernel_maps, request, with_kernel_attr};
use crate::testenv::TestEnv;
use skep_host::kernel::{KernelMap, KernelProg, LoadAttr};
use skep_verifier::{Log, LogLevel, verify};
use std::path::Path;

fn ours(case: &Case) -> String {
    let env = TestEnv::new(case.kind, case.privilege);
    let mut log = Log::new(LogLevel::Full);
    let _ = verify(&request(case), &env, &mut log);
    log.text().to_owned()
}

fn kernels(case: &Case, maps: &[KernelMap]) -> String {
    with_kernel_attr(case, maps, |attr| {
        match KernelProg::load(&LoadAttr { log_level: 2, ..*attr }) {
            Ok(prog) => prog.log.clone(),
            Err(e) => e.log,
        }
    })
}

#[test]
fn scratch() {
    let Ok(dir) = std::env::var("LOGS") else { return };
    let maps = kernel_maps();
    for case in all() {
        if case.kernel == Kernel::NotAsked {
            continue;
        }
        let name = case.name.replace([' ', '/', ':'], "_");
        let write = |side: &str, text: String| {
            let dir = Path::new(&dir).join(side);
            std::fs::create_dir_all(&dir).unwrap();
            std::fs::write(dir.join(&name), text).unwrap();
        };
        write("skep", ours(&case));
        write("kernel", kernels(&case, &maps));
    }
}
