//! keyswap inside somebody else's axum program: mount the layer, keep your own routes, server and upstream service.
//!
//! ```text
//! cargo run --example mount -- keyswap.toml
//! ```
#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use keyswap::egress::Egress;
use keyswap::forward::{Forward, Pools};
use keyswap::keys::Keys;
use keyswap::settings::Settings;
use keyswap::swap::{Gateway, SwapLayer};
use tower::Layer;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let file: PathBuf = std::env::args_os().nth(1).ok_or("name a keyswap.toml")?.into();
    let settings = Settings::read(&file)?;
    let keys = Keys::read(&settings)?;
    let egress = Egress::new(&settings.egress, settings.timeouts.egress)?;
    let gateway = Arc::new(Gateway::new(&settings, keys));
    // The tasks that fetch tokens end when this is dropped.
    let _kept = gateway.tokens.keep(&settings, &egress);

    let swap = SwapLayer::new(gateway).layer(Forward::new(&egress, &Pools::new(&settings)));
    let app = Router::new().route("/hello", get(|| async { "a route of your own\n" })).fallback_service(swap);

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}
