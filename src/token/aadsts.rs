//! Entra's codes for what is wrong, like `AADSTS7000215`, what they mean, and what the operator should do (azure-wire, C1
//! and C6; those of logins, of disabled applications and of Conditional Access from Microsoft's list of codes).

/// What Entra finds wrong with us: codes that one cure mends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ailment {
    /// The secret is not the application's.
    Secret,
    /// The secret has expired.
    SecretEnded,
    /// The tenant has no such application.
    Application,
    /// The application has no service principal in the tenant.
    NoPrincipal,
    /// The application is disabled in the tenant.
    Disabled,
    /// The tenant has no such audience.
    Audience,
    /// The scope is none.
    Scope,
    /// The certificate is not registered for the application.
    Certificate,
    /// An assertion that is not yet, or no longer, good.
    Untimely,
    /// An assertion of another application.
    AnothersAssertion,
    /// An assertion for another place than this authority and tenant.
    AssertionElsewhere,
    /// An assertion that Entra cannot read.
    NoAssertion,
    /// A key of a kind that Entra takes no signatures of.
    KeyKind,
    /// No federated credential fits the service account's token.
    Federation,
    /// There is no such tenant.
    Tenant,
    /// Conditional Access says no.
    ConditionalAccess,
    /// Whoever has logged in must do so again.
    Login,
}

const CODES: &[(&str, Ailment)] = &[
    ("AADSTS7000215", Ailment::Secret),
    ("AADSTS7000222", Ailment::SecretEnded),
    ("AADSTS700016", Ailment::Application),
    ("AADSTS7000229", Ailment::NoPrincipal),
    ("AADSTS7000112", Ailment::Disabled),
    ("AADSTS500011", Ailment::Audience),
    ("AADSTS70011", Ailment::Scope),
    ("AADSTS1002012", Ailment::Scope),
    ("AADSTS700027", Ailment::Certificate),
    ("AADSTS700024", Ailment::Untimely),
    ("AADSTS700021", Ailment::AnothersAssertion),
    ("AADSTS700023", Ailment::AssertionElsewhere),
    ("AADSTS50027", Ailment::NoAssertion),
    ("AADSTS5002738", Ailment::KeyKind),
    ("AADSTS70021", Ailment::Federation),
    ("AADSTS700211", Ailment::Federation),
    ("AADSTS700212", Ailment::Federation),
    ("AADSTS700213", Ailment::Federation),
    ("AADSTS90002", Ailment::Tenant),
    ("AADSTS900023", Ailment::Tenant),
    ("AADSTS53003", Ailment::ConditionalAccess),
    ("AADSTS70043", Ailment::Login),
    ("AADSTS700082", Ailment::Login),
];

impl Ailment {
    /// What a code comes to, where that is known.
    pub(super) fn of(code: &str) -> Option<Self> {
        CODES.iter().find(|(known, _)| *known == code).map(|(_, ailment)| *ailment)
    }

    /// What it means.
    pub(crate) fn means(self) -> &'static str {
        match self {
            Self::Secret => "the secret is none of the application's",
            Self::SecretEnded => "the application's secret has expired",
            Self::Application => "no such application in this tenant",
            Self::NoPrincipal => "the application has no service principal in this tenant",
            Self::Disabled => "the application is disabled in this tenant",
            Self::Audience => "no such audience in this tenant",
            Self::Scope => "Entra gives no tokens for such a scope",
            Self::Certificate => "the certificate is none of the application's",
            Self::Untimely => "what proves the identity has expired, or a clock is wrong",
            Self::AnothersAssertion => "what proves the identity is another application's",
            Self::AssertionElsewhere => "what proves the identity is meant for another authority or tenant",
            Self::NoAssertion => "what proves the identity is no token that Entra can read",
            Self::KeyKind => "the certificate's key is not of RSA",
            Self::Federation => "no federated credential of the application fits the service account's token",
            Self::Tenant => "no such tenant in this cloud",
            Self::ConditionalAccess => "the tenant's Conditional Access keeps the identity out from here",
            Self::Login => "whoever has logged in must do so again",
        }
    }

    /// What the operator should do about it.
    pub(crate) fn cure(self) -> &'static str {
        match self {
            Self::Secret => {
                "put the value of the application's secret, which is not its id, where the identity's secret is"
            }
            Self::SecretEnded => "make a new one, and put it where the identity's secret is",
            Self::Application => "compare the identity's client_id and tenant",
            Self::NoPrincipal => "have one made, by an administrator of the tenant",
            Self::Disabled => "have it enabled, by an administrator of the tenant",
            Self::Audience => "compare the resource's scope, the cloud and the identity's tenant",
            Self::Scope => "write the resource's scope as an audience and /.default",
            Self::Certificate => {
                "upload the identity's certificate to its application, or put the uploaded one where it is"
            }
            Self::Untimely => "compare the clocks; a service account's token must be one that the cluster renews",
            Self::AnothersAssertion => "compare the identity's client_id with whose proof it is",
            Self::AssertionElsewhere => "compare the identity's authority and tenant",
            Self::NoAssertion => "name as token_file what the cluster keeps for Entra",
            Self::KeyKind => "make a certificate with a key of RSA, 2048 bits or more",
            // Entra compares them by case.
            Self::Federation => {
                "compare the federated credential's issuer, subject and audience with those of the service account's token"
            }
            Self::Tenant => "compare the identity's tenant, and the cloud or its authority",
            Self::ConditionalAccess => "have the tenant's administrators let it in from keyswap's network",
            Self::Login => "run az login",
        }
    }
}

/// The first code in an answer of Entra's. It is all that is ever shown of one.
pub(super) fn find(answer: &[u8]) -> Option<String> {
    const MARK: &[u8] = b"AADSTS";
    let at = answer.windows(MARK.len()).position(|window| window == MARK)?;
    let digits = answer[at + MARK.len()..].iter().take_while(|byte| byte.is_ascii_digit()).take(12).count();
    String::from_utf8(answer[at..at + MARK.len() + digits].to_vec()).ok().filter(|_| digits > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entras_code_is_found_where_the_crate_loses_it() {
        let body =
            br#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret.\r\nTrace"}"#;
        assert_eq!(find(body).as_deref(), Some("AADSTS7000215"));
        assert_eq!(find(b"AADSTS"), None);
        assert_eq!(find(b""), None);
    }
}
