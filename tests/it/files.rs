//! The example files are true.

use std::path::Path;

use keyswap::keys::Keys;
use keyswap::settings::Settings;

#[test]
fn the_examples_can_be_used_as_they_are() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let settings = Settings::read(&directory.join("example.toml")).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let keys = Keys::read(&settings).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    assert_eq!(settings.resources.len(), 2);
    assert_eq!(keys.len(), 4);
}

/// The reader itself says which keys it knows, when it meets one that it does not: so every table of the example is
/// given a stranger, and what is known must stand in the example.
#[test]
fn the_example_shows_every_key_that_there_is() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let example = std::fs::read_to_string(directory.join("example.toml")).unwrap();
    let strange: String = example
        .lines()
        .flat_map(|line| if line.starts_with('[') { vec![line, "stranger = 1"] } else { vec![line] })
        .collect::<Vec<_>>()
        .join("\n");
    let strange = format!("stranger = 1\n{strange}");
    let mistakes = Settings::parse(Path::new("example.toml"), &strange).unwrap_err();
    let tables = example.lines().filter(|line| line.starts_with('[')).count();
    assert_eq!(mistakes.0.len(), tables + 1, "{mistakes}");
    let readme = std::fs::read_to_string(directory.join("../README.md")).unwrap();
    for mistake in &mistakes.0 {
        let (_, known) = mistake.fix.split_once("known here: ").unwrap_or_else(|| panic!("{mistake}"));
        for key in known.split(", ") {
            let shown = [format!("{key} = "), format!("[{key}]"), format!("[{key}.")];
            assert!(shown.iter().any(|form| example.contains(form)), "{key} is not in the example ({mistake})");
            let listed = [format!("`{key}`"), format!(".{key}`"), format!("`{key}.")];
            assert!(listed.iter().any(|form| readme.contains(form)), "{key} is not in the README's table ({mistake})");
        }
    }
}

/// Every reason that an answer can carry is explained to the person who reads it.
#[test]
fn the_readme_explains_every_reason() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = ["src/refusal.rs", "src/fault.rs"].map(|file| std::fs::read_to_string(root.join(file)).unwrap());
    let source = source.concat();
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let reasons: Vec<_> = source
        .lines()
        .filter_map(|line| line.trim().split_once("=> \"")?.1.strip_suffix("\","))
        .filter(|word| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'))
        .collect();
    assert!(reasons.len() > 15, "{reasons:?}");
    for reason in reasons {
        assert!(readme.contains(&format!("`{reason}`")), "{reason} is not in the README");
    }
}
