//! A look at the way out.

use super::{Case, Section};
use crate::settings::Egress;

/// What the settings make of it.
pub(super) fn what(settings: &Egress) -> String {
    let names = match settings.resolver {
        Some(server) => format!("names asked of {server}"),
        None => "names as the system finds them".to_owned(),
    };
    let way = match &settings.proxy {
        Some(proxy) => format!("through the proxy {}", proxy.authority),
        None => "without a proxy".to_owned(),
    };
    format!("{way}, {names}")
}

pub(super) async fn look(_case: &Case, _section: &mut Section) {}
