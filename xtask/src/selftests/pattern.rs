//! [`Pattern`]: what a test expects in a log: text with POSIX extended regular expressions in `{{` and `}}`.

/// A pattern.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Pattern {
    /// As written.
    pub(super) text: String,
    /// Whether it must not be there, between what is before it and what is after it.
    pub(super) is_absent: bool,
    nodes: Vec<Node>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Node {
    Byte(u8),
    Any,
    Class { negated: bool, ranges: Vec<(u8, u8)> },
    LineStart,
    LineEnd,
    Choice(Vec<Vec<Node>>),
    Repeat { node: Box<Node>, min: usize, max: usize },
}

impl Pattern {
    /// Text that stands for itself.
    pub(super) fn literal(text: &str) -> Pattern {
        Pattern {
            text: text.to_owned(),
            is_absent: false,
            nodes: text.bytes().map(Node::Byte).collect(),
        }
    }

    /// Text with `{{…}}`; `None` if that does not parse.
    pub(super) fn parse(text: &str) -> Option<Pattern> {
        let mut nodes = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            nodes.extend(before.bytes().map(Node::Byte));
            let (regex, tail) = after.split_once("}}")?;
            let mut parser = Parser { text: regex.as_bytes(), at: 0 };
            nodes.push(parser.choice()?);
            if parser.at != regex.len() {
                return None;
            }
            rest = tail;
        }
        nodes.extend(rest.bytes().map(Node::Byte));
        Some(Pattern { text: text.to_owned(), is_absent: false, nodes })
    }

    /// Where the first match from `from` on begins and ends.
    pub(super) fn find(&self, log: &str, from: usize) -> Option<(usize, usize)> {
        if self.nodes.iter().all(|n| matches!(n, Node::Byte(_))) {
            let at = from + log.get(from..)?.find(&self.text)?;
            return Some((at, at + self.text.len()));
        }
        (from..=log.len()).find_map(|start| {
            let mut end = None;
            matches(&self.nodes, log.as_bytes(), start, &mut |at| {
                end = Some(at);
                true
            });
            end.map(|end| (start, end))
        })
    }
}

/// The first of the patterns that is not as it should be: each follows the one before it. `None` if all are.
pub(super) fn first_missing<'a>(patterns: &'a [Pattern], log: &str) -> Option<&'a Pattern> {
    let mut at = 0;
    let mut absent: Vec<&Pattern> = Vec::new();
    for pattern in patterns {
        if pattern.is_absent {
            absent.push(pattern);
            continue;
        }
        let Some((start, end)) = pattern.find(log, at) else { return Some(pattern) };
        if let Some(found) = found_before(&absent, log, at, start) {
            return Some(found);
        }
        absent.clear();
        at = end;
    }
    found_before(&absent, log, at, log.len())
}

/// One of the patterns that has a match between two places.
fn found_before<'a>(
    patterns: &[&'a Pattern],
    log: &str,
    from: usize,
    to: usize,
) -> Option<&'a Pattern> {
    let part = log.get(..to)?;
    patterns.iter().find(|p| p.find(part, from).is_some()).copied()
}

fn matches(nodes: &[Node], text: &[u8], at: usize, then: &mut dyn FnMut(usize) -> bool) -> bool {
    let Some((first, rest)) = nodes.split_first() else { return then(at) };
    let byte = text.get(at).copied();
    let one =
        |ok: bool, then: &mut dyn FnMut(usize) -> bool| ok && matches(rest, text, at + 1, then);
    match first {
        Node::Byte(b) => one(byte == Some(*b), then),
        Node::Any => one(byte.is_some_and(|b| b != b'\n'), then),
        Node::Class { negated, ranges } => {
            let holds = |b: u8| ranges.iter().any(|(lo, hi)| (*lo..=*hi).contains(&b));
            let ok = byte.is_some_and(|b| holds(b) != *negated && !(*negated && b == b'\n'));
            one(ok, then)
        }
        Node::LineStart => {
            let ok = at == 0 || text.get(at - 1) == Some(&b'\n');
            ok && matches(rest, text, at, then)
        }
        Node::LineEnd => {
            let ok = byte.is_none_or(|b| b == b'\n');
            ok && matches(rest, text, at, then)
        }
        Node::Choice(choices) => {
            choices.iter().any(|c| matches(c, text, at, &mut |end| matches(rest, text, end, then)))
        }
        Node::Repeat { node, min, max } => {
            repeat(node, (*min, *max), text, at, &mut |end| matches(rest, text, end, then))
        }
    }
}

/// As many as there are, then fewer.
fn repeat(
    node: &Node,
    (min, max): (usize, usize),
    text: &[u8],
    at: usize,
    then: &mut dyn FnMut(usize) -> bool,
) -> bool {
    if max > 0 {
        let more = matches(std::slice::from_ref(node), text, at, &mut |end| {
            // An empty match once more would be one for ever.
            end > at && repeat(node, (min.saturating_sub(1), max - 1), text, end, then)
        });
        if more {
            return true;
        }
    }
    min == 0 && then(at)
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn choice(&mut self) -> Option<Node> {
        let mut choices = vec![Vec::new()];
        loop {
            match self.peek() {
                None | Some(b')') => return Some(Node::Choice(choices)),
                Some(b'|') => {
                    self.at += 1;
                    choices.push(Vec::new());
                }
                Some(_) => {
                    let node = self.repeated()?;
                    choices.last_mut()?.push(node);
                }
            }
        }
    }

    fn repeated(&mut self) -> Option<Node> {
        let mut node = self.atom()?;
        loop {
            let (min, max) = match self.peek() {
                Some(b'*') => (0, usize::MAX),
                Some(b'+') => (1, usize::MAX),
                Some(b'?') => (0, 1),
                Some(b'{') => {
                    let end = self.text[self.at..].iter().position(|b| *b == b'}')? + self.at;
                    let inner = std::str::from_utf8(&self.text[self.at + 1..end]).ok()?;
                    self.at = end;
                    match inner.split_once(',') {
                        None => (inner.parse().ok()?, inner.parse().ok()?),
                        Some((min, "")) => (min.parse().ok()?, usize::MAX),
                        Some((min, max)) => (min.parse().ok()?, max.parse().ok()?),
                    }
                }
                _ => return Some(node),
            };
            self.at += 1;
            node = Node::Repeat { node: Box::new(node), min, max };
        }
    }

    fn atom(&mut self) -> Option<Node> {
        Some(match self.next()? {
            b'.' => Node::Any,
            b'^' => Node::LineStart,
            b'$' => Node::LineEnd,
            b'\\' => Node::Byte(self.next()?),
            b'[' => self.class()?,
            b'(' => {
                let inner = self.choice()?;
                (self.next()? == b')').then_some(inner)?
            }
            byte => Node::Byte(byte),
        })
    }

    fn class(&mut self) -> Option<Node> {
        let negated = self.peek() == Some(b'^');
        self.at += usize::from(negated);
        let mut ranges = Vec::new();
        loop {
            match self.next()? {
                b']' if !ranges.is_empty() => return Some(Node::Class { negated, ranges }),
                b'[' if self.peek() == Some(b':') => {
                    let end = self.text[self.at..].windows(2).position(|w| w == b":]")? + self.at;
                    let name = &self.text[self.at + 1..end];
                    self.at = end + 2;
                    ranges.extend_from_slice(match name {
                        b"digit" => &[(b'0', b'9')],
                        b"xdigit" => &[(b'0', b'9'), (b'a', b'f'), (b'A', b'F')],
                        b"alpha" => &[(b'a', b'z'), (b'A', b'Z')],
                        b"alnum" => &[(b'0', b'9'), (b'a', b'z'), (b'A', b'Z')],
                        b"space" => &[(b' ', b' '), (9, 13)],
                        _ => return None,
                    });
                }
                low => {
                    let is_range = self.peek() == Some(b'-')
                        && self.text.get(self.at + 1).is_some_and(|b| *b != b']');
                    let high = if is_range {
                        self.at += 1;
                        self.next()?
                    } else {
                        low
                    };
                    ranges.push((low, high));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pattern: &str, log: &str) -> Option<String> {
        let (start, end) = Pattern::parse(pattern).expect("parses").find(log, 0)?;
        Some(log[start..end].to_owned())
    }

    #[test]
    fn text_stands_for_itself_outside_braces() {
        assert_eq!(found("R1 (w/o)", "x R1 (w/o) y").as_deref(), Some("R1 (w/o)"));
        assert_eq!(found("a.c", "abc"), None);
    }

    #[test]
    fn expressions_match_as_posix_ones() {
        assert_eq!(found("foo{{[0-9]+}}!", "foo foo007!").as_deref(), Some("foo007!"));
        assert_eq!(found("{{(a|bc)*}}d", "xbcad").as_deref(), Some("bcad"));
        assert_eq!(found("a{{.*}}b", "a\nab").as_deref(), Some("ab"));
        assert_eq!(found("{{^}}b{{$}}", "ab\nb\nbc").as_deref(), Some("b"));
        assert_eq!(found("{{([^ ]{2,3})}}", "a bcd").as_deref(), Some("bcd"));
        assert_eq!(found("{{[[:digit:]]?}}x", "12x").as_deref(), Some("2x"));
    }

    #[test]
    fn messages_follow_each_other() {
        let of = |texts: &[&str]| -> Vec<Pattern> {
            texts.iter().map(|t| Pattern::literal(t)).collect()
        };
        assert_eq!(first_missing(&of(&["a", "b"]), "xaxb"), None);
        let missing = of(&["b", "a"]);
        assert_eq!(first_missing(&missing, "xaxb"), Some(&missing[1]));
        let mut between = of(&["a", "c", "b"]);
        between[1].is_absent = true;
        assert_eq!(first_missing(&between, "caxbc"), None);
        assert_eq!(first_missing(&between, "acb"), Some(&between[1]));
    }
}
