//! An upstream that answers before it has the whole body, on which its request depends.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::{CHAT, JSON, plan_before};
use crate::client::request_text;
use crate::gateway::LIMIT;
use crate::world::{Plan, World};

/// A request whose body is still coming, and the upstream connection on which its head has arrived.
struct Asked {
    client: TcpStream,
    upstream: TcpStream,
    rest: String,
    _world: World,
}

impl Asked {
    /// Asks for this model, of which the upstream is not told yet.
    async fn for_model(model: &str, timeouts: &'static str) -> Self {
        let rest = format!(r#""messages":[],"model":"{model}"}}"#);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let plan = plan_before(format!("http://{}", listener.local_addr().unwrap()));
        let settings = plan.settings;
        let settings = move |text, emulator: &_| settings(text, emulator) + "[timeouts]\n" + timeouts;
        let world = Plan { settings: Box::new(settings), ..plan }.start().await;
        let key = world.emulator.keys().openai;
        let length = (1 + rest.len()).to_string();
        let headers = [("api-key", key.as_str()), ("content-type", JSON), ("content-length", &length)];
        let mut client = TcpStream::connect(world.gateway.http).await.unwrap();
        client.write_all(&[request_text("POST", CHAT, &headers), b"{".to_vec()].concat()).await.unwrap();
        let (mut upstream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(upstream.read_u8().await.unwrap());
        }
        Self { client, upstream, rest, _world: world }
    }

    /// The upstream's answer, to a request that is not whole.
    async fn answer(&mut self, status: &str, length: usize) {
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\nok");
        self.upstream.write_all(answer.as_bytes()).await.unwrap();
    }

    /// What the client gets when it has sent the rest, and what the upstream got of that.
    async fn end(mut self) -> (String, Vec<u8>) {
        self.client.write_all(self.rest.as_bytes()).await.unwrap();
        let (mut answer, mut got) = (String::new(), Vec::new());
        self.client.read_to_string(&mut answer).await.unwrap();
        if answer.contains("x-keyswap-reason") {
            // A reset, or an end.
            drop(self.upstream.read_to_end(&mut got).await);
        }
        (answer, got)
    }
}

/// An error passes, and a success waits for the condition.
#[tokio::test]
async fn a_success_does_not_begin_before_the_condition_holds() {
    for (early, model, expected) in [
        ("200 OK", "gpt-4o", "HTTP/1.1 200 OK\r\n"),
        ("200 OK", "tts", "HTTP/1.1 403 Forbidden\r\n"),
        ("307 Temporary Redirect", "tts", "HTTP/1.1 403 Forbidden\r\n"),
    ] {
        let asked = async {
            let mut asked = Asked::for_model(model, "").await;
            asked.answer(early, 2).await;
            asked.end().await
        };
        let (answer, got) = timeout(LIMIT, asked).await.expect("an end");
        assert!(answer.starts_with(expected), "{early} {model} {answer}");
        assert!(!got.ends_with(b"}"), "{}", String::from_utf8_lossy(&got));
    }
    let mut asked = Asked::for_model("tts", "").await;
    asked.answer("429 Too Many Requests", 2).await;
    // It is there before the body is.
    let first = timeout(LIMIT, asked.client.read_u8()).await.expect("an answer").unwrap();
    let (rest, _) = timeout(LIMIT, asked.end()).await.expect("an end");
    assert!(first == b'H' && rest.starts_with("TTP/1.1 429 Too Many Requests\r\n"), "{rest}");
}

/// An error that is read first, to see what it means, and does not end: the refusal counts more, and is not taken for a
/// lost connection.
#[tokio::test]
async fn a_refusal_is_told_though_an_error_is_still_being_read() {
    for early in ["400 Bad Request", "401 Unauthorized", "403 Forbidden"] {
        let asked = async {
            let mut asked = Asked::for_model("tts", "").await;
            asked.answer(early, 200).await;
            asked.end().await
        };
        let (answer, got) = timeout(LIMIT, asked).await.expect("an end");
        assert!(answer.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{early} {answer}");
        assert!(answer.contains("\r\nx-keyswap-reason: target-not-granted\r\n"), "{early} {answer}");
        assert!(!got.ends_with(b"}"), "{}", String::from_utf8_lossy(&got));
    }
}

/// Nobody waits forever for a client that never says which model it wants, and has its answer already.
#[tokio::test]
async fn a_success_waits_for_the_condition_no_longer_than_for_more_of_an_answer() {
    let mut asked = Asked::for_model("gpt-4o", "stream = \"300ms\"\n").await;
    asked.answer("200 OK", 2).await;
    let mut answer = String::new();
    timeout(LIMIT, asked.client.read_to_string(&mut answer)).await.expect("an end").unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
    assert!(answer.contains("which one this request wants: its body does not end, and Azure has answered long ago."));
}
