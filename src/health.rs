//! The question that a container's health check asks, without a shell or curl in the image.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(5);

/// The longest page that is shown.
const LONGEST_PAGE: u64 = 64 * 1024;

/// Asks the admin address of a running keyswap; gives whether the answer is 200, and its page.
///
/// # Errors
/// The address does not answer, or not in HTTP.
pub fn ask(admin: SocketAddr, path: &str) -> io::Result<(bool, String)> {
    let mut stream = TcpStream::connect_timeout(&admin, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {admin}\r\n\r\n")?;
    let mut answer = BufReader::new(stream.take(LONGEST_PAGE));
    let mut line = String::new();
    answer.read_line(&mut line)?;
    let status = line.split(' ').nth(1).ok_or_else(|| io::Error::other("the answer is not HTTP"))?;
    let healthy = status == "200";
    while line != "\r\n" && !line.is_empty() {
        line.clear();
        answer.read_line(&mut line)?;
    }
    let mut page = String::new();
    answer.read_to_string(&mut page)?;
    Ok((healthy, page))
}
