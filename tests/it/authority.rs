//! An authority that `keyswap cert` has made, and the files that it makes from there.

use std::fs;
use std::path::PathBuf;

use azure_emulator::Emulator;
use tempfile::TempDir;

use crate::gateway::run;

/// Azure's names, as transparent clients call them.
pub(crate) const OPENAI: &str = "contoso.openai.azure.com";
pub(crate) const SEARCH: &str = "contoso.search.windows.net";

/// A directory with an authority in `ca`, and certificates for both names in `tls`.
pub(crate) struct Authority {
    directory: TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for arguments in [
            &["cert", "ca", "--out", "ca", OPENAI, SEARCH][..],
            &["cert", "leaf", "--ca", "ca", "--out", "tls", OPENAI, SEARCH],
        ] {
            let (code, _, errors) = run(directory.path(), arguments, &[]);
            assert_eq!((code, &*errors), (Some(0), ""));
        }
        Self { directory }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The authority, in PEM.
    pub(crate) fn pem(&self) -> String {
        fs::read_to_string(self.path("ca/ca.pem")).unwrap()
    }

    /// A file of this authority and the emulator's.
    pub(crate) fn with(&self, emulator: &Emulator) -> PathBuf {
        let both = self.path("both.pem");
        fs::write(&both, self.pem() + emulator.ca_pem()).unwrap();
        both
    }
}
