//! A look at a resource.

use super::{Case, Section};

pub(super) async fn look(case: &Case, name: &str, _section: &mut Section) {
    let Some(_resource) = case.settings.resource(name) else { return };
}
