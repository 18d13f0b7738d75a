//! The two Azure data planes that keyswap serves, the clouds they live in, and what follows from both.

use std::fmt;

use percent_encoding::percent_decode_str;

/// An Azure data plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Plane {
    /// Azure OpenAI, Foundry models and the other surfaces of a Cognitive Services account.
    OpenAi,
    /// Azure AI Search.
    Search,
}

/// An Azure cloud: it decides the audience of a token and the default authority.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cloud {
    /// The public cloud.
    #[default]
    Public,
    /// Azure for the US Government.
    UsGovernment,
    /// Azure in China, operated by 21Vianet.
    China,
}

/// How deep an operation reaches into a resource. Which identity a request rides may depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Leaves nothing behind: a chat, a query.
    Read,
    /// Leaves data behind: a file, a document.
    Write,
    /// Changes what the resource is: an index, a fine-tuned model.
    Manage,
}

// === impl Plane ===

impl Plane {
    /// Every plane, by its name.
    pub const NAMES: &[(&str, Self)] = &[("openai", Self::OpenAi), ("search", Self::Search)];

    /// The name that settings, logs and metrics use.
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Search => "search",
        }
    }

    /// Hosts of Azure's own by their ending. Sources: azure-wire, A3 and B3; those of `azure.cn` are unsure for OpenAI.
    const HOST_ENDINGS: &[(&str, Self, Cloud)] = &[
        (".openai.azure.com", Self::OpenAi, Cloud::Public),
        (".cognitiveservices.azure.com", Self::OpenAi, Cloud::Public),
        (".services.ai.azure.com", Self::OpenAi, Cloud::Public),
        (".openai.azure.us", Self::OpenAi, Cloud::UsGovernment),
        (".cognitiveservices.azure.us", Self::OpenAi, Cloud::UsGovernment),
        (".openai.azure.cn", Self::OpenAi, Cloud::China),
        (".cognitiveservices.azure.cn", Self::OpenAi, Cloud::China),
        (".search.windows.net", Self::Search, Cloud::Public),
        (".search.azure.us", Self::Search, Cloud::UsGovernment),
        (".search.azure.cn", Self::Search, Cloud::China),
    ];

    /// What Azure's management calls a resource of this plane.
    pub fn resource_type(self) -> &'static str {
        match self {
            Self::OpenAi => "Microsoft.CognitiveServices/accounts",
            Self::Search => "Microsoft.Search/searchServices",
        }
    }

    /// The first words of the planes' paths (azure-wire, A3 and B3). An operation of any other root is of no plane.
    const ROOTS: &[(&str, Self)] = &[
        ("openai", Self::OpenAi),
        ("models", Self::OpenAi),
        ("anthropic", Self::OpenAi),
        ("api", Self::OpenAi),
        ("indexes", Self::Search),
        ("indexers", Self::Search),
        ("datasources", Self::Search),
        ("skillsets", Self::Search),
        ("synonymmaps", Self::Search),
        ("aliases", Self::Search),
        ("servicestats", Self::Search),
        ("indexstats", Self::Search),
        ("knowledgebases", Self::Search),
        ("agents", Self::Search),
        ("knowledgesources", Self::Search),
    ];

    /// The plane whose paths begin with this word, in whatever case.
    pub fn of_root(word: &str) -> Option<Self> {
        Self::ROOTS.iter().find(|(root, _)| word.eq_ignore_ascii_case(root)).map(|(_, plane)| *plane)
    }

    /// The plane in whose words a request is refused that cannot be read to its end: that of the first word of its path, or
    /// of the second, since a resource's name may stand first.
    pub fn of_path(raw: &str) -> Option<Self> {
        let segments = raw.split('/').filter(|segment| !segment.is_empty()).take(2);
        let words = segments.map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned());
        // `indexes('hotels')` is the word `indexes`.
        words.into_iter().find_map(|segment| Self::of_root(segment.split('(').next().unwrap_or_default()))
    }

    /// The plane that a host name of Azure's own belongs to; `None` for every other host.
    pub fn of_host(host: &str) -> Option<Self> {
        azures_own(host).map(|(plane, _)| plane)
    }

    /// The scope that a token for this plane needs in a cloud (azure-wire, A3 and B3; the OpenAI scope of China
    /// is unsure there, hence every resource can override its scope).
    pub fn scope(self, cloud: Cloud) -> &'static str {
        match (self, cloud) {
            (Self::OpenAi, Cloud::Public) => "https://cognitiveservices.azure.com/.default",
            (Self::OpenAi, Cloud::UsGovernment) => "https://cognitiveservices.azure.us/.default",
            (Self::OpenAi, Cloud::China) => "https://cognitiveservices.azure.cn/.default",
            (Self::Search, Cloud::Public) => "https://search.azure.com/.default",
            (Self::Search, Cloud::UsGovernment) => "https://search.azure.us/.default",
            (Self::Search, Cloud::China) => "https://search.azure.cn/.default",
        }
    }
}

impl fmt::Display for Plane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

// === impl Cloud ===

impl Cloud {
    /// The names that settings use.
    pub const NAMES: &[(&str, Self)] =
        &[("public", Self::Public), ("us-government", Self::UsGovernment), ("china", Self::China)];

    /// The cloud that a host name of Azure's own belongs to; `None` for every other host.
    pub fn of_host(host: &str) -> Option<Self> {
        azures_own(host).map(|(_, cloud)| cloud)
    }

    /// The name that settings use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::UsGovernment => "us-government",
            Self::China => "china",
        }
    }
}

/// What the ending of a host name of Azure's own says.
fn azures_own(host: &str) -> Option<(Plane, Cloud)> {
    let host = host.to_ascii_lowercase();
    let found = Plane::HOST_ENDINGS.iter().find(|(ending, ..)| host.ends_with(ending));
    found.map(|(_, plane, cloud)| (*plane, *cloud))
}

/// Whether a host is a region's endpoint, which all accounts of the region share: it takes keys alone, since no token
/// says which account is meant (azure-wire, A3 and A1.9).
pub(crate) fn is_regional(host: &str) -> bool {
    const ENDINGS: [&str; 3] =
        [".api.cognitive.microsoft.com", ".api.cognitive.microsoft.us", ".api.cognitive.azure.cn"];
    let host = format!(".{}", host.to_ascii_lowercase());
    ENDINGS.iter().any(|ending| host.ends_with(ending))
}

// === impl Access ===

impl Access {
    /// The names that settings use.
    pub const NAMES: &[(&str, Self)] = &[("read", Self::Read), ("write", Self::Write), ("manage", Self::Manage)];

    /// The name that settings and refusals use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Manage => "manage",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_cannot_be_read_still_says_whose_words_are_wanted() {
        assert_eq!(Plane::of_path("/indexes('h')/docs/%2e%2e/x"), Some(Plane::Search));
        assert_eq!(Plane::of_path("//contoso/%49ndexes%28'h')/x;y"), Some(Plane::Search));
        assert_eq!(Plane::of_path("/openai/../indexes"), Some(Plane::OpenAi));
        assert_eq!(Plane::of_path("/a/b/indexes"), None);
        assert_eq!(Plane::of_path("*"), None);
    }

    #[test]
    fn a_host_of_azures_names_its_plane() {
        assert_eq!(Plane::of_host("Contoso.OpenAI.azure.com"), Some(Plane::OpenAi));
        assert_eq!(Plane::of_host("contoso.search.azure.us"), Some(Plane::Search));
        assert_eq!(Plane::of_host("openai.azure.com.evil.example"), None);
        assert_eq!(Plane::of_host("127.0.0.1"), None);
        assert_eq!(Cloud::of_host("contoso.search.azure.us"), Some(Cloud::UsGovernment));
    }

    #[test]
    fn a_regions_endpoint_is_known() {
        for regional in
            ["eastus.api.cognitive.microsoft.com", "API.cognitive.microsoft.com", "x.api.cognitive.microsoft.us"]
        {
            assert!(is_regional(regional), "{regional}");
        }
        for own in [
            "contoso.cognitiveservices.azure.com",
            "api.cognitive.microsoft.com.example",
            "myapi.cognitive.microsoft.com",
        ] {
            assert!(!is_regional(own), "{own}");
        }
    }
}
