use std::collections::VecDeque;
use std::convert::Infallible;

use http::Request;
use http::header::CONTENT_TYPE;
use http_body_util::BodyExt;

use super::*;

/// How long answers wait for their condition where no timer is looked at.
const FOREVER: Duration = Duration::MAX;

/// A body that comes in these pieces, and then with these trailers.
struct Pieces(VecDeque<Bytes>, Option<HeaderMap>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let frame = self.0.pop_front().map(Frame::data);
        Poll::Ready(frame.or_else(|| self.1.take().map(Frame::trailers)).map(Ok))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.iter().map(|piece| piece.len() as u64).sum())
    }
}

fn pieces(text: &str, cuts: &[usize]) -> Pieces {
    let (mut pieces, mut begin) = (VecDeque::new(), 0);
    for cut in cuts.iter().copied().chain([text.len()]) {
        pieces.push_back(Bytes::copy_from_slice(&text.as_bytes()[begin..cut]));
        begin = cut;
    }
    Pieces(pieces, None)
}

/// The head of a request in JSON.
fn json(target: &str) -> Parts {
    Request::post(target).header(CONTENT_TYPE, "application/json").body(()).unwrap().into_parts().0
}

fn guarded(body: Pieces) -> (Guarded<Pieces>, Outcome) {
    Guarded::new(&json("/"), body, Some(&Condition::fitting(["gpt-4o*"]))).unwrap()
}

/// What an upstream gets of a body, and whether it is told that this was all.
async fn sent<B: Body<Data = Bytes, Error = BoxError> + Unpin>(body: &mut B) -> (String, bool) {
    let mut all = Vec::new();
    let whole = loop {
        match body.frame().await {
            Some(Ok(frame)) => all.extend(frame.into_data().unwrap_or_default()),
            Some(Err(_)) => break false,
            None => break true,
        }
    };
    (String::from_utf8(all).unwrap(), whole)
}

async fn answered(mut outcome: Outcome, status: u16) -> Result<Option<String>, Verdict> {
    outcome.settle(StatusCode::from_u16(status).ok(), FOREVER).await
}

fn refused(model: &str) -> Verdict {
    Refusal::TargetNotGranted(Some(model.to_owned())).into()
}

#[tokio::test]
async fn a_body_that_may_go_goes_as_it_is_however_it_is_cut() {
    let text = "{\"messages\":[],\"model\":\"gpt-4o-mini\"}\r\n";
    for first in 0..=text.len() {
        for second in first..=text.len() {
            let (mut body, outcome) = guarded(pieces(text, &[first, second]));
            assert_eq!(body.size_hint().exact(), Some(text.len() as u64));
            assert_eq!(sent(&mut body).await, (text.to_owned(), true), "{first} {second}");
            assert!(body.is_end_stream());
            assert_eq!(answered(outcome, 200).await, Ok(Some("gpt-4o-mini".to_owned())));
        }
    }
}

#[tokio::test]
async fn a_body_that_may_not_go_never_ends_however_it_is_cut() {
    for (text, verdict) in [
        ("{\"model\":\"secret\",\"messages\":[]}", refused("secret")),
        ("{\"model\":\"gpt-4o\",\"model\":\"gpt-4o\"}", Refusal::ModelUnclear("it names more than one 'model'").into()),
        ("{\"messages\":[]}", Refusal::ModelUnclear("it names no 'model'").into()),
        ("{\"model\":\"gpt-4o\"", Refusal::ModelUnclear("its body ends too early").into()),
        ("{\"model\":\"gpt-4o\"}}", Refusal::ModelUnclear("its JSON is not well-formed").into()),
    ] {
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let (mut body, outcome) = guarded(pieces(text, &[first, second]));
                let (all, whole) = sent(&mut body).await;
                assert!(!whole && all.len() < text.trim_end().len(), "{all}");
                let brace = text.rfind('}').unwrap_or(text.len());
                assert!(all.len() <= text.find("}}").unwrap_or(brace), "{all}");
                assert!(!body.is_end_stream());
                assert_eq!(sent(&mut body).await, (String::new(), false), "asked again");
                assert_eq!(answered(outcome, 200).await, Err(verdict.clone()));
            }
        }
    }
}

#[tokio::test]
async fn what_is_not_granted_is_refused_as_soon_as_it_is_named() {
    let (mut send, channel) = http_body_util::Channel::<Bytes>::new(1);
    let (mut body, mut outcome) = Guarded::new(&json("/"), channel, Some(&Condition::fitting(["gpt-4o"]))).unwrap();
    send.send_data(Bytes::from_static(b"{\"model\":\"secret\",")).await.unwrap();
    // The body goes on, and nobody waits for it.
    assert_eq!(sent(&mut body).await, (String::new(), false));
    assert!(send.send_data(Bytes::from_static(b"\"messages\":")).await.is_err(), "the client's body was let go");
    let lost = outcome.settle(None, FOREVER).await;
    assert_eq!(lost.err(), Some(refused("secret")), "the guard's verdict counts more");
}

#[tokio::test]
async fn an_answer_may_begin_before_the_condition_holds_if_it_is_an_error() {
    for status in [400, 429, 503] {
        let (_body, outcome) = guarded(pieces("{", &[]));
        assert_eq!(answered(outcome, status).await, Ok(None));
    }
    for status in [200, 204, 302] {
        let (body, outcome) = guarded(pieces("{", &[]));
        let mut answer = std::pin::pin!(answered(outcome, status));
        assert!(polled(answer.as_mut()).is_pending());
        // The upstream has had enough of a body that was never whole.
        drop(body);
        assert_eq!(answer.await, Err(Failure::Lost.into()));
    }
}

/// An upstream that says that all is well, before a client's body that never ends.
#[tokio::test]
async fn a_success_does_not_wait_forever() {
    let (_send, channel) = http_body_util::Channel::<Bytes>::new(1);
    let (mut body, mut outcome) = Guarded::new(&json("/"), channel, Some(&Condition::fitting(["gpt-4o"]))).unwrap();
    let answer = outcome.settle(Some(StatusCode::OK), Duration::from_millis(1)).await;
    assert_eq!(answer.err(), Some(Refusal::ModelUnclear(NEVER_ENDS).into()));
    assert_eq!(sent(&mut body).await, (String::new(), false), "nor does its upstream wait for the body");
}

#[tokio::test]
async fn what_is_refused_after_an_error_began_is_known_then() {
    let (mut send, channel) = http_body_util::Channel::<Bytes>::new(1);
    let (mut body, mut outcome) = Guarded::new(&json("/"), channel, Some(&Condition::fitting(["gpt-4o"]))).unwrap();
    assert!(outcome.settle(Some(StatusCode::UNAUTHORIZED), FOREVER).await.is_ok());
    assert_eq!(outcome.refusal(), None);
    send.send_data(Bytes::from_static(b"{\"model\":\"secret\",")).await.unwrap();
    assert_eq!(sent(&mut body).await, (String::new(), false));
    assert_eq!(outcome.refusal().map(Verdict::from), Some(refused("secret")));
}

fn polled<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(std::task::Waker::noop()))
}

#[tokio::test]
async fn trailers_pass_behind_what_was_held() {
    let trailers = HeaderMap::from_iter([("x-digest".parse().unwrap(), "17".parse().unwrap())]);
    let mut pieces = pieces("{\"model\":\"gpt-4o\"}", &[5]);
    pieces.1 = Some(trailers.clone());
    let (body, _outcome) = guarded(pieces);
    let collected = body.collect().await.unwrap();
    assert_eq!(collected.trailers(), Some(&trailers));
    assert_eq!(collected.to_bytes(), "{\"model\":\"gpt-4o\"}");
}

#[tokio::test]
async fn little_is_held_whatever_follows_the_end() {
    let text = format!("{{\"model\":\"gpt-4o\"}}{}", " ".repeat(LONGEST_TAIL));
    let each: Vec<_> = (1..text.len()).collect();
    assert_eq!(sent(&mut guarded(pieces(&text, &each)).0).await, (text.clone(), true));
    let longer = text + " ";
    let each: Vec<_> = (1..longer.len()).collect();
    assert_eq!(sent(&mut guarded(pieces(&longer, &each)).0).await, ("{\"model\":\"gpt-4o\"".to_owned(), false));
}

#[test]
fn what_cannot_be_read_is_refused_before_anything_is_sent() {
    let condition = Condition::fitting(["gpt-4o"]);
    let refusal = |head: &Parts, text: &'static str| {
        Guarded::new(head, http_body_util::Full::<Bytes>::from(text), Some(&condition)).err()
    };
    let not_granted = Some(Refusal::TargetNotGranted(Some("gpt-image-1".to_owned())));
    assert_eq!(refusal(&json("/"), "{}"), None);
    assert_eq!(refusal(&json("/"), ""), Some(Refusal::ModelUnclear(NO_BODY)));
    let mut encoded = json("/");
    encoded.headers.insert("content-encoding", "gzip".parse().unwrap());
    assert!(matches!(refusal(&encoded, "{}"), Some(Refusal::ModelUnclear(_))));
    for name in DEPLOYMENT_HEADERS {
        let mut head = json("/");
        head.headers.append(&name, "gpt-4o".parse().unwrap());
        assert_eq!(refusal(&head, "{}"), None);
        head.headers.append(&name, "gpt-image-1".parse().unwrap());
        assert_eq!(refusal(&head, "{}"), not_granted);
    }
    assert_eq!(refusal(&json("/?deployment=gpt-4o"), "{}"), None);
    assert_eq!(refusal(&json("/?deployment=gpt-4o&%4Dodel=gpt-image-1"), "{}"), not_granted);
}
