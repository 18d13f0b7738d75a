//! A request as the fuzzer writes it: the head of HTTP/1.1, without its version, a line feed behind each line.

use http::{Request, Uri};

/// The request in `data`; `None` for what no client can send.
pub(crate) fn request(data: &[u8]) -> Option<Request<()>> {
    let mut lines = data.split(|byte| *byte == b'\n');
    let first = lines.next()?;
    let blank = first.iter().position(|byte| *byte == b' ')?;
    let (method, target) = first.split_at(blank);
    let target = Uri::try_from(&target[1..]).ok()?;
    let mut request = Request::builder().method(method).uri(target);
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (name, value) = line.split_at(colon);
        request = request.header(name, value[1..].trim_ascii());
    }
    request.body(()).ok()
}
