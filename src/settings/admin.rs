//! `[admin]`: where operators and their tools ask, and the secret that they bring.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{Digest, SHA256, digest};

use super::file::{address, secret};
use super::identity::application::environment;
use super::single::headings;
use super::{SecretSource, loopback};
use crate::document::{Mistake, Mistakes, Section};

/// Where operators ask, and who may.
#[derive(Debug, Clone)]
pub struct Admin {
    /// The address.
    pub address: SocketAddr,
    /// Where the secret is that everything but health and metrics needs. Without one those other pages are served on
    /// loopback alone.
    pub secret: Option<SecretSource>,
}

/// The secret that whoever asks must bring. Only its digest is kept.
#[derive(Clone)]
pub struct AdminSecret(Digest);

/// Where a command line says that the secret is. The secret itself is never an argument, which everybody on the machine
/// could read.
#[derive(clap::Args, Debug, Clone, Default)]
pub struct AdminSecretPlace {
    /// The file that holds the secret of the admin address, in its first line; else `KEYSWAP_ADMIN_SECRET`, if that is set
    #[arg(long, help_heading = headings::ADMIN, value_name = "FILE", env = "KEYSWAP_ADMIN_SECRET_FILE")]
    pub admin_secret_file: Option<PathBuf>,
}

/// The variable that holds the secret if no file is named.
const VARIABLE: &str = "KEYSWAP_ADMIN_SECRET";

/// The fewest characters that a secret may have: a program can try very many.
const SHORTEST: usize = 16;

impl Admin {
    /// Where it is when nothing is said.
    pub const DEFAULT_ADDRESS: SocketAddr = loopback(9090);

    /// What holds where the settings say nothing: this machine alone, and no secret.
    pub const DEFAULT: Self = Self { address: Self::DEFAULT_ADDRESS, secret: None };

    /// Reads `[admin]`. `None` where a mistake was noted.
    pub(super) fn read(section: &Section<'_>, base: &Path) -> Option<Self> {
        let address = section.get("address").map_or(Some(Self::DEFAULT_ADDRESS), |value| address(&value));
        let (file, variable) = (section.get("secret_file"), section.get("secret_env"));
        let is_named = file.is_some() || variable.is_some();
        let secret = secret(file, variable, base);
        // One that is named and wrong is a mistake already noted, not a secret that nobody wants.
        if is_named && secret.is_none() {
            return None;
        }
        Some(Self { address: address?, secret })
    }

    /// Whether nobody can ask from another machine.
    pub fn is_loopback(&self) -> bool {
        self.address.ip().to_canonical().is_loopback()
    }

    /// The secret as it is at this moment, if there is one.
    ///
    /// # Errors
    /// It cannot be read, or is too short to be one.
    pub fn read_secret(&self) -> Result<Option<AdminSecret>, Mistakes> {
        let Some(source) = &self.secret else { return Ok(None) };
        let wrong = |why: String| {
            let (file, place) = match source {
                SecretSource::File(file) => (file.clone(), "admin.secret_file"),
                SecretSource::Environment(variable) => (PathBuf::from(format!("${variable}")), "admin.secret_env"),
            };
            Mistakes(vec![Mistake { file, at: None, place: place.to_owned(), fix: why }])
        };
        let secret = source.read().map_err(wrong)?;
        if secret.chars().count() < SHORTEST {
            let fix = format!("has fewer than {SHORTEST} characters: make a random one, like openssl rand -hex 32");
            return Err(wrong(fix));
        }
        Ok(Some(AdminSecret(digest(&SHA256, secret.as_bytes()))))
    }
}

impl fmt::Debug for AdminSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminSecret")
    }
}

impl AdminSecretPlace {
    /// Where it is; `None` where nothing is said.
    pub fn source(&self) -> Option<SecretSource> {
        let file = self.admin_secret_file.clone().map(SecretSource::File);
        file.or_else(|| environment(VARIABLE).map(|_| SecretSource::Environment(VARIABLE.to_owned())))
    }
}

impl AdminSecret {
    /// Whether it is this text. How long that takes says nothing of how much of it is right.
    pub(crate) fn is(&self, text: &[u8]) -> bool {
        verify_slices_are_equal(self.0.as_ref(), digest(&SHA256, text).as_ref()).is_ok()
    }
}
