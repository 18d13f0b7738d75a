//! What can be said of an endpoint without asking anybody: whether it is a name of Azure's, of which cloud, and whether
//! the scope is that cloud's. The settings have refused a region's endpoint, which takes no tokens.

use super::{Finding, Status};
use crate::plane::{Cloud, Plane};
use crate::settings::Resource;

/// Accepted in place of the plane's own scope: it is what Foundry's projects want (azure-wire, A3).
const FOUNDRY: &str = "https://ai.azure.com/.default";

pub(super) fn look(resource: &Resource) -> Finding {
    let Resource { endpoint, plane, scope, .. } = resource;
    let finding = |status, found: String| Finding::new("endpoint", status, found);
    let host = endpoint.host();
    let Some(cloud) = Cloud::of_host(host) else {
        let found = format!("{host} is no name of Azure's: whose it is, the settings have to know");
        return finding(Status::Ok, found);
    };
    let own = plane.scope(cloud);
    let found = format!("{host} is a name of Azure's, in the {} cloud", cloud.name());
    if Plane::of_host(host).is_some_and(|of| of != *plane) {
        return finding(Status::Wrong, found)
            .means(format!("It is no name of the {plane} plane's, which the settings say it is of."))
            .cure("Take away plane from the resource: the name tells it.");
    }
    if **scope == *own || (*plane == Plane::OpenAi && **scope == *FOUNDRY) {
        return finding(Status::Ok, format!("{found}, which its scope is for"));
    }
    finding(Status::Note, found)
        .means(format!("Its tokens are for {scope}, and that cloud's {plane} resources take those for {own}."))
        .cure(
            "Take away scope from the resource, and set cloud to what the name says, unless Azure is known to take it.",
        )
}
