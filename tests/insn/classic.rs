//! Classic BPF against the live kernel: the same filters are valid, and translated ones mean the same.

use skep::{System, TestRun};
use skep_abi::insn::cbpf::{AD_OFF, Flavor, SockFilter, check, image_program};
use skep_host::kernel::{ClassicSocket, seccomp_accepts};
use skep_tests::random::Rng;

const fn f(code: u16, jt: u8, jf: u8, k: u32) -> SockFilter {
    SockFilter { code, jt, jf, k }
}

/// Opcodes of classic BPF, by bits and independent of Skep's table: of class, size and mode, or class, operation, source.
fn any_code(rng: &mut Rng) -> u16 {
    let class = rng.below(8) as u16;
    class | (rng.below(32) as u16) << 3
}

#[test]
fn sockets_take_the_filters_that_check_takes() {
    if !skep_tests::has_live_kernel() {
        return;
    }
    let mut rng = Rng::new(1);
    let (mut valid, mut invalid) = (0, 0);
    for code in 0..=0x1ff {
        for k in [
            0,
            1,
            15,
            16,
            31,
            32,
            AD_OFF - 1,
            AD_OFF,
            AD_OFF + 3,
            AD_OFF + 60,
            AD_OFF + 64,
            u32::MAX,
        ] {
            for (jt, jf) in [(0, 0), (1, 0), (0, 1)] {
                compare(&[f(code, jt, jf, k), f(0x06, 0, 0, 0)], &mut valid, &mut invalid);
                compare(&[f(0x02, 0, 0, k), f(code, jt, jf, k)], &mut valid, &mut invalid);
            }
        }
    }
    for _ in 0..20_000 {
        let len = 1 + rng.below(6);
        let filter: Vec<_> = (0..len)
            .map(|at| match rng.below(if at + 1 == len { 2 } else { 8 }) {
                0 => f(0x06, 0, 0, 0),
                1 => f(any_code(&mut rng), 0, 0, rng.below(18) as u32),
                2 | 3 => f([0x02, 0x03][rng.below(2)], 0, 0, rng.below(3) as u32),
                4 | 5 => f([0x60, 0x61][rng.below(2)], 0, 0, rng.below(3) as u32),
                6 => f(0x15, rng.below(4) as u8, rng.below(4) as u8, 0),
                _ => f(0x05, 0, 0, rng.below(4) as u32),
            })
            .collect();
        compare(&filter, &mut valid, &mut invalid);
    }
    assert!(valid > 1_000 && invalid > 1_000, "{valid} {invalid}");
}

fn compare(filter: &[SockFilter], valid: &mut u32, invalid: &mut u32) {
    let ours = check(filter, Flavor::Socket);
    let theirs = ClassicSocket::attach(filter).map(|_| ());
    assert_eq!(ours.map_err(|e| e.errno()), theirs, "{ours:?}\n{}", image_program(filter));
    *(if ours.is_ok() { valid } else { invalid }) += 1;
}

#[test]
fn seccomp_takes_the_filters_that_check_takes() {
    if !skep_tests::has_live_kernel() {
        return;
    }
    const ALLOW: SockFilter = f(0x06, 0, 0, 0x7fff_0000);
    let (mut valid, mut invalid) = (0, 0);
    for code in 0..=0xff {
        // A filter that returns something else would kill the thread that tries it.
        let k = if code == 0x06 { ALLOW.k } else { 4 };
        for k in [k, if code == 0x06 { k } else { 64 }] {
            if matches!(code, 0x16) {
                continue;
            }
            // X is 1 and M[4] written, so that a division does not end the filter.
            let filter = [
                f(0x01, 0, 0, 1),
                f(0x02, 0, 0, 4),
                f(code, 0, 0, k),
                ALLOW,
                ALLOW,
                ALLOW,
                ALLOW,
                ALLOW,
            ];
            let ours = check(&filter, Flavor::Seccomp);
            let theirs = seccomp_accepts(&filter);
            assert_eq!(ours.map_err(|e| e.errno()), theirs, "{ours:?}\n{}", image_program(&filter));
            *(if ours.is_ok() { &mut valid } else { &mut invalid }) += 1;
        }
    }
    assert!(valid > 50 && invalid > 100, "{valid} {invalid}");
}

/// The filter's result after translation, verification and a checked run of the interpreter.
fn run(system: &System, filter: &[SockFilter], data: &[u8]) -> u64 {
    let describe = || image_program(filter);
    let prog = system
        .load_classic("filter", filter, Flavor::Socket)
        .unwrap_or_else(|e| panic!("a valid filter is refused: {e}\n{}", describe()));
    // A test run begins with a link header, which the filter does not see.
    let frame = [&[0; 14], data].concat();
    let output = system.test_run(&prog, &TestRun { data_in: &frame, ..TestRun::default() });
    output.unwrap_or_else(|e| panic!("{e}\n{}", describe())).retval.into()
}

/// A random valid filter that ends by returning 8 bits of A, plus one: all that a packet's length can show at once.
fn random_filter(rng: &mut Rng, shift: u32) -> Vec<SockFilter> {
    // Every operation but ancillary loads, which say more about the socket than about the filter.
    const CODES: [u16; 46] = [
        0x20, 0x28, 0x30, 0x40, 0x48, 0x50, 0x80, 0x00, 0x60, 0x01, 0x61, 0x81, 0xb1, 0x02, 0x03,
        0x04, 0x0c, 0x14, 0x1c, 0x24, 0x2c, 0x34, 0x3c, 0x44, 0x4c, 0x54, 0x5c, 0x64, 0x6c, 0x74,
        0x7c, 0x94, 0x9c, 0xa4, 0xac, 0x84, 0x05, 0x15, 0x1d, 0x25, 0x2d, 0x35, 0x3d, 0x45, 0x4d,
        0x07,
    ];
    let len = 1 + rng.below(30);
    let mut filter: Vec<_> = (0..16).map(|k| f(0x02, 0, 0, k)).collect();
    for left in (0..len).rev() {
        let skip = |rng: &mut Rng| rng.below(left.min(5) + 1) as u8;
        let code = if rng.chance(5) { 0x87 } else { rng.pick(&CODES) };
        let imm = rng.imm() as u32;
        filter.push(match code {
            0x20 | 0x28 | 0x30 | 0x40 | 0x48 | 0x50 | 0xb1 => f(code, 0, 0, rng.below(300) as u32),
            0x60 | 0x61 | 0x02 | 0x03 => f(code, 0, 0, imm % 16),
            0x34 | 0x94 => f(code, 0, 0, imm.max(1)),
            0x64 | 0x74 => f(code, 0, 0, imm % 32),
            0x05 => f(code, 0, 0, skip(rng).into()),
            0x15..=0x4d if code & 7 == 5 => f(code, skip(rng), skip(rng), imm),
            // Small values of X and A keep indirect loads in the packet now and then.
            0x00 | 0x01 => f(code, 0, 0, if rng.chance(70) { imm % 200 } else { imm }),
            _ => f(code, 0, 0, imm),
        });
    }
    filter.extend([f(0x74, 0, 0, shift), f(0x54, 0, 0, 0xff), f(0x04, 0, 0, 1), f(0x16, 0, 0, 0)]);
    filter
}

#[test]
fn translated_filters_do_what_the_kernel_does() {
    if !skep_tests::has_live_kernel() {
        return;
    }
    let system = System::with_checks();
    let mut rng = Rng::new(2);
    let (mut passed, mut dropped) = (0, 0);
    for round in 0..10_000 {
        let filter = random_filter(&mut rng, round % 4 * 8);
        let data: Vec<u8> = (0..256).map(|_| rng.bits() as u8).collect();
        let socket = ClassicSocket::attach(&filter)
            .unwrap_or_else(|e| panic!("{e}\n{}", image_program(&filter)));
        let theirs = socket.filter(&data).unwrap().unwrap_or(0) as u64;
        // A packet cannot grow by a filter that returns more than its length.
        assert_eq!(
            run(&system, &filter, &data).min(data.len() as u64),
            theirs,
            "{}",
            image_program(&filter)
        );
        *(if theirs == 0 { &mut dropped } else { &mut passed }) += 1;
    }
    assert!(passed > 3_000 && dropped > 1_000, "{passed} {dropped}");
}
