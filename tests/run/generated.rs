//! Generated programs: the kernel must find most of them worth running.
use skep_host::kernel;
use skep_tests::differential::{Verdict, kernel::KernelJudge};
use skep_tests::generate::generate;

#[test]
fn kernel_rates() {
    if let Err(why) = kernel::available() {
        println!("skipped: {why}");
        return;
    }
    let judge = KernelJudge::new().unwrap();
    let mut why = std::collections::BTreeMap::<String, (u64, u64)>::new();
    let mut accepted = 0;
    for seed in 0..2000 {
        let p = generate(seed);
        let t=std::time::Instant::now(); let a = judge.ask(&p); let d=t.elapsed(); if d.as_millis()>50 {println!("{seed} {d:?} {:?}", a.verdict)}
        match a.verdict {
            Verdict::Accepted => {
                accepted += 1;
                if let Some(Err(e)) = a.run {
                    println!("{seed} {e}");
                }
            }
            Verdict::Rejected(_) if p.comparable == skep_tests::generate::Comparable::No => {}
            Verdict::Rejected(w) => {
                let w: String = w.chars().filter(|c| !c.is_ascii_digit()).collect();
                let e = why.entry(w).or_insert((0, seed));
                e.0 += 1;
            }
            Verdict::Abstained(_) => unreachable!(),
        }
    }
    println!("accepted {accepted}");
    let mut why: Vec<_> = why.into_iter().collect();
    why.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    for (w, n) in why.iter().take(40) {
        println!("{n:?} {w}");
    }
}
