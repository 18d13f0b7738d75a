//! What came of a fetch.

use std::time::{Duration, SystemTime};

use super::remedy::Remedy;
use super::way::Way;
use crate::doctor::claims::Claims;
use crate::doctor::clock::span;
use crate::doctor::{Finding, Status};
use crate::settings::IdentityKind;
use crate::token::{Denial, Fetched, Purpose, Sample, Seen};

/// The ending of every scope.
const DEFAULT: &str = "/.default";

/// A token with less to live is asked for all the time.
const SHORT: Duration = Duration::from_secs(5 * 60);

pub(super) fn finding(kind: &IdentityKind, purpose: &Purpose, fetched: &Fetched, way: Option<&Way>) -> Finding {
    let finding = match &fetched.token {
        Ok(sample) => good(purpose, sample),
        Err(denial) => none(kind, purpose, denial, &fetched.seen, way),
    };
    finding.of(&*purpose.scope)
}

fn good(purpose: &Purpose, sample: &Sample) -> Finding {
    let left = format!("good for {}", span(sample.life));
    let Some(claims) = Claims::of(&sample.header) else {
        return Finding::new("token", Status::Ok, format!("{left}; it cannot be read here"));
    };
    let wanted = purpose.scope.strip_suffix(DEFAULT).unwrap_or(&purpose.scope);
    judged(&claims, wanted, left, sample.life)
        .fact("audience", claims.audience())
        .fact("issuer", claims.text("iss"))
        .fact("version", claims.text("ver"))
        .fact("roles", claims.roles())
}

/// Whether Azure will take a token that says this, as far as can be seen here. `left` is how long it is good, in words.
fn judged(claims: &Claims, wanted: &str, left: String, life: Duration) -> Finding {
    if let Some(other) = claims.audience().filter(|audience| !is_for(audience, wanted)) {
        return Finding::new("token", Status::Wrong, format!("{left}, but for the audience {other}"))
            .means(format!("The scope asks for {wanted}, and Azure takes no token for another audience than its own."))
            .cure("See who answers in Entra's place, and compare the resource's scope and the cloud.");
    }
    let ended = claims.expires().and_then(|expires| SystemTime::now().duration_since(expires).ok());
    if let Some(since) = ended.map(span) {
        let found = format!("its issuer says {left}; it says itself that it ended {since} ago");
        return Finding::new("token", Status::Wrong, found)
            .means("Azure goes by what the token says; or this machine's clock is wrong.")
            .cure(
                "Compare the clocks. Azure keeps the tokens of a managed identity for a day: a restart of its machine may \
                 bring another.",
            );
    }
    if life < SHORT {
        return Finding::new("token", Status::Note, left)
            .means("A token with so little left is fetched anew all the time.");
    }
    Finding::new("token", Status::Ok, left)
}

/// Whether an audience is what a scope asks for. Tokens of version 2 have the id of the audience's application in place of
/// its URL, which only Azure can judge.
fn is_for(audience: &str, wanted: &str) -> bool {
    let bare = |text: &str| text.trim_end_matches('/').to_ascii_lowercase();
    !audience.contains("://") || bare(audience) == bare(wanted)
}

fn none(kind: &IdentityKind, purpose: &Purpose, denial: &Denial, seen: &Seen, way: Option<&Way>) -> Finding {
    let found = match seen {
        // What a code means is said apart.
        Seen::Answer { .. } if seen.ailment().is_some() => seen.to_string(),
        _ => denial.why.clone(),
    };
    let Remedy { means, cure, commands } = Remedy::of(kind, purpose, denial, seen, way);
    let (means, cure) = (means.map(|means| sentence(&means)), cure.map(|cure| sentence(&cure)));
    Finding { means, cure, commands, ..Finding::new("token", Status::Wrong, found) }
}

/// What the log says in a few words, as a sentence.
fn sentence(words: &str) -> String {
    let (first, rest) = words.split_at_checked(1).unwrap_or((words, ""));
    let end = if words.ends_with('.') { "" } else { "." };
    format!("{}{rest}{end}", first.to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::is_for;

    #[test]
    fn an_audience_is_a_scopes_or_an_id() {
        let wanted = "https://search.azure.com";
        assert!(is_for(wanted, wanted));
        assert!(is_for("https://Search.azure.com/", wanted));
        assert!(is_for("880da380-985e-4198-81b9-e05b1cc53158", wanted));
        assert!(!is_for("https://cognitiveservices.azure.com", wanted));
    }
}
