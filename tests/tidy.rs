//! What the house rules say and a compiler does not check: who may name whom, how long lines and
//! files may be, what must not stand in them, and that nothing is declared that nobody uses.
//!
//! Every rule is a function from a [`Source`] to complaints. Each is shown a bad snippet too, so
//! that it is known to be able to complain.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use source::{Source, items_of_cfg_test, paths};

#[path = "tidy/source.rs"]
mod source;

/// Who may import what of ours, and what it must never name. The reasons are in the front page of
/// the library.
const LAYERS: [(&str, &[&str], &[&str]); 14] = [
    ("base", &[], PURE),
    ("http", &["base"], PURE),
    ("proxy", &["base"], PURE),
    ("tls", &["base"], &["mio", "TcpStream", "TcpListener", "thread", "Instant::now"]),
    ("reactor", &["base"], &["rustls"]),
    ("ws", &["base", "http"], PURE),
    ("hub", &["base"], PURE),
    ("session", &["base", "http", "proxy", "ws"], PURE),
    ("worker", &["base", "http", "proxy", "ws", "tls", "hub", "session"], PURE),
    ("push", &["base", "http", "ws", "hub", "worker"], PURE),
    ("client", &["base", "http", "tls", "ws"], &["mio", "rustls", "std::thread"]),
    ("admin", &["base", "http", "tls", "worker::metrics", "worker::mesh"], PURE),
    ("backplane", &["base", "http", "tls", "worker::metrics", "worker::mesh"], &["mio"]),
    ("config", &["base", "http", "proxy", "tls::config", "worker::limits"], PURE),
];

/// Where everything comes together: who may import everything.
const TOP: [&str; 4] = ["cli", "lib", "main", "server"];

/// What code without the outside never names: sockets, threads, clocks, the system.
const PURE: &[&str] = &[
    "mio",
    "rustls",
    "socket2",
    "libc",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "std::thread",
    "Instant::now",
    "SystemTime",
];

/// Where `unsafe` may stand, each block with its reason.
const UNSAFE: [&str; 5] = [
    "src/reactor/socket.rs",
    "src/reactor/memory.rs",
    "src/reactor/affinity.rs",
    "src/reactor/fds.rs",
    "tests/support/alloc.rs",
];

/// Who speaks to a terminal.
const SPEAKERS: [&str; 5] = [
    "src/main.rs",
    "src/cli/",
    "loadgen/src/main.rs",
    "loadgen/src/report.rs",
    "loadgen/src/screen.rs",
];

/// The face of the library, where something may be offered that we ourselves do not use.
const FACE: [&str; 3] = ["src/worker/context.rs", "src/worker/mesh.rs", "src/ws/close.rs"];

/// Something is wrong at a line of a file.
type Complaints = Vec<String>;

#[test]
fn every_module_imports_only_what_its_layer_may() {
    report(&sources("src"), layers);
    let worker = |text| layers(&Source::new("src/worker/mod.rs", text));
    assert_eq!(worker("use crate::base::Key; use crate::hub::{Hub, WorkerId};"), [""; 0]);
    for bad in [
        "use crate::push::Push;",
        "use crate::{base::Key, reactor};",
        "fn f() { crate::server::start() }",
        "use std::net::TcpStream;",
        "fn f() { let now = Instant::now(); }",
    ] {
        assert_eq!(worker(bad).len(), 1, "{bad}");
    }
    let admin = |text| layers(&Source::new("src/admin/mod.rs", text));
    assert_eq!(admin("use crate::worker::{mesh::Handle, metrics};"), [""; 0]);
    assert_eq!(admin("use crate::worker::{mesh::Handle, Worker};").len(), 1);
    let nested = Source::new("src/ws/handshake/mod.rs", "use super::super::tls::Tls;");
    assert_eq!(layers(&nested).len(), 1, "super may lead to the root too");
    assert_eq!(layers(&Source::new("src/utils.rs", "")).len(), 1);
}

#[test]
fn lines_and_files_are_of_limited_length() {
    report(&all_sources(), lengths);
    let long = |text: String| lengths(&Source::new("src/hub/mod.rs", &text)).len();
    assert_eq!((long("ä".repeat(100)), long("a".repeat(101))), (0, 1));
    assert_eq!((long("\n".repeat(500)), long("\n".repeat(501))), (0, 1));
}

#[test]
fn every_file_says_what_it_is_for() {
    report(&all_sources(), purpose);
    assert_eq!(purpose(&Source::new("src/hub/mod.rs", "use a::b;")).len(), 1);
}

#[test]
fn nothing_unfinished_loud_or_unsound_is_left() {
    report(&all_sources(), bans);
    let complaints = |text| bans(&Source::new("src/hub/mod.rs", text)).len();
    for bad in [
        "fn f() { todo!() }",
        "fn f() { dbg!(1); }",
        "fn f() { println!() }",
        "fn f() { x.unwrap() }",
        "fn f() { unsafe { g() } }",
        "#[ignore]\nfn f() {}",
    ] {
        assert_eq!(complaints(bad), 1, "{bad}");
    }
    for good in [
        "#[cfg(test)]\nmod tests {\n fn f() { x.unwrap() }\n}",
        "// todo!()
const A: &str = \"dbg!\"; const B: char = '\"'; const C: &str = \"todo!\";",
        "const A: &str = r#\"a \"todo!\" stands here\"#; fn f<'a>(x: &'a str) {}",
        "#[ignore = \"takes an hour\"]\nfn f() {}",
        "fn f() { x.unwrap_or(1) }",
    ] {
        assert_eq!(complaints(good), 0, "{good}");
    }
}

#[test]
fn every_unsafe_block_says_why_it_is_sound() {
    report(&all_sources(), soundness);
    let complaints = |text| soundness(&Source::new("src/reactor/fds.rs", text)).len();
    assert_eq!(complaints("fn f() {\n    // SAFETY: g has no rules.\n    unsafe { g() }\n}"), 0);
    assert_eq!(complaints("fn f() {\n    unsafe { g() }\n}"), 1);
}

#[test]
fn nothing_is_public_that_nobody_uses() {
    let all = all_sources();
    report(&sources("src"), |source| unused(source, &all));
    let lonely = Source::new("src/a.rs", "pub fn lonely() {}\n#[cfg(test)]\nmod t { lonely(); }");
    assert_eq!(unused(&lonely, std::slice::from_ref(&lonely)).len(), 1);
    let user = Source::new("src/b.rs", "fn f() { lonely() }");
    assert_eq!(unused(&lonely, &[user]), [""; 0]);
}

#[test]
fn every_limit_is_looked_at() {
    let all = sources("src");
    report(&all, |source| ignored(source, &all));
    let text = "pub struct Limits { pub a_max: u32, pub b_max: u32 }\n\
                fn f(limits: &Limits) { if x > limits.a_max { Limits { b_max: 1 } } }";
    let limits = Source::new("src/a.rs", text);
    assert_eq!(ignored(&limits, std::slice::from_ref(&limits)), ["src/a.rs: b_max is never read"]);
}

#[test]
fn every_figure_is_counted_somewhere() {
    let all = sources("src");
    report(&[Source::read("src/worker/metrics.rs")], |table| uncounted(table, &all));
    let table = "metrics! {\n    a_total: Counter, \"A.\";\n    b: Gauge, \"B.\";\n}";
    let user = Source::new("src/b.rs", "fn f() { m.a_total\n    .add(1); m.b.get() }");
    let complaints = uncounted(&Source::new("src/m.rs", table), &[user]);
    assert_eq!(complaints, ["src/m.rs: b is never counted"]);
}

#[test]
fn the_tree_in_the_readme_is_the_tree() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).expect("there is a README");
    let mut files = BTreeSet::new();
    walk(&root.join("src"), &mut files);
    let complaints = misdrawn(&readme, &files);
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
    let readme = "# A\n```text\nsrc/\n  a.rs   what a is\n  b/     what b is\n    mod.rs  b\n```\n";
    let files = |names: &[&str]| names.iter().map(|name| format!("src/{name}")).collect();
    assert_eq!(misdrawn(readme, &files(&["a.rs", "b/mod.rs"])), [""; 0]);
    assert_eq!(
        misdrawn(readme, &files(&["a.rs", "b/mod.rs", "b/c.rs"])),
        ["src/b/c.rs: not drawn"]
    );
    assert_eq!(misdrawn(readme, &files(&["b/mod.rs"])), ["src/a.rs: drawn, but not there"]);
    assert_eq!(misdrawn("# A\n```\nmake\n```\n", &files(&[])).len(), 1);
}

/// Holds every path that begins at our own root, and every name of the outside, against `LAYERS`.
fn layers(source: &Source) -> Complaints {
    let module = source.module();
    if TOP.contains(&module) {
        return Vec::new();
    }
    let Some((_, allowed, banned)) = LAYERS.iter().find(|(layer, ..)| *layer == module) else {
        return vec![source.complain(0, "belongs to no layer")];
    };
    let is_allowed = |path: &str| {
        let leads_into = |place: &str| path == place || path.starts_with(&format!("{place}::"));
        leads_into(module) || allowed.iter().any(|place| leads_into(place))
    };
    let foreign = paths(source).into_iter().filter(|(_, path)| !is_allowed(path));
    let foreign = foreign.map(|(at, path)| source.complain(at, &format!("may not import {path}")));
    let named = banned.iter().flat_map(|name| {
        source.find(name).map(move |at| source.complain(at, &format!("may not name {name}")))
    });
    foreign.chain(named).collect()
}

fn lengths(source: &Source) -> Complaints {
    let lines = (1..).zip(source.text.lines());
    let long = lines.filter(|(_, line)| line.chars().count() > 100);
    let long = long.map(|(number, _)| format!("{}:{number}: over 100 columns", source.path));
    let count = source.text.lines().count();
    let whole = (count > 500).then(|| format!("{}: {count} lines", source.path));
    long.chain(whole).collect()
}

fn purpose(source: &Source) -> Complaints {
    let says = source.text.starts_with("//! ");
    (!says).then(|| source.complain(0, "opens without saying what it is for")).into_iter().collect()
}

fn bans(source: &Source) -> Complaints {
    let is_in = |places: &[&str]| places.iter().any(|place| source.path.starts_with(place));
    let mut banned = vec!["todo!", "unimplemented!", "dbg!", "#[ignore]"];
    if !is_in(&SPEAKERS) && !source.is_test() {
        banned.extend(["println!", "eprintln!", "print!", "eprint!"]);
    }
    if !source.is_test() {
        banned.push(".unwrap()");
    }
    if !is_in(&UNSAFE) {
        banned.extend(["unsafe {", "unsafe fn", "unsafe impl"]);
    }
    let found = banned
        .iter()
        .flat_map(|ban| source.find(ban).map(move |at| source.complain(at, &format!("has {ban}"))));
    found.collect()
}

/// The reason stands in the lines just above the block.
fn soundness(source: &Source) -> Complaints {
    let is_argued = |at: usize| {
        let above: Vec<_> = source.text.lines().take(source.line(at) - 1).map(str::trim).collect();
        let mut reason = above.iter().rev().take_while(|line| line.starts_with(['/', '#']));
        reason.any(|line| line.contains("SAFETY: "))
    };
    let blocks = ["unsafe {", "unsafe impl"].into_iter().flat_map(|block| source.find(block));
    let unargued = blocks.filter(|at| !is_argued(*at));
    unargued.map(|at| source.complain(at, "says not why it is sound")).collect()
}

/// Public items whose name stands nowhere else in `all`, tests at the foot of files aside.
fn unused(source: &Source, all: &[Source]) -> Complaints {
    if source.is_test() || FACE.contains(&source.path.as_str()) {
        return Vec::new();
    }
    let is_used = |name: &str, at: usize| {
        let is_elsewhere = |other: &Source| {
            other.find(name).any(|found| other.path != source.path || found != at)
                || other.examples.contains(name)
        };
        all.iter().any(is_elsewhere)
    };
    let items = source.find("pub").filter_map(|at| public_item(source, at));
    let lonely = items.filter(|(name, at)| !is_used(name, *at));
    lonely.map(|(name, at)| source.complain(at, &format!("nobody uses {name}"))).collect()
}

/// The name of what is made public at `at`, and where that name stands.
fn public_item(source: &Source, at: usize) -> Option<(&str, usize)> {
    const KINDS: [&str; 8] =
        ["const fn ", "fn ", "struct ", "enum ", "trait ", "type ", "const ", "static "];
    let item = source.code.get(at..)?.strip_prefix("pub")?;
    let item = match item.split_once(") ") {
        Some((_, item_behind)) if item.starts_with('(') => item_behind,
        _ => item.trim_start(),
    };
    let name = KINDS.iter().find_map(|kind| item.strip_prefix(kind))?;
    let at = source.code.len() - name.len();
    Some((name.split(|c| !source::is_word(c)).next()?, at))
}

/// Fields of a struct of limits that no code reads.
fn ignored(source: &Source, all: &[Source]) -> Complaints {
    let bodies = source.find("struct Limits").filter_map(|at| {
        source.code[at..].split_once('{').and_then(|(_, rest)| rest.split_once('}'))
    });
    let fields = bodies.flat_map(|(body, _)| body.split("pub ").skip(1));
    let names = fields.filter_map(|field| field.split_once(':')).map(|(name, _)| name.trim());
    let is_read = |name: &str| all.iter().any(|other| other.find(&format!(".{name}")).count() > 0);
    let unread = names.filter(|name| !is_read(name));
    unread.map(|name| format!("{}: {name} is never read", source.path)).collect()
}

/// Rows of the table of metrics that no code adds to.
fn uncounted(table: &Source, all: &[Source]) -> Complaints {
    let rows = table.code.split_once("metrics! {\n").map_or("", |(_, rest)| rest);
    let rows = rows.lines().take_while(|line| *line != "}");
    let names = rows.filter_map(|row| row.split_once(':')).map(|(name, _)| name.trim());
    let is_counted = |name: &str| {
        let ways = [".add(", ".observe("].map(|way| format!(".{name}{way}"));
        all.iter().any(|source| ways.iter().any(|way| source.squeezed().contains(way)))
    };
    let uncounted = names.filter(|name| !is_counted(name));
    uncounted.map(|name| format!("{}: {name} is never counted", table.path)).collect()
}

/// Holds the fenced block of the README that begins with `src/` against the files there are. A line
/// is a name, which ends in `/` if it is a folder, and what it is for; two blanks lead inwards.
fn misdrawn(readme: &str, files: &BTreeSet<String>) -> Complaints {
    let lines: Vec<_> = readme.lines().collect();
    let begins = |pair: &[&str]| match pair {
        [fence, first] => fence.starts_with("```") && first.starts_with("src/"),
        _ => false,
    };
    let Some(fence) = lines.windows(2).position(begins) else {
        return vec!["README.md: no block begins with src/".to_owned()];
    };
    let (mut drawn, mut folders) = (BTreeSet::new(), vec!["src/".to_owned()]);
    for line in lines.iter().skip(fence + 2).take_while(|line| !line.starts_with("```")) {
        let Some(name) = line.split_whitespace().next() else { continue };
        folders.truncate((line.len() - line.trim_start().len()) / 2);
        let path = format!("{}{name}", folders.last().map_or("", String::as_str));
        folders.push(path.clone());
        if !path.ends_with('/') {
            drawn.insert(path);
        }
    }
    let missing = files.difference(&drawn).map(|path| format!("{path}: not drawn"));
    missing
        .chain(drawn.difference(files).map(|path| format!("{path}: drawn, but not there")))
        .collect()
}

fn report(sources: &[Source], rule: impl Fn(&Source) -> Complaints) {
    let complaints: Complaints = sources.iter().flat_map(rule).collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

fn all_sources() -> Vec<Source> {
    ["src", "loadgen/src", "tests", "benches"].into_iter().flat_map(sources).collect()
}

/// Every file of Rust under `folder`, but for packages of their own.
fn sources(folder: &str) -> Vec<Source> {
    let mut files = BTreeSet::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut files);
    let is_rust = |file: &&String| Path::new(file).extension().is_some_and(|it| it == "rs");
    let rust = files.iter().filter(is_rust);
    let mut sources: Vec<_> = rust.map(|file| Source::read(file)).collect();
    let only_tests: BTreeSet<String> = sources.iter().flat_map(items_of_cfg_test).collect();
    for source in &mut sources {
        source.is_only_tests |= only_tests.contains(&source.path);
    }
    sources
}

/// Collects the files under `folder`, relative to the root of the repository.
fn walk(folder: &Path, files: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder of the repository can be read") {
        let path = entry.expect("so can its entries").path();
        let is_package = path.join("Cargo.toml").exists() || path.ends_with("target");
        if path.is_dir() && !is_package {
            walk(&path, files);
        } else if path.is_file() {
            let path = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).expect("it is below the root");
            files.insert(path.to_string_lossy().into_owned());
        }
    }
}
