//! `keyswap why`: which step said no, why exactly, and what cures it. One row for each.

mod faults;
mod keeping;
mod refusals;
mod replicas;
mod trouble;

use azure_emulator::{Fault, Plane};
use serde_json::Value;

use crate::client::Answer;
use crate::gateway::run;
use crate::world::World;

impl World {
    /// What `keyswap why` says with these arguments: exit code, standard output, standard error.
    pub(crate) fn why(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let admin = self.gateway.admin.to_string();
        run(self.gateway.directory.path(), &[&["why", "--admin", &admin], arguments].concat(), &[])
    }

    /// Whoever asks why this answer came is told this, between the lines that say which request it was, and how Azure
    /// calls it and from whom it came.
    pub(crate) async fn says_why(&self, answer: &Answer, expected: &str) {
        self.says_why_of(answer.header("x-keyswap-request-id").unwrap(), expected).await;
    }

    /// The same, by the request's id.
    pub(crate) async fn says_why_of(&self, id: &str, expected: &str) {
        let line = self.gateway.told(|line| line["request"] == id).await;
        let text = |name: &str| line[name].as_str().unwrap_or_else(|| panic!("no {name} in {line}"));
        let which = format!("request:   {id}, {}\n", text("time"));
        let calls = line["upstream_request"].as_str().map(|id| format!(", request {id}")).unwrap_or_default();
        let azure = line["upstream_status"].as_u64().map(|status| format!("azure:     {status}{calls}\n"));
        let from = format!("from:      {}\n", text("from"));
        let whole = [&which, expected, azure.as_deref().unwrap_or_default(), &from].concat();
        assert_eq!(self.why(&[id]), (Some(0), whole, String::new()));
    }

    /// The account of a request, as JSON.
    fn account(&self, id: &str) -> Value {
        let (code, out, err) = self.why(&["--json", id]);
        assert_eq!((code, &*err), (Some(0), ""), "{out}");
        serde_json::from_str(&out).unwrap()
    }

    /// From now on Azure answers so, and no longer as before.
    fn azure_answers(&self, plane: Plane, fault: &str) {
        self.emulator.clear_faults();
        self.emulator.next(plane, Fault::named(fault), 9).unwrap();
    }
}
