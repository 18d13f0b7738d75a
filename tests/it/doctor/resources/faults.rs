use azure_emulator::{Fault, Plane, fault_names};

use super::Practice;

#[tokio::test]
async fn scratch() {
    let mut practice = Practice::open().await;
    practice.settings =
        practice.settings.replace("[resources.ai]\n", "[timeouts]\nanswer = \"500ms\"\n[resources.ai]\n");
    for (plane, resource, path) in [(Plane::OpenAi, "ai", "chat/completions"), (Plane::Search, "search", "$count")] {
        for name in fault_names(plane) {
            practice.emulator.next(plane, Fault::named(name).on(path), 9).unwrap();
            let findings = practice.findings(resource).await;
            let access = findings.iter().find(|finding| finding["check"] == "access").unwrap();
            println!("@@{plane} {name}\t{access}");
            practice.emulator.clear_faults();
        }
    }
}
