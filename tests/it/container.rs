//! The Dockerfiles' own commands, run by hand: no container engine is needed to know that they work.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A Dockerfile of two stages: one that builds, and the image.
struct Recipe {
    build: Stage,
    image: Stage,
    /// Its own, so that what one recipe says about building does not undo what another has built.
    target: PathBuf,
}

/// What one stage begins with, and what it does.
struct Stage {
    from: String,
    instructions: Vec<(String, String)>,
}

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from, to).unwrap();
    }
}

impl Recipe {
    /// The Dockerfile at `path` in the repository.
    fn read(path: &str) -> Self {
        let mut stages: Vec<Stage> = Vec::new();
        for line in fs::read_to_string(repository().join(path)).unwrap().lines() {
            match line.split_once(' ') {
                None | Some(("#", _)) => {}
                Some(("FROM", from)) => stages.push(Stage { from: from.to_owned(), instructions: Vec::new() }),
                Some((instruction, rest)) => {
                    let stage = stages.last_mut().expect("a FROM first");
                    stage.instructions.push((instruction.to_owned(), rest.to_owned()));
                }
            }
        }
        let [build, image] = <[Stage; 2]>::try_from(stages).ok().expect("two stages");
        assert!(build.from.starts_with("docker.io/library/rust:"), "{}", build.from);
        let target = repository().join("target/container");
        Self { build, image, target }
    }

    /// Does what the first stage says, in an empty directory, which it gives back.
    fn build(&self) -> tempfile::TempDir {
        let source = tempfile::tempdir().unwrap();
        for (instruction, rest) in &self.build.instructions {
            match instruction.as_str() {
                "WORKDIR" => assert_eq!(rest, "/src"),
                "COPY" => {
                    let mut words: Vec<_> = rest.split(' ').collect();
                    let to = words.pop().unwrap();
                    for from in words {
                        let into = if to == "./" { from } else { to };
                        copy(&repository().join(from), &source.path().join(into));
                    }
                }
                "RUN" => {
                    let mut shell = Command::new("sh");
                    shell.args(["-ec", rest]).current_dir(source.path()).env("CARGO_TARGET_DIR", &self.target);
                    // What this tells about is whether the commands work; a fat release build tells no more.
                    shell.env("CARGO_PROFILE_RELEASE_LTO", "off").env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0");
                    let output = shell.output().unwrap();
                    assert!(output.status.success(), "{rest}: {}", String::from_utf8_lossy(&output.stderr));
                }
                other => panic!("this test does not know {other}"),
            }
        }
        source
    }

    /// What the image is told with this instruction.
    fn said(&self, name: &str) -> &str {
        let mut said = self.image.instructions.iter().filter(|(instruction, _)| instruction == name);
        said.next().map(|(_, rest)| rest.as_str()).unwrap_or_else(|| panic!("no {name}"))
    }

    /// The image runs as somebody who is not root, by number.
    fn assert_harmless(&self) {
        let user = self.said("USER");
        assert!(user.split(':').all(|id| id.parse::<u32>().is_ok_and(|id| id > 0)), "{user}");
    }
}

/// The binary that the second stage takes does what its ENTRYPOINT, CMD and HEALTHCHECK say.
#[test]
fn the_dockerfile_builds_what_it_runs() {
    let recipe = Recipe::read("Dockerfile");
    recipe.build();
    assert!(recipe.image.from.starts_with("gcr.io/distroless/"), "{}", recipe.image.from);
    assert_eq!(recipe.said("COPY"), "--from=build /src/target/guided/keyswap /usr/local/bin/keyswap");
    recipe.assert_harmless();
    assert_eq!(recipe.said("ENTRYPOINT"), r#"["/usr/local/bin/keyswap"]"#);
    assert_eq!(recipe.said("CMD"), r#"["serve"]"#);
    assert!(recipe.said("HEALTHCHECK").ends_with(r#"CMD ["/usr/local/bin/keyswap", "health"]"#));

    let binary = recipe.target.join("guided/keyswap");
    let empty = tempfile::tempdir().unwrap();
    let output = Command::new(&binary).arg("serve").current_dir(empty.path()).env_clear().output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.starts_with("keyswap.toml: not found"), "{told}");
    let output = Command::new(&binary).arg("health").env_clear().output().unwrap();
    assert_eq!(output.status.code(), Some(1), "nobody serves here");
}

/// The emulator's: the binary needs nothing around it, and is ready on the ports that the image exposes.
#[test]
fn the_emulators_dockerfile_builds_what_it_runs() {
    let recipe = Recipe::read("tests/emulator/Dockerfile");
    let source = recipe.build();
    assert_eq!(recipe.image.from, "scratch");
    assert_eq!(recipe.said("COPY"), "--from=build /src/azure-emulator /azure-emulator");
    recipe.assert_harmless();
    assert_eq!(recipe.said("EXPOSE"), "9440-9451");
    let words: Vec<String> = ["ENTRYPOINT", "CMD"]
        .iter()
        .flat_map(|name| serde_json::from_str::<Vec<String>>(recipe.said(name)).expect("a list"))
        .collect();
    let [program, listen, everywhere, port, first, json] = &words[..] else { panic!("{words:?}") };
    assert_eq!(
        [program, listen, everywhere, port, first, json],
        ["/azure-emulator", "--listen", "0.0.0.0", "--port", "9440", "--json"]
    );

    let binary = source.path().join("azure-emulator");
    let header = fs::read(&binary).unwrap();
    assert!(!header.windows(16).any(|bytes| bytes.starts_with(b"/lib64/ld-linux")), "it wants a loader");
    // On free ports: the image's own may be taken here.
    let mut child =
        Command::new(&binary).args([listen, everywhere, json]).env_clear().stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let ready: serde_json::Value = serde_json::from_str(&line).expect("a line when ready");
    assert!(ready["control"].as_str().unwrap().starts_with("http://localhost:"), "{line}");
}

/// One TLS stack, one HTTP client: seen in what the product is really built from.
#[test]
fn the_product_has_one_tls_stack() {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--edges", "normal", "--package", "keyswap", "--prefix", "none", "--locked"])
        .current_dir(repository())
        .output()
        .unwrap();
    let tree = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut names: Vec<_> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    names.sort_unstable();
    assert!(names.contains(&"hyper"), "{tree}");
    for unwanted in ["reqwest", "openssl", "openssl-sys", "native-tls", "ring", "azure-emulator"] {
        assert!(!names.contains(&unwanted), "{unwanted} is in the product");
    }
    let mut rustls: Vec<_> = tree.lines().filter(|line| line.starts_with("rustls v")).collect();
    rustls.iter_mut().for_each(|line| *line = line.trim_end_matches(" (*)"));
    rustls.dedup();
    assert_eq!(rustls.len(), 1, "{rustls:?}");
}
