//! [`Known`]: the committed list of differences that are known, each with its reason.

use super::judge::{Class, Detail, Line};

const KNOWN: &str = include_str!("known.txt");

struct Entry {
    kind: &'static str,
    /// Whether it may also not hold: kernel trees differ in the program.
    depends_on_tree: bool,
    id: &'static str,
    reason: &'static str,
    /// Whether a case of this run has the name.
    is_seen: bool,
    /// Whether one of those differs.
    differs: bool,
}

/// The list, and which of it a run has used.
pub(super) struct Known(Vec<Entry>);

impl Known {
    /// Reads the list.
    ///
    /// # Errors
    /// The line that is not one.
    pub(super) fn read() -> Result<Known, String> {
        let lines = KNOWN.lines().filter(|l| !l.starts_with('#') && !l.trim().is_empty());
        let entry = |line: &'static str| {
            let (kind, rest) = line.split_once(' ')?;
            let (id, reason) = rest.rsplit_once(": ")?;
            let depends_on_tree = kind.starts_with('?');
            let kind = kind.trim_start_matches('?');
            Some(Entry { kind, depends_on_tree, id, reason, is_seen: false, differs: false })
        };
        let entries = lines
            .map(|l| entry(l).ok_or_else(|| format!("known.txt: not 'KIND ID: reason': {l}")))
            .collect::<Result<_, _>>()?;
        Ok(Known(entries))
    }

    /// Notes on a line why it differs, as far as that is known.
    pub(super) fn explain(&mut self, line: &mut Line) {
        let mut kinds: Vec<&str> = line.details.iter().map(|(d, _)| d.text()).collect();
        kinds.push(line.class.text());
        for entry in &mut self.0 {
            if !matches(entry.id, &line.id) || line.class == Class::NotAsked {
                continue;
            }
            // What is not supported yet cannot differ.
            entry.is_seen |= line.class != Class::Unsupported;
            if kinds.contains(&entry.kind) {
                entry.differs = true;
                line.known = Some(entry.reason.to_owned());
            }
        }
    }

    /// Entries that no longer hold.
    pub(super) fn stale(&self) -> Vec<String> {
        let stale = self.0.iter().filter(|e| e.is_seen && !e.differs && !e.depends_on_tree);
        stale.map(|e| format!("{} {}", e.kind, e.id)).collect()
    }
}

/// Whether a line is to be looked at: it differs, and nobody has said why.
pub(super) fn is_unexplained(line: &Line) -> bool {
    let bad = matches!(line.class, Class::UnsafeAccept | Class::FalseReject | Class::Bug)
        || line.details.iter().any(|(d, _)| matches!(d, Detail::Message | Detail::Retval));
    bad && line.known.is_none()
}

/// Whether text fits a pattern with `*`.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(first) = parts.next() else { return text.is_empty() };
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_stands_for_anything() {
        assert!(matches("a/b", "a/b"));
        assert!(!matches("a/b", "a/bc"));
        assert!(matches("a/*", "a/bc"));
        assert!(matches("a*c", "abc"));
        assert!(matches("*b*", "abc"));
        assert!(!matches("a*b*c", "acb"));
    }

    #[test]
    fn the_list_can_be_read() {
        assert!(super::Known::read().is_ok());
    }
}
