//! Who may see what the admin address serves besides health and metrics, which are everybody's.
//!
//! Where a secret is set: whoever brings it. Where none is: programs on this machine, if the address is for this machine
//! alone. A web page is no such program, though the browser that shows it is. The browser says whose page a script is on
//! (`Origin`), and of whatever else a page loads, an image or a frame, that a page of another site asked (`Sec-Fetch-Site`;
//! it is `none` where somebody typed our address). Or the page calls us by a name of its own that it had lead here (`Host`).

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::settings::{Admin, AdminSecret, host_and_port, is_loopback};

/// Who may see the pages that are not for everybody.
#[derive(Debug)]
pub(crate) struct Visitors {
    are_on_this_machine: bool,
    secret: ArcSwapOption<AdminSecret>,
}

/// In what relation the page that asks is to us, as browsers say of requests to a machine's own addresses, too.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What to do for whoever may not, in a line.
type Denial = &'static str;

const NO_SECRET_BROUGHT: Denial = "This page needs the secret that admin.secret_file (or secret_env) holds. Send it as \
                                   Authorization: Bearer SECRET; keyswap's own commands take it with --admin-secret-file.\n";

const ANOTHER_SECRET: Denial = "This is not the secret that admin.secret_file (or secret_env) holds.\n";

const NOT_FROM_HERE: Denial = "This page needs a secret where the admin address is not on loopback, and none is set. Set \
                               secret_file in [admin] (--admin-secret-file of a sidecar).\n";

const NOT_FOR_WEB_PAGES: Denial = "Without a secret this page is for programs on this machine, and for no web page. Call it \
                                   as localhost or 127.0.0.1, without Origin; or set secret_file in [admin].\n";

impl Visitors {
    /// Those who may ask there, and bring this secret if there is one.
    pub(crate) fn of(admin: &Admin, secret: Option<AdminSecret>) -> Self {
        Self { are_on_this_machine: admin.is_loopback(), secret: ArcSwapOption::from_pointee(secret) }
    }

    /// From now on they must bring this secret.
    pub(crate) fn expect(&self, secret: Option<AdminSecret>) {
        self.secret.store(secret.map(Arc::new));
    }

    fn admit(&self, headers: &HeaderMap) -> Result<(), Denial> {
        let secret = self.secret.load();
        match &*secret {
            Some(secret) => {
                let brought = brought(headers).ok_or(NO_SECRET_BROUGHT)?;
                if secret.is(brought) { Ok(()) } else { Err(ANOTHER_SECRET) }
            }
            None if !self.are_on_this_machine => Err(NOT_FROM_HERE),
            None if calls_this_machine(headers) && !is_of_web_page(headers) => Ok(()),
            None => Err(NOT_FOR_WEB_PAGES),
        }
    }
}

/// Answers whoever may not see a page, in its place.
pub(super) async fn admit(State(visitors): State<Arc<Visitors>>, request: Request, next: Next) -> Response {
    match visitors.admit(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(denial) => (StatusCode::FORBIDDEN, denial).into_response(),
    }
}

/// The secret that stands in a request's head.
fn brought(headers: &HeaderMap) -> Option<&[u8]> {
    let (scheme, secret) = headers.get(AUTHORIZATION)?.as_bytes().split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(secret.trim_ascii())
}

/// Whether a browser says that a page of somebody else's has asked.
fn is_of_web_page(headers: &HeaderMap) -> bool {
    let mut sites = headers.get_all(SEC_FETCH_SITE).iter();
    headers.contains_key(ORIGIN) || sites.any(|site| site != "none" && site != "same-origin")
}

/// Whether a request calls us by a name that every machine has for itself.
fn calls_this_machine(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next().filter(|_| hosts.next().is_none()).and_then(|host| host.to_str().ok());
    host.is_some_and(|host| is_loopback(host_and_port(host).0))
}
