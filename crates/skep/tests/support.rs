//! `docs/SUPPORT.md` is what the descriptors say.

use skep::features;

#[test]
fn the_page_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/SUPPORT.md");
    let want = features::render();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &want).unwrap();
    }
    let have = std::fs::read_to_string(path).unwrap_or_default();
    assert!(have == want, "docs/SUPPORT.md is out of date: run with UPDATE=1");
}

#[test]
fn every_kind_is_complete() {
    let sections = features::features();
    let count = |title: &str| sections.iter().find(|s| s.title == title).unwrap().features.len();
    assert_eq!(count("Helpers"), 211);
    assert_eq!(count("Map types"), 33);
    // 32 of Linux, and classic seccomp filters.
    assert_eq!(count("Program types"), 33);
}
