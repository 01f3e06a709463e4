//! Generated programs under both judges: the small run of `cargo xtask differential`.

use skep_tests::differential::campaign::Campaign;
use skep_tests::differential::{Class, corpus};

const PROGRAMS: u64 = 600;

#[test]
fn verdicts_and_results_equal_the_kernels() {
    if !skep_tests::has_live_kernel() {
        return;
    }
    let campaign = Campaign::new().unwrap();
    let report = campaign.run(1, PROGRAMS, &mut |_| {});
    assert_eq!(report.stopped, None);
    assert!(report.kernel_accepted * 100 >= PROGRAMS * 40, "too few are accepted: {report:?}");
    for finding in &report.findings {
        println!("{}", corpus::to_text(finding));
    }
    for class in [Class::UnsafeAccept, Class::Trapped, Class::DifferentResult] {
        assert_eq!(report.count(class), 0, "{class}");
    }
}
