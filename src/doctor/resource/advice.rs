//! Commands of the Azure CLI about a resource, ready to be pasted into a shell.
//!
//! What goes into them from the settings or from a token is there only if it means nothing to a shell; else, and where
//! nothing is known, a word in capitals stands for what has to be filled in.

use crate::doctor::claims::Claims;
use crate::plane::{Cloud, Plane};
use crate::settings::Resource;

/// Whoever knows how a resource is called in Azure's management.
pub(super) struct Advice<'r> {
    resource: &'r Resource,
    called: Called,
}

/// How it is called there.
enum Called {
    /// By its id, quoted for a shell, or a command that prints it.
    Id(String),
    /// So that the CLI finds it in the subscription that it is set to.
    Found(String),
    /// Nobody has told.
    Unknown(&'static str),
}

/// Whom a role is assigned to.
pub(super) struct Principal {
    object_id: Option<String>,
    kind: &'static str,
}

/// What stands where nobody knows what belongs there.
const BLANKS: [&str; 4] = ["OBJECT-ID", "NAME", "GROUP", "SUBDOMAIN"];

impl<'r> Advice<'r> {
    pub(super) fn of(resource: &'r Resource) -> Self {
        let own = Cloud::of_host(resource.endpoint.host()).and_then(|_| resource.endpoint.host().split('.').next());
        let own = own.filter(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'));
        let own = own.map(str::to_ascii_lowercase);
        let called = match (&resource.id, own, resource.plane) {
            (Some(id), _, _) => Called::Id(id.to_string()),
            // An account may have another name than its subdomain.
            (None, Some(name), Plane::OpenAi) => Called::Found(format!(
                "$(az cognitiveservices account list --query \"[?properties.customSubDomainName=='{name}'].id\" --output tsv)"
            )),
            (None, Some(name), Plane::Search) => Called::Found(format!(
                "$(az resource list --resource-type {} --name {name} --query \"[].id\" --output tsv)",
                Plane::Search.resource_type()
            )),
            (None, None, Plane::OpenAi) => Called::Unknown(
                "$(az cognitiveservices account show --name NAME --resource-group GROUP --query id --output tsv)",
            ),
            (None, None, Plane::Search) => {
                Called::Unknown("$(az search service show --name NAME --resource-group GROUP --query id --output tsv)")
            }
        };
        Self { resource, called }
    }

    /// What to know before these commands are pasted, where there is something.
    pub(super) fn note(&self, commands: &[String]) -> Option<String> {
        let words = commands.iter().flat_map(|command| command.split([' ', ')']));
        let words: Vec<_> = words.collect();
        let blank: Vec<_> = BLANKS.into_iter().filter(|blank| words.contains(blank)).collect();
        let names_it = blank.iter().any(|blank| ["NAME", "GROUP"].contains(blank));
        let hint =
            if names_it && self.resource.id.is_none() { ", or set the resource's id in the settings" } else { "" };
        let fill_in = (!blank.is_empty()).then(|| format!("Fill in {}{hint}.", blank.join(" and ")));
        let looks = matches!(self.called, Called::Found(_)) && commands.iter().any(|command| command.contains("$("));
        let looks = looks.then(|| "The resource is looked for in the subscription that az is set to.".to_owned());
        let notes: Vec<_> = looks.into_iter().chain(fill_in).collect();
        (!notes.is_empty()).then(|| notes.join(" "))
    }

    /// The id as a word of a shell.
    fn id(&self) -> &str {
        match &self.called {
            Called::Id(id) | Called::Found(id) => id,
            Called::Unknown(id) => id,
        }
    }

    /// Gives a role.
    pub(super) fn assign(&self, role: &str, principal: &Principal) -> String {
        let Principal { object_id, kind } = principal;
        let object_id = object_id.as_deref().unwrap_or("OBJECT-ID");
        format!(
            "az role assignment create --assignee-object-id {object_id} --assignee-principal-type {kind} --role \"{role}\" \
             --scope \"{}\"",
            self.id()
        )
    }

    /// Shows what the resource is set to.
    pub(super) fn show(&self, what: &str) -> String {
        format!("az resource show --ids \"{}\" --query \"{what}\"", self.id())
    }

    /// Has a search service take tokens beside keys, if it takes keys alone.
    pub(super) fn take_tokens(&self) -> String {
        let (name, group) = self.name_and_group();
        format!(
            "az search service update --name {name} --resource-group {group} --auth-options aadOrApiKey \
             --aad-auth-failure-mode http401WithBearerChallenge"
        )
    }

    /// Gives an account a subdomain of its own.
    pub(super) fn give_subdomain(&self) -> String {
        let (name, group) = self.name_and_group();
        format!("az cognitiveservices account update --name {name} --resource-group {group} --custom-domain SUBDOMAIN")
    }

    /// Name and group, which some commands want in place of an id.
    fn name_and_group(&self) -> (&str, &str) {
        let mut segments = self.resource.id.as_deref().unwrap_or_default().split('/');
        let (group, name) = (segments.nth(4), segments.next_back());
        (name.unwrap_or("NAME"), group.unwrap_or("GROUP"))
    }
}

// === impl Principal ===

impl Principal {
    /// Whoever a token is of, as far as it says so.
    pub(super) fn of(claims: Option<&Claims>) -> Self {
        let is_id = |id: &String| id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        // A person's token alone has scopes; an application's has none.
        let is_person = claims.is_some_and(|claims| claims.text("scp").is_some());
        let kind = if is_person { "User" } else { "ServicePrincipal" };
        Self { object_id: claims.and_then(Claims::object_id).filter(is_id), kind }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};

    use super::*;
    use crate::settings::Settings;

    fn resource(endpoint: &str, more: &str) -> Resource {
        let text = format!(
            "keys = \"keys.toml\"\n[identities.main]\nkind = \"managed-identity\"\n\
             [resources.one]\nidentity = \"main\"\nendpoint = \"{endpoint}\"\n{more}"
        );
        Resource::clone(&Settings::parse(Path::new("keyswap.toml"), &text).unwrap().resources[0])
    }

    #[test]
    fn a_resource_is_looked_for_by_what_is_known_of_it() {
        let id = |resource: &Resource| Advice::of(resource).id().to_owned();
        assert_eq!(
            id(&resource("https://Contoso.OpenAI.azure.com", "")),
            "$(az cognitiveservices account list --query \"[?properties.customSubDomainName=='contoso'].id\" --output tsv)"
        );
        assert_eq!(
            id(&resource("https://contoso.search.windows.net", "")),
            "$(az resource list --resource-type Microsoft.Search/searchServices --name contoso --query \"[].id\" --output tsv)"
        );
        // Whatever means something to a shell stands in no command.
        for strange in ["https://a'b$c.openai.azure.com", "https://ai.corp.example"] {
            assert_eq!(
                id(&resource(strange, "plane = \"openai\"\n")),
                "$(az cognitiveservices account show --name NAME --resource-group GROUP --query id --output tsv)"
            );
        }
        let known = "/subscriptions/0-1/resourceGroups/rg/providers/Microsoft.Search/searchServices/contoso";
        let known = resource("https://contoso.search.windows.net", &format!("id = \"{known}\"\n"));
        assert!(Advice::of(&known).take_tokens().contains("--name contoso --resource-group rg "));
        assert_eq!(Advice::of(&known).note(&[Advice::of(&known).take_tokens()]), None);
    }

    #[test]
    fn a_role_is_for_whoever_the_token_is_of() {
        let contoso = resource("https://contoso.openai.azure.com", "");
        let advice = Advice::of(&contoso);
        let assigned = |claims: &str| {
            let token = format!("Bearer x.{}.x", BASE64_URL_SAFE_NO_PAD.encode(claims));
            let claims = Claims::of(&token.parse().unwrap());
            let command = advice.assign("Role", &Principal::of(claims.as_ref()));
            (command.split(" --role").next().unwrap().to_owned(), advice.note(&[command]).unwrap())
        };
        let begins = "az role assignment create --assignee-object-id";
        let looks = "The resource is looked for in the subscription that az is set to.";
        assert_eq!(
            assigned(r#"{"oid":"0-a"}"#),
            (format!("{begins} 0-a --assignee-principal-type ServicePrincipal"), looks.to_owned())
        );
        assert_eq!(
            assigned(r#"{"oid":"0-a","scp":"user_impersonation"}"#).0,
            format!("{begins} 0-a --assignee-principal-type User")
        );
        let blank = (
            format!("{begins} OBJECT-ID --assignee-principal-type ServicePrincipal"),
            format!("{looks} Fill in OBJECT-ID."),
        );
        assert_eq!(assigned(r#"{"oid":"$(id)"}"#), blank);
        assert_eq!(assigned("{}"), blank);
    }
}
