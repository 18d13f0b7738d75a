//! Whether a connection comes about: TCP, or a tunnel through the proxy.

use super::{Finding, Site, Status, Step};
use crate::doctor::egress::{NoTunnel, through};
use crate::egress::{Socket, Unreachable};
use crate::settings::Proxy;

const CURE_OF_NO_WAY: &str = "See that nothing between here and there drops or refuses it: rules of the network, a firewall, \
                              a missing route. Where only a proxy leads out, set egress.proxy.";

const CURE_OF_LOOP: &str =
    "The endpoint, or the resource's address, is where keyswap itself listens: write where the resource is.";

pub(super) async fn look(site: &Site) -> Step<Socket> {
    let Site { resource, connector, proxy, .. } = site;
    let url = resource.endpoint.url();
    let why = match connector.reach(url, resource.address).await {
        Ok(socket) => {
            let peer = socket.peer().map(|peer| peer.to_string()).unwrap_or_default();
            let found = match proxy {
                Some(Proxy { authority, .. }) => format!("a tunnel through the proxy {authority}, at {peer}"),
                None => format!("connected to {peer}"),
            };
            return (Finding::new("tcp", Status::Ok, found), Some(socket));
        }
        Err(why) => why,
    };
    let finding = Finding::new("tcp", Status::Wrong, why.to_string());
    let finding = match (&why, proxy) {
        (Unreachable::Loop(_), _) => finding.cure(CURE_OF_LOOP),
        (_, Some(proxy)) => {
            let NoTunnel { means, cure } = NoTunnel::of(proxy, &why);
            finding.means(means).cure(cure).command(through(&proxy.authority, url))
        }
        (_, None) => finding.cure(CURE_OF_NO_WAY),
    };
    (finding, None)
}
