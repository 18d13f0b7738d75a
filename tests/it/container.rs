//! The Dockerfile's own commands, run by hand: no container engine is needed to know that they work.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Two stages, and what each of them does.
struct Stage {
    image: String,
    instructions: Vec<(String, String)>,
}

fn stages() -> Vec<Stage> {
    let text = fs::read_to_string(repository().join("Dockerfile")).unwrap();
    let mut stages: Vec<Stage> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (instruction, rest) = line.split_once(' ').unwrap();
        if instruction == "FROM" {
            stages.push(Stage { image: rest.to_owned(), instructions: Vec::new() });
        } else {
            let stage = stages.last_mut().expect("a FROM first");
            stage.instructions.push((instruction.to_owned(), rest.to_owned()));
        }
    }
    stages
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

/// The build stage's COPY and RUN lines, in an empty directory; then the binary that the second stage takes does what
/// its ENTRYPOINT, CMD and HEALTHCHECK say.
#[test]
fn the_dockerfile_builds_what_it_runs() {
    let stages = stages();
    let [build, image] = &stages[..] else { panic!("two stages") };
    assert!(build.image.starts_with("docker.io/library/rust:"), "{}", build.image);
    let source = tempfile::tempdir().unwrap();
    // The release build of the demo has the same dependencies: they need not be built twice.
    let target = repository().join("target/container");
    for (instruction, rest) in &build.instructions {
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
                shell.args(["-ec", rest]).current_dir(source.path()).env("CARGO_TARGET_DIR", &target);
                // What this test tells about is whether the commands work; a fat release build tells no more.
                shell.env("CARGO_PROFILE_RELEASE_LTO", "off").env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0");
                let output = shell.output().unwrap();
                assert!(output.status.success(), "{rest}: {}", String::from_utf8_lossy(&output.stderr));
            }
            other => panic!("this test does not know {other}"),
        }
    }

    let said =
        |name: &str| image.instructions.iter().find(|(instruction, _)| instruction == name).map(|(_, rest)| rest);
    assert!(image.image.starts_with("gcr.io/distroless/"), "{}", image.image);
    assert_eq!(said("COPY").unwrap(), "--from=build /src/target/release/keyswap /usr/local/bin/keyswap");
    let user = said("USER").unwrap();
    assert!(
        user.split(':').all(|id| id.parse::<u32>().is_ok_and(|id| id > 0)),
        "a numeric user that is not root: {user}"
    );
    assert_eq!(said("ENTRYPOINT").unwrap(), r#"["/usr/local/bin/keyswap"]"#);
    assert_eq!(said("CMD").unwrap(), r#"["serve"]"#);
    assert!(said("HEALTHCHECK").unwrap().ends_with(r#"CMD ["/usr/local/bin/keyswap", "health"]"#));

    let binary = target.join("release/keyswap");
    let empty = tempfile::tempdir().unwrap();
    let output = Command::new(&binary).arg("serve").current_dir(empty.path()).env_clear().output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.starts_with("keyswap.toml: not found"), "{told}");
    let output = Command::new(&binary).arg("health").env_clear().output().unwrap();
    assert_eq!(output.status.code(), Some(1), "nobody serves here");
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
