//! `skep features`: what this version supports of Linux, from the descriptors of the library.

use crate::args::{FeaturesArgs, OutputFormat};
use crate::diagnostic::errno_name;
use crate::failure::Failure;
use crate::output::{Out, table};
use serde_json::{Value, json};
use skep::Support;
use skep::features::{Feature, Section, features};

pub(crate) fn run(args: &FeaturesArgs, out: &mut Out) -> Result<(), Failure> {
    let sections = features();
    match args.format.format() {
        OutputFormat::Json => {
            let each = sections.iter().map(|section| {
                let features = section.features.iter().map(to_json).collect::<Vec<_>>();
                json!({"title": section.title, "features": features})
            });
            out.json(&each.collect::<Vec<_>>())
        }
        OutputFormat::People => {
            for (index, section) in sections.iter().enumerate() {
                if index > 0 {
                    out.line("")?;
                }
                show(section, out)?;
            }
            Ok(())
        }
    }
}

fn support(support: Support) -> (&'static str, String) {
    match support {
        Support::Full => ("full", String::new()),
        Support::Partial(note) => ("partial", note.to_owned()),
        Support::No(errno, note) => ("no", format!("{note} ({})", errno_name(errno))),
    }
}

fn to_json(feature: &Feature) -> Value {
    let (support, note) = support(feature.support);
    let (major, minor) = feature.since;
    json!({
        "number": feature.number,
        "name": feature.name,
        "since": format!("{major}.{minor}"),
        "support": support,
        "note": note,
    })
}

fn show(section: &Section, out: &mut Out) -> Result<(), Failure> {
    out.line(format_args!(
        "{}: {} of {}",
        section.title,
        section.supported(),
        section.features.len()
    ))?;
    let rows = section.features.iter().map(|feature| {
        let (support, note) = support(feature.support);
        let (major, minor) = feature.since;
        vec![
            feature.number.map_or_else(String::new, |number| number.to_string()),
            feature.name.clone(),
            format!("{major}.{minor}"),
            support.to_owned(),
            note,
        ]
    });
    out.line(table(&[">", "name", "since", "support", "note"], rows))
}
