//! What stands below the options in a command's help: examples, each of which can be typed as it is, and what the exit status
//! says. A test holds every command to both.

/// Below the list of commands: the way from nothing to a request that is answered.
pub(super) const BEGIN: &str = "\
Where to begin:
  Beside one application, with flags alone. The file keys has the keys of that application, one a line, and mode 600:
    keyswap serve --upstream https://contoso.openai.azure.com --identity managed-identity --key-file keys

  For several clients, write a file keyswap.toml:
    keys = \"keys.toml\"
    [identities.machine]
    kind = \"managed-identity\"
    [resources.contoso]
    endpoint = \"https://contoso.openai.azure.com\"
    identity = \"machine\"
  then make a key, look whether all is well, and serve:
    keyswap keys new --client shop
    keyswap check
    keyswap serve

  Either way the identity needs the role Cognitive Services OpenAI User on that resource. The client calls
  http://127.0.0.1:8080 in place of the resource, with its key, and changes nothing else.

Each command has examples of its own: keyswap COMMAND --help";

pub(super) const SERVE: &str = "\
Examples:
  keyswap serve
  keyswap serve --config /etc/keyswap/keyswap.toml --requests text
  keyswap serve --upstream https://contoso.openai.azure.com --identity managed-identity --key-file keys

Exit status:
  0  it was stopped, by SIGTERM or SIGINT
  1  something broke that can never end while it serves
  2  settings, keys, certificates or arguments are wrong, or an address is taken: starting it again will not help";

pub(super) const CHECK: &str = "\
Examples:
  keyswap check
  keyswap check --config /etc/keyswap/keyswap.toml

Exit status:
  0  it can be served with; notes say what its owner should know
  2  settings, keys, certificates or arguments are wrong: every mistake is told, with its place and its fix";

pub(super) const CERT: &str = "\
Examples:
  keyswap cert ca --out ca contoso.openai.azure.com contoso.search.windows.net
  keyswap cert leaf --ca ca --out tls contoso.openai.azure.com contoso.search.windows.net
  eval \"$(keyswap env --for openai-0.28 --ca ca/ca.pem)\"";

pub(super) const CERT_CA: &str = "\
Examples:
  keyswap cert ca --out ca contoso.openai.azure.com contoso.search.windows.net

Exit status:
  0  both files are there
  2  they are not, or not anew: the arguments are wrong, or something stands in the way";

pub(super) const CERT_LEAF: &str = "\
Examples:
  keyswap cert leaf --ca ca --out tls contoso.openai.azure.com contoso.search.windows.net
  keyswap cert leaf --ca ca --out tls --replace contoso.openai.azure.com

Exit status:
  0  all files are there
  2  some are not, or not anew: the arguments are wrong, or something stands in the way";

pub(super) const ENV: &str = "\
Examples:
  eval \"$(keyswap env --for openai-0.28 --ca ca/ca.pem)\"
  keyswap env --for node --for curl --ca ca/ca.pem

Exit status:
  0  printed
  2  a file cannot be read or written, or the arguments are wrong";

pub(super) const COMPLETIONS: &str = "\
Examples:
  source <(keyswap completions bash)
  keyswap completions fish > ~/.config/fish/completions/keyswap.fish

Exit status:
  0  printed
  2  the arguments are wrong";

pub(super) const HEALTH: &str = "\
Examples:
  keyswap health
  keyswap health --live --admin 127.0.0.1:9091

Exit status:
  0  it is ready, or alive
  1  it is not, or does not answer
  2  the arguments are wrong";

pub(super) const DOCTOR: &str = "\
Examples:
  keyswap doctor --config keyswap.toml
  keyswap doctor --only identities.app --only resources.contoso
  keyswap doctor --strict --json

Exit status:
  0  nothing is wrong
  1  something is; with --strict also what could not be told
  2  the settings or the arguments are wrong, and nobody was asked";

pub(super) const WHY: &str = "\
Examples:
  keyswap why
  keyswap why x-keyswap-request-id: 8d6e0472-a298-4e1b-9d3f-62d932223c6c
  keyswap why --admin http://keyswap.internal:9090 --admin-secret-file secrets/admin

Exit status:
  0  it is told
  1  no such request is kept
  2  keyswap, or of several replicas one that may know more, could not be asked; or the arguments are wrong";

pub(super) const KEYS: &str = "\
Examples:
  keyswap keys new --client shop --resource contoso
  keyswap keys list
  keyswap keys rotate shop --keep 7d";

pub(super) const KEYS_NEW: &str = "\
Examples:
  keyswap keys new --client shop --resource contoso
  keyswap keys new --client shop --expires 2099-01-31 --note \"asked for by Ann\"
  KEY=$(keyswap keys new --client site --resource contoso-search --allow search-query)

Exit status:
  0  the key is listed, and was printed
  1  it is listed, and could not be printed: revoke it
  2  the file, the settings or the arguments are wrong, and nothing was written";

pub(super) const KEYS_LIST: &str = "\
Examples:
  keyswap keys list
  keyswap keys list --json --config /etc/keyswap/keyswap.toml
  keyswap keys list --from http://keyswap:9090 --admin-secret-file secrets/admin

Exit status:
  0  shown; with --from, everybody was heard and knows every key
  1  somebody was not heard, or does not know a key: then nothing is proven of one that nobody has seen
  2  the file, the settings or the arguments are wrong";

pub(super) const KEYS_NARROW: &str = "\
Examples:
  keyswap keys narrow shop --from http://keyswap:9090 --admin-secret-file secrets/admin
  keyswap keys narrow --write

Exit status:
  0  proposed, or as narrow as can be already; with --write, written
  1  nothing can be proposed, or what was seen is not known in full: standard error says why
  2  the file, the settings or the arguments are wrong, and nothing was written";

pub(super) const KEYS_ROTATE: &str = "\
Examples:
  keyswap keys rotate shop
  keyswap keys rotate shop --keep 12h --note \"for the new release\"

Exit status:
  0  the second key is listed, and was printed
  1  it is listed, and could not be printed: revoke it
  2  the file, the settings or the arguments are wrong, and nothing was written";

pub(super) const KEYS_REVOKE: &str = "\
Examples:
  keyswap keys revoke shop-2026-11-22
  keyswap keys revoke shop-2026-11-22 --now

Exit status:
  0  it is revoked
  1  it is revoked, and standard output takes no word of it
  2  the file, the settings or the arguments are wrong, and nothing was written";

pub(super) const KEYS_EXPIRE: &str = "\
Examples:
  keyswap keys expire shop-2026-11-22 --in 30d
  keyswap keys expire shop-2026-11-22 --at 2099-01-31T12:00:00Z

Exit status:
  0  it is written
  1  it is written, and standard output takes no word of it
  2  the file, the settings or the arguments are wrong, and nothing was written";

pub(super) const KEYS_VERIFY: &str = "\
Examples:
  printf %s \"$KEY\" | keyswap keys verify
  keyswap keys verify --json < key

Exit status:
  0  the key is good
  1  it is not, or is not listed
  2  the file, the settings, the arguments or standard input are wrong";

pub(super) const KEYS_IMPORT: &str = "\
Examples:
  az cognitiveservices account keys list --name contoso --resource-group ai | keyswap keys import --client shop
  az search query-key list --service-name contoso --resource-group ai | keyswap keys import --client site
  keyswap keys import --client shop --from /run/secrets/shop --expires 2099-01-31

Exit status:
  0  all of them are listed
  1  they are, and standard output takes no word of it
  2  the file, the settings, the arguments or a key are wrong, and nothing was written";

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory};

    use super::super::Cli;

    /// Every command, by the words that call it.
    fn each() -> Vec<(Vec<String>, Command)> {
        let mut tree = Cli::command();
        tree.build();
        let mut found = Vec::new();
        let mut open = vec![(vec!["keyswap".to_owned()], tree)];
        while let Some((words, command)) = open.pop() {
            for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
                open.push(([&words[..], &[below.get_name().to_owned()]].concat(), below.clone()));
            }
            found.push((words, command));
        }
        found
    }

    /// What a command's help has below its options.
    fn end(command: &Command) -> String {
        command.get_after_long_help().or(command.get_after_help()).map(ToString::to_string).unwrap_or_default()
    }

    /// The words of an example that are for keyswap, as a shell takes them apart.
    fn words(example: &str) -> Vec<String> {
        let ours = &example[example.find("keyswap ").expect("a call of keyswap")..];
        let ours = ours.split(['|', '<', '>', ')']).next().unwrap();
        let parts = ours.split('"').enumerate();
        // What stands between quotes is one word.
        let words = parts.flat_map(|(n, part)| match n % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect(),
            _ => vec![part.to_owned()],
        });
        words.collect()
    }

    #[test]
    fn every_command_has_examples_that_can_be_typed() {
        let mut count = 0;
        for (name, command) in each() {
            let end = end(&command);
            // Only the beginning that keyswap itself shows has calls elsewhere.
            let shown = end.split_once("Examples:\n").map(|(_, shown)| shown.split("\n\n").next().unwrap_or_default());
            let shown = shown.unwrap_or(&end);
            let is_call = |line: &&str| line.starts_with("  ") && line.contains("keyswap ");
            let examples: Vec<_> = shown.lines().filter(is_call).collect();
            assert!(!examples.is_empty(), "{name:?} shows no example");
            let own = |words: &[String]| words.starts_with(&name);
            assert!(examples.iter().any(|example| own(&words(example))), "{name:?} shows no example of itself");
            for example in examples {
                if let Err(error) = Cli::command().try_get_matches_from(words(example)) {
                    panic!("{example}: {error}");
                }
                count += 1;
            }
        }
        assert!(count > 25, "{count} examples");
    }

    #[test]
    fn every_command_says_what_it_and_its_exit_status_are_for() {
        for (name, command) in each() {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            assert!(about.len() > 15 && !about.ends_with('.'), "{name:?}: {about}");
            let end = end(&command);
            let said = end.split_once("\nExit status:\n").map(|(_, said)| said.lines().collect::<Vec<_>>());
            if command.has_subcommands() {
                assert_eq!(said, None, "{name:?}: its commands say it");
                continue;
            }
            let said = said.unwrap_or_default();
            assert!(said.first().is_some_and(|line| line.starts_with("  0  ")), "{name:?}: {said:?}");
            let is_told = |line: &str| matches!(line.as_bytes(), [b' ', b' ', b'0'..=b'9', b' ', b' ', _, ..]);
            assert!(said.iter().all(|line| is_told(line)), "{name:?}: {said:?}");
            // Wrong arguments are always 2: clap sees to it.
            assert!(said.iter().any(|line| line.starts_with("  2  ") && line.contains("arguments")), "{name:?}");
        }
    }

    #[test]
    fn every_argument_says_what_it_is_for_and_shows_its_variable() {
        let mut count = 0;
        for (name, command) in each() {
            for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
                let id = argument.get_id();
                let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
                assert!(help.len() > 5 && (!help.ends_with('.') || help.ends_with("...")), "{name:?} {id}: {help}");
                let takes = argument.get_action().takes_values();
                for value in argument.get_value_names().into_iter().flatten().filter(|_| takes) {
                    let plain = value.bytes().all(|byte| byte.is_ascii_uppercase() || b"-|".contains(&byte));
                    assert!(plain, "{name:?} {id}: {value}");
                }
                assert!(argument.get_env().is_none() || !argument.is_hide_env_set(), "{name:?} {id}");
                for value in argument.get_possible_values().iter().filter(|_| takes && id != "shell") {
                    assert!(value.get_help().is_some(), "{name:?} {id}: {}", value.get_name());
                }
                count += 1;
            }
        }
        assert!(count > 120, "{count} arguments");
    }
}
