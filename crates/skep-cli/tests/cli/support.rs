//! Runs the `skep` program on the examples.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A file of the examples.
pub(crate) fn example(name: &str) -> String {
    format!("{}/../../examples/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Runs the program; gives exit code, standard output, standard error.
pub(crate) fn skep(args: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_skep")).args(args).output().expect("skep runs");
    decoded(&output)
}

/// Runs the program in a directory.
pub(crate) fn skep_in(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_skep"))
        .args(args)
        .current_dir(dir)
        .output()
        .expect("skep runs")
}

pub(crate) fn decoded(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("output is text");
    (output.status.code().expect("not killed"), text(&output.stdout), text(&output.stderr))
}

/// Plays a capture, expecting success; gives the JSON.
pub(crate) fn play(object: &str, capture: &str, more: &[&str]) -> Value {
    let (code, stdout, stderr) = play_raw(object, capture, more);
    assert_eq!((code, stderr.as_str()), (0, ""), "{object} on {capture}");
    serde_json::from_str(&stdout).expect("is JSON")
}

/// Plays a capture with `--json`.
pub(crate) fn play_raw(object: &str, capture: &str, more: &[&str]) -> (i32, String, String) {
    let (object, capture) = (at(object), at(capture));
    let mut args = vec!["play", &object, "--pcap", &capture, "--json"];
    args.extend(more);
    skep(&args)
}

/// A path as it is, or a file of the examples.
fn at(name: &str) -> String {
    if name.starts_with('/') { name.to_owned() } else { example(name) }
}

/// The map of a name in the result of a play.
pub(crate) fn map<'a>(result: &'a Value, name: &str) -> &'a Value {
    let maps = result["maps"].as_array().expect("maps");
    maps.iter().find(|map| map["name"] == name).unwrap_or_else(|| panic!("no map {name}: {result}"))
}

/// An empty directory for one test.
pub(crate) fn scratch(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).expect("directory is made");
    dir
}

/// Output of a tool that may be missing, except in CI.
pub(crate) fn tool(program: &str, args: &[&str]) -> Option<String> {
    match Command::new(program).args(args).output() {
        Ok(output) => {
            let (code, stdout, stderr) = decoded(&output);
            assert_eq!(code, 0, "{program} {args:?}: {stderr}");
            Some(stdout)
        }
        Err(err) => {
            assert!(std::env::var_os("CI").is_none(), "{program}: {err}");
            println!("skipped: {program}: {err}");
            None
        }
    }
}
