use proptest::prelude::*;

use super::*;

/// Every part's name, whether it is plain text, and its content.
type Parts = Vec<(String, bool, Vec<u8>)>;

fn read<'p>(boundary: &str, pieces: impl IntoIterator<Item = &'p [u8]>) -> Result<Parts, &'static str> {
    let mut form = Form::new(boundary);
    let mut parts = Parts::new();
    let mut content: Option<Vec<u8>> = None;
    for piece in pieces {
        let mut rest = piece;
        while !rest.is_empty() {
            let (consumed, event) = form.advance(rest)?;
            let (read, left) = rest.split_at(consumed);
            rest = left;
            if let Some(content) = &mut content {
                content.extend(read);
            }
            match event {
                Some(Event::Part(part)) => {
                    parts.push((part.name, part.is_plain_text, Vec::new()));
                    content = Some(Vec::new());
                }
                Some(Event::PartEnd(delimiter)) => {
                    let mut whole = content.take().unwrap();
                    whole.truncate(whole.len() - delimiter);
                    parts.last_mut().unwrap().2 = whole;
                }
                None => assert!(rest.is_empty()),
            }
        }
    }
    if form.is_closed() { Ok(parts) } else { Err("cut short") }
}

const FORM: &str = "--X-y\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper\r\n\
    --X-y\r\ncontent-type: audio/wav\r\ncontent-disposition: form-data; filename=\"a.wav\"; name=file\r\n\r\n\
    \r\n--X-\r\n--X\r\n-\r\r\n\r\n--X-y--\r\n";

#[test]
fn a_form_reads_alike_however_it_is_cut() {
    let expected: Parts = vec![
        ("model".into(), true, b"whisper".to_vec()),
        ("file".into(), false, b"\r\n--X-\r\n--X\r\n-\r\r\n".to_vec()),
    ];
    let bytes = FORM.as_bytes();
    for first in 0..=bytes.len() {
        for second in first..=bytes.len() {
            let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
            assert_eq!(read("X-y", pieces).as_ref(), Ok(&expected), "{first} {second}");
        }
    }
    assert_eq!(read("X-y", bytes.chunks(1)), Ok(expected));
}

proptest! {
    #[test]
    fn what_was_put_into_a_form_is_read_from_it(
        boundary in "[-a]{1,5}[b-y]",
        contents in prop::collection::vec("[-\r\nab]{0,20}", 0..4),
        places in prop::collection::vec(any::<usize>(), 0..6),
    ) {
        prop_assume!(contents.iter().all(|content| !format!("\r\n{content}\r\n").contains(&format!("--{boundary}"))));
        let mut body = String::new();
        for (n, content) in contents.iter().enumerate() {
            body += &format!("--{boundary}\r\nContent-Disposition: form-data; name=p{n}\r\n\r\n{content}\r\n");
        }
        body += &format!("--{boundary}--");
        let (mut pieces, mut rest) = (Vec::new(), body.as_bytes());
        for place in places {
            let (piece, left) = rest.split_at(place % (rest.len() + 1));
            pieces.push(piece);
            rest = left;
        }
        pieces.push(rest);
        let expected: Parts =
            contents.into_iter().enumerate().map(|(n, content)| (format!("p{n}"), true, content.into())).collect();
        prop_assert_eq!(read(&boundary, pieces), Ok(expected));
    }
}

#[test]
fn every_style_of_head_that_clients_have_is_read() {
    for (head, plain) in [
        ("Content-Disposition: form-data; name=\"model\"", true),
        ("content-disposition: form-data;name=model", true),
        ("Content-Disposition:form-data ; name=\"model\" ;", true),
        ("Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; name=model", true),
        (
            "Content-Type: text/plain\r\nContent-Transfer-Encoding: 8bit\r\nContent-Disposition: form-data; name=model",
            true,
        ),
        ("Content-Disposition: form-data; name=model\r\nContent-Length: 7", true),
        ("Content-Disposition: form-data; name=\"model\"; filename=\"\"", false),
        ("Content-Disposition: form-data; name=model; filename=año; filename*=utf-8''a%C3%B1o", false),
        ("Content-Type: text/plain; charset=utf-16\r\nContent-Disposition: form-data; name=model", false),
        ("Content-Type: application/json\r\nContent-Disposition: form-data; name=model", false),
    ] {
        // What is no token may stand in quotes.
        let head = head.replace("filename=año", "filename=\"año\"");
        let body = format!("--b\r\n{head}\r\n\r\nwhisper\r\n--b--");
        let expected = vec![("model".to_owned(), plain, b"whisper".to_vec())];
        assert_eq!(read("b", [body.as_bytes()]), Ok(expected), "{head}");
    }
}

#[test]
fn what_some_reader_might_take_is_refused() {
    for head in [
        "",
        "Content-Type: text/plain",
        "Content-Disposition: form-data",
        "Content-Disposition: attachment; name=model",
        "Content-Disposition: form-data; name=a; name=model",
        "Content-Disposition: form-data; name=a; NAME=model",
        "Content-Disposition: form-data; name=a; name*=utf-8''model",
        "Content-Disposition: form-data; name=a; name*0=model",
        "Content-Disposition: form-data; name=\"mo\\del\"",
        "Content-Disposition: form-data; name=\"mod%65l\"",
        "Content-Disposition: form-data; name=\"modèl\"",
        "Content-Disposition: form-data; name=\"a; name=model\"",
        "Content-Disposition: form-data; name=a; filename=\"x; name=model\"",
        "Content-Disposition: form-data; name=a; filename=\"x\\\"; name=\\\"model\"",
        "Content-Disposition: form-data; name=\"a\"x",
        "Content-Disposition: form-data; name=a b",
        "Content-Disposition: form-data; name=\"a",
        "Content-Disposition: form-data, name=a",
        "Content-Disposition: form-data; name=a\r\nContent-Disposition: form-data; name=model",
        "Content-Disposition: form-data;\r\n name=model",
        "Content-Disposition : form-data; name=model",
        "Content-Disposition: form-data; name=a\nContent-Disposition: form-data; name=model",
        "Content-Disposition: form-data; name=a\r\nContent-Type: a/b\r\nContent-Type: text/plain",
        "Content-Disposition: form-data; name=model\r\nContent-Transfer-Encoding: base64",
        "Content-Disposition: form-data; name=a\r\nContent-Type: multipart/mixed; boundary=c",
        "Content-Disposition: form-data; name=\"--b\"",
    ] {
        let body = format!("--b\r\n{head}\r\n\r\nwhisper\r\n--b--");
        assert!(read("b", [body.as_bytes()]).is_err(), "{head}");
        assert!(read("b", body.as_bytes().chunks(1)).is_err(), "{head}");
    }
    let part = "Content-Disposition: form-data; name=a\r\n\r\n";
    for body in [
        "".to_owned(),
        "--b".to_owned(),
        format!("--b\r\n{part}x"),
        format!("--b\r\n{part}x\r\n--b"),
        format!("--b\r\n{part}x\r\n--b\r\n"),
        format!("preamble\r\n--b\r\n{part}x\r\n--b--"),
        format!("\r\n--b\r\n{part}x\r\n--b--"),
        format!("--b\n{part}x\r\n--b--"),
        format!("--b \r\n{part}x\r\n--b--"),
        format!("--b\r\n{part}x\n--b--\r\n--b--"),
        format!("--b\r\n{part}x--b--\r\n--b--"),
        format!("--b\r\n{part}--b--"),
        format!("--b\r\n{part}x\r\n--bc\r\n--b--"),
        format!("--b\r\n{part}x\r\n--b--epilogue"),
        format!("--b\r\n{part}x\r\n--b--\r\n--b\r\n{part}x\r\n--b--"),
        format!("--b\r\nx: {}\r\n{part}x\r\n--b--", "y".repeat(LARGEST_HEAD)),
    ] {
        assert!(read("b", [body.as_bytes()]).is_err(), "{body}");
        assert!(read("b", body.as_bytes().chunks(1)).is_err(), "{body}");
    }
}

#[test]
fn a_boundary_is_named_once_with_quotes_or_without() {
    for (parameters, boundary) in [
        ("; boundary=abc", "abc"),
        (";boundary=\"a b?c\"", "a b?c"),
        ("; charset=utf-8; Boundary=----WebKitFormBoundary7MA4YWxk", "----WebKitFormBoundary7MA4YWxk"),
    ] {
        assert_eq!(super::boundary(parameters), Ok(boundary));
    }
    let long = format!("; boundary={}", "x".repeat(71));
    for parameters in [
        "",
        "; boundary=",
        "; boundary=\"\"",
        "; boundary=a; boundary=a",
        "; boundary=a; BOUNDARY=b",
        "; boundary=\"a",
        "; boundary=a b",
        "; boundary=a, b",
        "; boundary=\"a \"",
        "; boundary=\"a;b\"",
        "; boundary*=utf-8''a",
        &long,
    ] {
        assert!(super::boundary(parameters).is_err(), "{parameters}");
    }
}
