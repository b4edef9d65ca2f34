//! A file of Rust as the rules see it: with its text, and with the code alone.

use std::fs;
use std::path::Path;

/// A file of Rust.
pub(crate) struct Source {
    /// Relative to the root of the repository.
    pub(crate) path: String,
    pub(crate) text: String,
    /// The text with blanks for comments, for what stands in quotes, and for what only tests see.
    pub(crate) code: String,
    /// The examples in its documentation.
    pub(crate) examples: String,
    /// Whether another file includes it for tests alone.
    pub(crate) is_only_tests: bool,
    /// The modules in files of their own that only tests see.
    test_modules: Vec<String>,
}

impl Source {
    pub(crate) fn read(path: &str) -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        Self::new(path, &fs::read_to_string(file).expect("a file of the repository can be read"))
    }

    pub(crate) fn new(path: &str, text: &str) -> Self {
        let (code, test_modules) = without_tests(&blank(text));
        let fenced = text.lines().map(str::trim_start).scan(false, |is_example, line| {
            let line = line.strip_prefix("///").or(line.strip_prefix("//!")).unwrap_or_default();
            *is_example ^= line.trim_start().starts_with("```");
            Some(if *is_example { line } else { "" })
        });
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code,
            examples: fenced.collect::<Vec<_>>().join("\n"),
            is_only_tests: false,
            test_modules,
        }
    }

    /// The module of the library it belongs to: `hub` for `src/hub/topic.rs`.
    pub(crate) fn module(&self) -> &str {
        let inside = self.path.strip_prefix("src/").unwrap_or_default();
        inside.split(['/', '.']).next().unwrap_or_default()
    }

    /// Whether all of it is for tests or measurements.
    pub(crate) fn is_test(&self) -> bool {
        let outside = ["tests/", "benches/"].iter().any(|folder| self.path.starts_with(folder));
        outside || self.is_only_tests
    }

    /// Where `what` stands in the code, not as a part of a longer word.
    pub(crate) fn find<'s>(&'s self, what: &'s str) -> impl Iterator<Item = usize> + 's {
        let begins = what.starts_with(is_word);
        let ends = what.ends_with(is_word);
        self.code.match_indices(what).map(|(at, _)| at).filter(move |at| {
            let before = self.code[..*at].chars().next_back().is_some_and(is_word);
            let after = self.code[at + what.len()..].chars().next().is_some_and(is_word);
            !(begins && before || ends && after)
        })
    }

    /// The code without any blanks.
    pub(crate) fn squeezed(&self) -> String {
        self.code.split_whitespace().collect()
    }

    /// The number of the line that the code at `at` stands in.
    pub(crate) fn line(&self, at: usize) -> usize {
        self.code[..at].matches('\n').count() + 1
    }

    pub(crate) fn complain(&self, at: usize, what: &str) -> String {
        format!("{}:{}: {what}", self.path, self.line(at))
    }

    /// How many `super` lead from this file's own module to the root.
    fn depth(&self) -> usize {
        let inside = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        inside.trim_end_matches("/mod").split('/').count()
    }
}

/// The files that belong to modules which `source` declares for tests alone.
pub(crate) fn items_of_cfg_test(source: &Source) -> Vec<String> {
    let own = source.path.trim_end_matches(".rs");
    let folder = own.trim_end_matches("/mod").trim_end_matches("/lib");
    let files = source
        .test_modules
        .iter()
        .flat_map(|module| [format!("{folder}/{module}.rs"), format!("{folder}/{module}/mod.rs")]);
    files.collect()
}

/// Every path in the code that begins at the root of the library, with where it stands: both
/// `crate::…` and as many `super::` as lead there. Groups in braces are taken apart.
pub(crate) fn paths(source: &Source) -> Vec<(usize, String)> {
    let to_root = "super::".repeat(source.depth());
    let mut found = Vec::new();
    for root in ["crate::", to_root.as_str()] {
        for at in source.find(root).collect::<Vec<_>>() {
            let tree = tree(&source.code[at + root.len()..]);
            expand("", &tree, &mut |path| found.push((at, path)));
        }
    }
    found
}

/// The path that `code` begins with, with its groups and without blanks.
fn tree(code: &str) -> String {
    let mut depth = 0;
    let part = code.chars().take_while(|c| {
        depth += usize::from(*c == '{');
        let is_part = depth > 0 || is_word(*c) || *c == ':';
        depth -= usize::from(*c == '}' && depth > 0);
        is_part
    });
    part.filter(|c| !c.is_whitespace()).collect()
}

/// Gives `each` every path that `tree` stands for, behind `prefix`.
fn expand(prefix: &str, tree: &str, each: &mut impl FnMut(String)) {
    let Some((head, group)) = tree.split_once('{') else {
        return each(format!("{prefix}{tree}"));
    };
    let group = group.strip_suffix('}').unwrap_or(group);
    let mut depth = 0;
    let parts = group.split(|c| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    });
    for part in parts.filter(|part| !part.is_empty()) {
        expand(&format!("{prefix}{head}"), part, each);
    }
}

/// Takes out what stands behind `#[cfg(test)]`; returns the rest, and the modules in files of
/// their own that were declared there.
fn without_tests(code: &str) -> (String, Vec<String>) {
    let (mut rest, mut kept, mut modules) = (code, String::new(), Vec::new());
    while let Some((before, item)) = rest.split_once("#[cfg(test)]") {
        kept.push_str(before);
        let len = item_len(item);
        let (item, after) = item.split_at(len);
        let name = item.trim_end_matches(';').split_whitespace().next_back();
        if item.ends_with(';') && item.contains("mod ") {
            modules.extend(name.map(str::to_owned));
        }
        kept.extend(item.chars().filter(|c| *c == '\n'));
        rest = after;
    }
    kept.push_str(rest);
    (kept, modules)
}

/// How long the item is that `code` begins with: to its semicolon, or to its closing brace.
fn item_len(code: &str) -> usize {
    let mut depth = 0;
    for (at, c) in code.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return at + 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

/// Puts blanks for comments and for what stands in quotes. Lines stay where they are.
fn blank(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_inside_word = code.ends_with(is_word);
        let len = hidden_len(rest, is_inside_word);
        let (hidden, after) = rest.split_at(len.unwrap_or(first.len_utf8()));
        match len {
            Some(_) => code.extend(hidden.chars().map(|c| if c == '\n' { c } else { ' ' })),
            None => code.push_str(hidden),
        }
        rest = after;
    }
    code
}

/// How long the comment or the literal is that `rest` begins with, if it begins with one.
fn hidden_len(rest: &str, is_inside_word: bool) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(rest.find("*/").map_or(rest.len(), |at| at + 2));
    }
    if rest.starts_with('"') {
        return Some(quoted_len(rest, '"'));
    }
    if let Some(raw) = rest.strip_prefix('r').filter(|_| !is_inside_word) {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        let end = format!("\"{}", "#".repeat(hashes));
        let inner = raw[hashes..].strip_prefix('"')?;
        return Some(inner.find(&end).map_or(rest.len(), |at| 2 + hashes + at + end.len()));
    }
    // A lifetime is not followed by a quote, a character is.
    let mut chars = rest.strip_prefix('\'')?.chars();
    let is_character = chars.next() == Some('\\') || chars.next() == Some('\'');
    is_character.then(|| quoted_len(rest, '\''))
}

fn quoted_len(rest: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        if c == quote && !is_escaped {
            return at + 1;
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    rest.len()
}

pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
