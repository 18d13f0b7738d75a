//! Where the Azure CLI has no token.

use super::Remedy;
use crate::doctor::shell::word;
use crate::token::{Denial, Purpose};

pub(super) fn remedy(tenant: Option<&str>, purpose: &Purpose, denial: &Denial) -> Remedy {
    let tenant = tenant.map(|tenant| format!(" --tenant {}", word(tenant))).unwrap_or_default();
    let scope = word(&purpose.scope);
    // The query keeps the token itself off the screen.
    let ask = format!("az account get-access-token --scope {scope}{tenant} --query expiresOn --output tsv");
    let remedy = Remedy::new("whoever runs keyswap has no token there", denial.cure.unwrap_or("run az login"));
    remedy.with([format!("az login{tenant}"), ask])
}
