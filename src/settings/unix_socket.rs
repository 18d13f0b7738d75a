//! The unix socket, and who may connect to it.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::file::path;
use crate::document::Section;

/// The unix socket to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnixSocket {
    /// Where it is.
    pub path: PathBuf,
    /// Who may connect; whoever the process's umask lets, if nothing is said.
    pub mode: Option<SocketMode>,
}

/// The permissions of a socket. Whoever may write to it may connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketMode(u32);

impl UnixSocket {
    /// What `[listen]` says of it, if it does; `None` only where a mistake was noted.
    pub(super) fn read(section: &Section<'_>, base: &Path) -> Option<Option<Self>> {
        let mode = section.get("unix_mode").map(|value| {
            if section.get("unix").is_none() {
                value.wrong("says nothing without unix: add it, or take this away");
            }
            value.text()?.parse().map_err(|fix: &str| value.wrong(fix)).ok()
        });
        let Some(socket) = section.get("unix") else { return Some(None) };
        let path = path(&socket, base);
        // A mode that is there and wrong is a mistake already noted, not one that nobody named.
        let mode = mode.map_or(Some(None), |mode: Option<SocketMode>| mode.map(Some))?;
        Some(Some(Self { path: path?, mode }))
    }
}

impl SocketMode {
    /// As the system takes it.
    pub fn bits(self) -> u32 {
        self.0
    }
}

impl FromStr for SocketMode {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix('0').filter(|digits| digits.len() == 3).unwrap_or(text);
        let is_octal = digits.len() == 3 && digits.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
        let bits = is_octal.then(|| u32::from_str_radix(digits, 8).ok()).flatten();
        bits.map(Self).ok_or("must be three octal digits, as chmod takes them, like \"660\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Document;

    #[test]
    fn a_mode_is_what_chmod_takes_in_digits() {
        let bits = |text: &str| text.parse().map(SocketMode::bits);
        assert_eq!((bits("660"), bits("0600"), bits("777")), (Ok(0o660), Ok(0o600), Ok(0o777)));
        for wrong in ["", "66", "668", "06600", "1777", "+60", "ug+rw"] {
            bits(wrong).unwrap_err();
        }
    }

    #[test]
    fn a_mode_needs_a_socket_and_digits() {
        let wrong = |listen: &str| {
            let document = Document::parse(Path::new("keyswap.toml"), listen);
            let _socket = UnixSocket::read(&document.root(), Path::new("/etc"));
            document.verdict().unwrap_err().to_string()
        };
        assert_eq!(
            wrong("unix_mode = \"660\""),
            "keyswap.toml:1:13: unix_mode: says nothing without unix: add it, or take this away"
        );
        assert_eq!(
            wrong("unix = \"keyswap.sock\"\nunix_mode = \"u+w\""),
            "keyswap.toml:2:13: unix_mode: must be three octal digits, as chmod takes them, like \"660\""
        );
    }
}
