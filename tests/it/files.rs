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

/// Settings that are silent about a key hold what the README's table has for it. A default in words is no value.
#[test]
fn the_defaults_are_those_of_the_readme() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let silent = "keys = \"keys.toml\"\nlisten.http = \"127.0.0.1:8080\"\nlisten.trusted_proxies = [\"unix\"]\n\
                  usage.file = \"usage.json\"\nidentities.NAME.kind = \"managed-identity\"\n\
                  resources.NAME.identity = \"NAME\"\nresources.NAME.endpoint = \"https://contoso.openai.azure.com\"\n";
    let mut outspoken = silent.to_owned();
    let mut count = 0;
    let (_, table) = readme.split_once("| key | default | |\n|---|---|---|\n").unwrap();
    for row in table.lines().take_while(|row| row.starts_with('|')) {
        let cells: Vec<_> = row.split('|').map(quoted).collect();
        let [_, Some(keys), Some(values), ..] = &cells[..] else { continue };
        // Only a certificate has a chain to send.
        if keys[0].starts_with("identities.") {
            continue;
        }
        assert_eq!(keys.len(), values.len(), "{row}");
        let table = keys[0].rsplit_once('.').map_or("", |(table, _)| table);
        for (key, value) in keys.iter().zip(values) {
            let key = if key.starts_with('.') { format!("{table}{key}") } else { (*key).to_owned() };
            let plain = value.parse::<i64>().is_ok() || value.parse::<bool>().is_ok();
            let value = if plain { (*value).to_owned() } else { format!("\"{value}\"") };
            outspoken += &format!("{key} = {value}\n");
            count += 1;
        }
    }
    assert!(count >= 25, "{outspoken}");
    let read = |text| match Settings::parse(Path::new("keyswap.toml"), text) {
        Ok(settings) => format!("{settings:#?}"),
        Err(mistakes) => panic!("{mistakes}"),
    };
    assert_eq!(read(&outspoken), read(silent));
}

/// The words between backticks, where a cell has nothing but them.
fn quoted(cell: &str) -> Option<Vec<&str>> {
    cell.trim()
        .split(", ")
        .map(|word| word.strip_prefix('`')?.strip_suffix('`').filter(|word| !word.contains('`')))
        .collect()
}
