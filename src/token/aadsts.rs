//! Entra's codes for what is wrong, like `AADSTS7000215`, and what the operator should do (azure-wire, C1 and C6).

/// What cures what a code says, where that is known.
const CURES: [(&str, &str); 11] = [
    ("AADSTS7000215", "put the value of the application's secret, which is not its id, where the identity's secret is"),
    (
        "AADSTS7000222",
        "the application's secret has expired: make a new one, and put it where the identity's secret is",
    ),
    ("AADSTS700016", "no such application in this tenant: compare the identity's client_id and tenant"),
    (
        "AADSTS500011",
        "no such audience in this tenant: compare the resource's scope, the cloud and the identity's tenant",
    ),
    ("AADSTS700027", "upload the identity's certificate to its application, or put the uploaded one where it is"),
    ("AADSTS700024", "compare the clocks; a service account's token must be one that the cluster renews"),
    ("AADSTS70021", FEDERATION),
    ("AADSTS700211", FEDERATION),
    ("AADSTS700212", FEDERATION),
    ("AADSTS700213", FEDERATION),
    ("AADSTS90002", "no such tenant: compare the identity's tenant, and the cloud or its authority"),
];

/// Entra compares them by case.
const FEDERATION: &str = "compare the federated credential's issuer, subject and audience with those of the service \
                          account's token";

/// What the operator should do about a code.
pub(super) fn cure(code: &str) -> Option<&'static str> {
    CURES.iter().find(|(known, _)| *known == code).map(|(_, cure)| *cure)
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
