//! What broke on our side, or on the way.

use azure_emulator::{Door, Fault, Plane};
use tokio::task::JoinSet;

use crate::client::Answer;
use crate::gateway::LIMIT;
use crate::upstream::Upstream;
use crate::wire::with_timeouts;
use crate::world::{CHAT, Plan, World, saying};

const ASKED: &str = "asked for: POST /openai/deployments/gpt-4o/chat/completions\n";
const WHOSE: &str = "client:    chat, key chat\nresource:  ai, identity app\n";

async fn chat(world: &World) -> Answer {
    world.post(CHAT).key(&world.emulator.keys().openai).json(&saying("hello")).await
}

async fn says_why(world: &World, expected: &str) {
    world.says_why(&chat(world).await, &format!("{ASKED}{expected}{WHOSE}")).await;
}

fn where_entra_answers(fault: &'static str) -> Plan {
    Plan {
        before: Box::new(move |emulator| emulator.next(Plane::Entra, Fault::named(fault), 9999).unwrap()),
        ..Plan::default()
    }
}

#[tokio::test]
async fn no_token() {
    let world = where_entra_answers("wrong-secret").start().await;
    says_why(
        &world,
        "\
answered:  500, token-refused
step:      token
why:       no token: Entra refuses it (AADSTS7000215)
cure:      Put the value of the application's secret, which is not its id, where the identity's secret is.
",
    )
    .await;
    let world = where_entra_answers("503").start().await;
    says_why(
        &world,
        "\
answered:  503, token-unavailable
step:      token
why:       no token: its issuer cannot be reached or is busy
cure:      keyswap goes on asking. /health/ready shows how each token stands, and the log, in its lines \"no token\", what came in place of one.
",
    )
    .await;
}

#[tokio::test]
async fn no_connection() {
    let settings = |text: String, emulator: &azure_emulator::Emulator| {
        // Nobody listens on port 1.
        text.replace(&emulator.openai(Door::Behind), "https://127.0.0.1:1")
    };
    let world = Plan { settings: Box::new(settings), ..Plan::default() }.start().await;
    says_why(
        &world,
        "\
answered:  502, upstream-unreachable
step:      forward
why:       the upstream cannot be reached: no connection to 127.0.0.1:1: Connection refused (os error 111)
cure:      Mend what the reason names. A name: address in [resources.ai], or resolver in [egress]. A connection: the network, a firewall, a private endpoint. A proxy: proxy in [egress]. A certificate: ca in [egress].
",
    )
    .await;
}

#[tokio::test]
async fn no_free_connection() {
    let settings = |text: String, _: &_| {
        text.replace("[resources.ai]\n", "[resources.ai]\nconnections = 1\n") + "[timeouts]\nwait = \"200ms\"\n"
    };
    let world = Plan { settings: Box::new(settings), ..Plan::default() }.start().await;
    world.emulator.next(Plane::OpenAi, Fault::named("stall"), 1).unwrap();
    let mut stalled = JoinSet::new();
    let first = world.post(CHAT).key(&world.emulator.keys().openai);
    stalled.spawn(first.json(&saying("stalled")));
    world.emulator.journal().wait_for(|entry| entry.target == CHAT, LIMIT).await.unwrap();
    says_why(
        &world,
        "\
answered:  502, overloaded
step:      forward
why:       every connection that the resource may have is in use
cure:      Raise connections in [resources.ai], as far as the ports of the machine's NAT go, or run more replicas. How long a request waits for a free one is wait in [timeouts].
",
    )
    .await;
}

#[tokio::test]
async fn no_answer() {
    let world = with_timeouts("answer = \"300ms\"").start().await;
    world.azure_answers(Plane::OpenAi, "stall");
    says_why(
        &world,
        "\
answered:  504, upstream-timed-out
step:      forward
why:       the upstream did not answer in time
cure:      Azure was silent for longer than answer in [timeouts]. Raise that, if such requests may take longer; else see how Azure and that deployment are.
",
    )
    .await;
    world.azure_answers(Plane::OpenAi, "reset");
    says_why(
        &world,
        "\
answered:  502, upstream-lost
step:      forward
why:       the upstream connection was lost
cure:      Azure, or something on the way, has closed the connection; what was asked may have been done. If it happens again and again, see what on the way ends connections, and make idle in [timeouts] shorter than that does.
",
    )
    .await;
}

#[tokio::test]
async fn an_answer_that_leads_elsewhere() {
    let answer = "HTTP/1.1 302 Found\r\napim-request-id: of-azure\r\nlocation: https://elsewhere.example/\r\ncontent-length: 0\r\n\r\n";
    let upstream = Upstream::answering(answer.as_bytes()).await;
    let world = upstream.plan().start().await;
    let expected = "\
answered:  502, upstream-redirect
step:      upstream
why:       the upstream sends the client elsewhere
cure:      Set endpoint in [resources.ai] to the resource's own address: what answers there sends clients elsewhere.
";
    says_why(&world, expected).await;
}
