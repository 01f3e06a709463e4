//! `skep check` on typical mistakes: each must be told with its source line and a remedy, in the words of the file beside
//! it. `UPDATE=1` writes these files anew.

use crate::support::{decoded, example, skep_in};
use std::fs;
use std::path::{Path, PathBuf};

/// Mistakes that only users without capabilities can make.
const UNPRIVILEGED: [&str; 2] = ["secret-leaked", "uninitialised-stack"];

fn mistakes() -> Vec<(String, PathBuf)> {
    let dir = example("mistakes");
    let files = fs::read_dir(&dir).expect("examples/mistakes").map(|entry| entry.unwrap().path());
    let mut found: Vec<(String, PathBuf)> = files
        .filter_map(|path| {
            let name = path.file_name()?.to_str()?.strip_suffix(".bpf.o")?.to_owned();
            Some((name, path))
        })
        .collect();
    found.sort();
    found
}

fn told(dir: &Path, name: &str) -> String {
    let object = format!("{name}.bpf.o");
    let mut args = vec!["check", &object];
    if UNPRIVILEGED.contains(&name) {
        args.push("--unprivileged");
    }
    let (code, _, stderr) = decoded(&skep_in(dir, &args));
    assert_eq!(code, 1, "{name}: {stderr}");
    stderr
}

#[test]
fn each_mistake_is_told_with_its_line_and_a_remedy() {
    let mistakes = mistakes();
    assert!(mistakes.len() >= 20, "only {} mistakes", mistakes.len());
    let mut wrong = Vec::new();
    for (name, path) in mistakes {
        let told = told(path.parent().unwrap(), &name);
        assert!(path.with_file_name(format!("{name}.bpf.c")).exists(), "{name}: no source");
        // The line of the mistake is in the file itself.
        assert!(told.contains(&format!("--> {name}.bpf.c:")), "{told}");
        assert!(told.contains("= help: "), "{told}");
        let expected = path.with_file_name(format!("{name}.txt"));
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&expected, &told).expect("to write what was told");
        } else if fs::read_to_string(&expected).unwrap_or_default() != told {
            wrong.push(format!("{name}:\n{told}"));
        }
    }
    assert!(wrong.is_empty(), "not as in examples/mistakes/*.txt:\n{}", wrong.join("\n"));
}

#[test]
fn a_mistake_as_json() {
    let dir = PathBuf::from(example("mistakes"));
    let args = ["check", "--json", "--log-level", "5", "unchecked-lookup.bpf.o"];
    let (code, stdout, _) = decoded(&skep_in(&dir, &args));
    assert_eq!(code, 1);
    let all: serde_json::Value = serde_json::from_str(&stdout).expect("is JSON");
    let (one, told) = (&all[0], &all[0]["diagnosis"]);
    assert_eq!(one["errno"], "EACCES");
    assert_eq!(told["reason"], "R6 invalid mem access 'map_value_or_null'");
    assert_eq!(told["at"]["source"], "event->time_ns = bpf_ktime_get_ns();");
    let register = &told["registers"][0];
    assert_eq!(register["name"], "R6");
    assert_eq!(register["state"], "map_value_or_null(id=1,map=events,ks=4,vs=72)");
    assert!(register["set_at"]["text"].as_str().unwrap().contains("bpf_map_lookup_elem"), "{told}");
    assert!(told["help"].as_str().unwrap().contains("NULL"), "{told}");
    let log = one["log"].as_str().unwrap();
    assert!(
        log.contains("\nR6 invalid mem access 'map_value_or_null'\nverification time "),
        "{log}"
    );
    assert!(log.contains("\nstack depth 8\nprocessed "), "{log}");
}
