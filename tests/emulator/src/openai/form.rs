//! Multipart forms: whatever is uploaded.

use aws_lc_rs::digest;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use multer::Multipart;

use crate::entropy;

/// All parts of a form, in order.
pub(crate) struct Form {
    parts: Vec<Part>,
}

pub(crate) struct Part {
    name: String,
    pub(crate) file_name: Option<String>,
    pub(crate) content: Bytes,
}

impl Form {
    /// `None` if it is no whole form: a missing boundary, a missing end.
    pub(crate) async fn read(content_type: &str, body: Bytes) -> Option<Self> {
        let boundary = multer::parse_boundary(content_type).ok()?;
        let mut multipart = Multipart::new(Full::new(body).into_data_stream(), boundary);
        let mut parts = Vec::new();
        while let Some(field) = multipart.next_field().await.ok()? {
            parts.push(Part {
                name: field.name().unwrap_or_default().to_owned(),
                file_name: field.file_name().map(str::to_owned),
                content: field.bytes().await.ok()?,
            });
        }
        Some(Self { parts })
    }

    pub(crate) fn part(&self, name: &str) -> Option<&Part> {
        self.parts.iter().find(|part| part.name == name)
    }

    /// The part called `name` as a text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(&self.part(name)?.content).ok()
    }
}

// === impl Part ===

impl Part {
    /// Its file's name, size and digest, so that a test sees what was cut or changed on its way.
    pub(crate) fn described(&self) -> String {
        let digest = digest::digest(&digest::SHA256, &self.content);
        let name = self.file_name.as_deref().unwrap_or("an unnamed file");
        format!("{name}: {} bytes, sha256 {}", self.content.len(), entropy::hex(digest.as_ref()))
    }
}
