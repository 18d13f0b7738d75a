//! The deployments that exist. Their names are part of the demo's contract.

/// What a deployment's model can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Chat,
    Completion,
    Embedding,
    Image,
    Transcription,
    Speech,
    Realtime,
}

/// A model under the name that its owner gave it.
#[derive(Debug)]
pub(crate) struct Deployment {
    pub(crate) name: &'static str,
    /// With its version, as answers name it.
    pub(crate) model: &'static str,
    pub(crate) kind: Kind,
}

pub(crate) const DEPLOYMENTS: [Deployment; 7] = [
    Deployment { name: "gpt-4o", model: "gpt-4o-2024-11-20", kind: Kind::Chat },
    Deployment { name: "gpt-35-turbo-instruct", model: "gpt-35-turbo-instruct", kind: Kind::Completion },
    Deployment { name: "text-embedding-3-small", model: "text-embedding-3-small", kind: Kind::Embedding },
    Deployment { name: "dall-e-3", model: "dall-e-3-3.0", kind: Kind::Image },
    Deployment { name: "whisper", model: "whisper-001", kind: Kind::Transcription },
    Deployment { name: "tts", model: "tts-001", kind: Kind::Speech },
    Deployment { name: "gpt-4o-realtime-preview", model: "gpt-4o-realtime-preview-2024-12-17", kind: Kind::Realtime },
];

pub(crate) fn find(name: &str) -> Option<&'static Deployment> {
    DEPLOYMENTS.iter().find(|deployment| deployment.name == name)
}
