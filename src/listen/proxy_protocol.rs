//! The PROXY protocol, version 2: how a proxy that does not read HTTP says, in front of everything, whom it speaks for.
//!
//! Twelve bytes that nothing else begins with, then version and command, family and transport, a length, and so many
//! bytes: the addresses, and more that is of no interest here.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt};

/// What every header begins with.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// The most that may follow: addresses take 216 bytes at the most, and some clouds add a few values.
const LONGEST: usize = 4096;

/// Reads a header and nothing after it. `None` if the proxy names nobody: it speaks for itself, or its client has no
/// address of IP.
///
/// # Errors
/// Of the connection; [`io::ErrorKind::InvalidData`] for what is no such header.
pub(super) async fn read<I: AsyncRead + Unpin>(io: &mut I) -> io::Result<Option<SocketAddr>> {
    let mut head = [0; 16];
    let mut filled = 0;
    while filled < head.len() {
        let read = io.read(&mut head[filled..]).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        filled += read;
        // Whoever begins otherwise may wait for us, and is told at once.
        if !head[..filled].iter().zip(&SIGNATURE).all(|(byte, expected)| byte == expected) {
            return Err(wrong("the connection begins otherwise"));
        }
    }
    let [.., command, family, high, low] = head;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > LONGEST {
        return Err(wrong("the header is too long"));
    }
    let mut rest = vec![0; length];
    io.read_exact(&mut rest).await?;
    match command {
        0x20 => Ok(None),
        0x21 => client(family, &rest),
        _ => Err(wrong("the version or the command is unknown")),
    }
}

/// The source of a connection, by family and transport.
fn client(family: u8, rest: &[u8]) -> io::Result<Option<SocketAddr>> {
    let cut = || wrong("the addresses are cut off");
    match family {
        // Unspecified; and unix sockets.
        0x00 | 0x31 => Ok(None),
        0x11 => {
            let [a, b, c, d, _, _, _, _, high, low, _, _] = *rest.first_chunk().ok_or_else(cut)?;
            Ok(Some((Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([high, low])).into()))
        }
        0x21 => {
            let addresses: &[u8; 36] = rest.first_chunk().ok_or_else(cut)?;
            let source: [u8; 16] = *addresses.first_chunk().ok_or_else(cut)?;
            let [high, low] = [addresses[32], addresses[33]];
            Ok(Some((Ipv6Addr::from(source), u16::from_be_bytes([high, low])).into()))
        }
        _ => Err(wrong("the family or the transport is unknown")),
    }
}

fn wrong(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, rest].concat()
    }

    async fn read_from(bytes: &[u8]) -> Result<(Option<String>, usize), String> {
        let mut io = bytes;
        let client = read(&mut io).await.map_err(|error| error.to_string())?;
        Ok((client.map(|client| client.to_string()), io.len()))
    }

    const V4: [u8; 12] = [192, 0, 2, 1, 10, 0, 0, 1, 0x12, 0x67, 0x01, 0xbb];

    #[tokio::test]
    async fn a_header_is_read_and_nothing_after_it() {
        let v6 = [&Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).octets()[..], &[0; 16], &[0x12, 0x67, 0, 0]].concat();
        let more = [&V4[..], &[0xee, 0, 1, 7]].concat();
        for (name, bytes, client) in [
            ("TCP over IPv4", header(0x21, 0x11, &V4), Some("192.0.2.1:4711")),
            ("values behind the addresses", header(0x21, 0x11, &more), Some("192.0.2.1:4711")),
            ("TCP over IPv6", header(0x21, 0x21, &v6), Some("[2001:db8::1]:4711")),
            ("for itself", header(0x20, 0x00, &[]), None),
            ("for itself, with addresses", header(0x20, 0x11, &V4), None),
            ("unspecified", header(0x21, 0x00, &[1, 2, 3]), None),
            ("a unix socket", header(0x21, 0x31, &[0; 216]), None),
        ] {
            let bytes = [&bytes[..], b"GET / HTTP/1.1\r\n"].concat();
            assert_eq!(read_from(&bytes).await, Ok((client.map(str::to_owned), 16)), "{name}");
        }
    }

    #[tokio::test]
    async fn what_is_no_such_header_is_refused() {
        for (name, bytes, why) in [
            ("version 1", b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 443\r\n".to_vec(), "the connection begins otherwise"),
            ("HTTP", b"GET / HTTP/1.1\r\n\r\n".to_vec(), "the connection begins otherwise"),
            ("another version", header(0x11, 0x11, &V4), "the version or the command is unknown"),
            ("another command", header(0x22, 0x11, &V4), "the version or the command is unknown"),
            ("UDP", header(0x21, 0x12, &V4), "the family or the transport is unknown"),
            ("cut off", header(0x21, 0x11, &V4[..11]), "the addresses are cut off"),
            ("cut off, IPv6", header(0x21, 0x21, &V4), "the addresses are cut off"),
            ("too long", header(0x21, 0x11, &[0; LONGEST + 1]), "the header is too long"),
            ("an early end", header(0x21, 0x11, &V4)[..20].to_vec(), "early eof"),
        ] {
            assert_eq!(read_from(&bytes).await, Err(why.to_owned()), "{name}");
        }
    }
}
