//! Who an identity is, as its tokens say.

use crate::doctor::claims::Claims;
use crate::doctor::{Finding, Status};
use crate::settings::IdentityKind;
use crate::token::Fetched;

pub(super) fn look<'f>(kind: &IdentityKind, fetched: impl Iterator<Item = &'f Fetched>) -> Option<Finding> {
    let tokens: Vec<_> = fetched.filter_map(|fetched| fetched.token.as_ref().ok()).collect();
    tokens.first()?;
    let Some(claims) = tokens.iter().find_map(|sample| Claims::of(&sample.header)) else {
        return Some(
            Finding::new("principal", Status::CannotTell, "the token cannot be read here: who it is, only Azure knows")
                .cure("See the identity's object id in Azure: roles are assigned to that."),
        );
    };
    Some(
        described(kind, &claims)
            .fact("object_id", claims.object_id())
            .fact("tenant", claims.tenant())
            .fact("application", claims.application())
            .fact("type", claims.text("idtyp"))
            .fact("managed_identity", claims.text("xms_mirid")),
    )
}

fn described(kind: &IdentityKind, claims: &Claims) -> Finding {
    let another = |what: &str, wanted: &str| {
        Finding::new(
            "principal",
            Status::Wrong,
            format!("the token is another's: the settings have the {what} {wanted}"),
        )
        .means("Requests ride an identity that nobody meant.")
        .cure("See who answers in Entra's place.")
    };
    let differs = |is: Option<String>, wanted: Option<&str>| {
        is.zip(wanted).is_some_and(|(is, wanted)| !is.eq_ignore_ascii_case(wanted))
    };
    if let Some(wanted) = kind.client_id().filter(|id| differs(claims.application(), Some(id))) {
        return another("client id", wanted);
    }
    if let Some(wanted) = kind.object_id().filter(|id| differs(claims.object_id(), Some(id))) {
        return another("object id", wanted);
    }
    match claims.object_id() {
        Some(_) => Finding::new(
            "principal",
            Status::Ok,
            "to whose object id roles are assigned, as the token says, unverified",
        ),
        None => Finding::new("principal", Status::CannotTell, "the token names no object id")
            .means("Roles are assigned to one."),
    }
}
