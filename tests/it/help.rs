//! Whoever knows nothing of it finds every command from `--help` alone, and what each is for. The README's table of them is
//! what that says: `BLESS=1 cargo test --test it help` writes it anew.

use std::fs;
use std::path::Path;

use crate::gateway::{directory, run};

/// A command, by the words that call it, and its help.
struct Found {
    words: Vec<String>,
    help: String,
}

impl Found {
    /// What it is for, in a line.
    fn about(&self) -> &str {
        self.help.lines().next().unwrap()
    }

    /// The lines below a heading, up to the next one.
    fn below(&self, heading: &str) -> Vec<&str> {
        let lines = self.help.lines().skip_while(|line| *line != heading).skip(1);
        lines.take_while(|line| line.is_empty() || line.starts_with(' ')).collect()
    }

    /// The commands that it names.
    fn commands(&self) -> Vec<String> {
        let names = self.below("Commands:").into_iter().filter_map(|line| line.split_whitespace().next());
        names.filter(|name| *name != "help").map(str::to_owned).collect()
    }
}

/// Every command, in the order in which it is met by somebody who follows the help.
fn each() -> Vec<Found> {
    let directory = directory(&[]);
    let mut found = Vec::new();
    let mut open = vec![Vec::new()];
    while let Some(words) = open.pop() {
        let arguments: Vec<&str> = words.iter().map(String::as_str).chain(["--help"]).collect();
        let (code, help, told) = run(directory.path(), &arguments, &[]);
        assert_eq!((code, told.as_str()), (Some(0), ""), "{words:?}");
        let command = Found { words, help };
        let below = command.commands().into_iter().map(|name| [&command.words[..], &[name]].concat());
        open.extend(below.rev());
        found.push(command);
    }
    found
}

#[test]
fn every_command_explains_itself() {
    let mut arguments = 0;
    for command in each() {
        let words = &command.words;
        assert!(command.about().len() > 15, "{words:?} says nothing: {}", command.help);
        let mut lines = command.help.lines().peekable();
        while let Some(line) = lines.next() {
            let depth = line.len() - line.trim_start().len();
            if !(2..=6).contains(&depth) || !line.trim_start().starts_with(['-', '<', '[']) {
                continue;
            }
            let beside = line.trim().split_once("  ").is_some_and(|(_, text)| text.trim().len() > 5);
            let below = lines.peek().is_some_and(|line| line.trim().len() > 5);
            assert!(beside || below, "{words:?}: {line}");
            arguments += 1;
        }
        if words.is_empty() {
            continue;
        }
        assert!(command.below("Examples:").iter().any(|line| line.contains("keyswap ")), "{words:?} shows no example");
        let is_leaf = command.commands().is_empty();
        assert_eq!(command.below("Exit status:").is_empty(), !is_leaf, "{words:?}: its exit status");
    }
    assert!(arguments > 120, "only {arguments} arguments were found");
}

/// Without a word it says as much: nobody has to know of --help.
#[test]
fn whoever_types_the_name_alone_is_shown_where_to_begin() {
    let directory = directory(&[]);
    let (code, answer, told) = run(directory.path(), &[], &[]);
    assert_eq!((code, answer.as_str()), (Some(2), ""));
    assert!(told.contains("\nCommands:\n") && told.contains("\nWhere to begin:\n"), "{told}");
}

/// The beginning that the help shows is one: its file and its commands are taken as they stand there. Only what serves is
/// left out, which would ask this machine for a token.
#[test]
fn the_beginning_that_the_help_shows_works() {
    let directory = directory(&[]);
    let (_, help, _) = run(directory.path(), &["--help"], &[]);
    let (_, begin) = help.split_once("\nWhere to begin:\n").expect("a beginning");
    let (_, begin) = begin.split_once("write a file keyswap.toml:\n").expect("a file of settings");
    let (file, begin) = begin.split_once("  then ").expect("commands after the file");
    fs::write(directory.path().join("keyswap.toml"), file).unwrap();
    let commands: Vec<_> = begin.lines().filter_map(|line| line.strip_prefix("    keyswap ")).collect();
    assert_eq!(commands.last(), Some(&"serve"));
    for command in &commands[..commands.len() - 1] {
        let words: Vec<_> = command.split(' ').collect();
        let (code, answer, told) = run(directory.path(), &words, &[]);
        assert_eq!(code, Some(0), "{command}: {told}");
        assert!(!answer.is_empty());
    }
    let (_, told, _) = run(directory.path(), &["check"], &[]);
    assert!(told.ends_with("client shop: inference on contoso\nok: 1 keys\n"), "{told}");
}

const BEGIN: &str =
    "<!-- The commands. Written by a test from what --help says: BLESS=1 cargo test --test it help -->\n";
const END: &str = "<!-- end of the commands -->";

#[test]
fn the_readme_names_every_command() {
    let rows = each().into_iter().filter(|command| command.commands().is_empty());
    let rows = rows.map(|command| format!("| `keyswap {}` | {} |\n", command.words.join(" "), command.about()));
    let said = format!("\n| command | |\n|---|---|\n{}\n", rows.collect::<String>());
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(&file).unwrap();
    let (before, rest) = readme.split_once(BEGIN).expect("the mark where the table begins");
    let (written, after) = rest.split_once(END).expect("the mark where it ends");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&file, [before, BEGIN, &said, END, after].concat()).unwrap();
    } else {
        assert!(written == said, "the README's table is not what --help says; BLESS=1 writes it anew");
    }
}
