//! Whether a connection comes about: TCP, or a tunnel through the proxy.

use super::{Finding, Site, Status, Step};
use crate::egress::{Socket, Unreachable};

const CURE_OF_NO_WAY: &str = "See that nothing between here and there drops or refuses it: rules of the network, a firewall, \
                              a missing route. Where only a proxy leads out, set egress.proxy.";

const CURE_OF_NO_TUNNEL: &str = "The proxy has to be there, to take keyswap's credentials if it wants any \
                                 (egress.proxy_credentials_file), and to let tunnels through to that host and port. A host that \
                                 is reached without it belongs into egress.no_proxy.";

const CURE_OF_LOOP: &str =
    "The endpoint, or the resource's address, is where keyswap itself listens: write where the resource is.";

pub(super) async fn look(site: &Site) -> Step<Socket> {
    let Site { resource, connector, .. } = site;
    let url = resource.endpoint.url();
    let proxy = connector.proxy_to(url);
    match connector.reach(url, resource.address).await {
        Ok(socket) => {
            let peer = socket.peer().map(|peer| peer.to_string()).unwrap_or_default();
            let found = match proxy {
                Some(proxy) => format!("a tunnel through {proxy}, at {peer}"),
                None => format!("connected to {peer}"),
            };
            (Finding::new("tcp", Status::Ok, found), Some(socket))
        }
        Err(why) => {
            let cure = match (&why, proxy) {
                (Unreachable::Loop(_), _) => CURE_OF_LOOP,
                (Unreachable::Broken(_) | Unreachable::Refused(..), Some(_)) => CURE_OF_NO_TUNNEL,
                (Unreachable::Broken(_) | Unreachable::Refused(..), None) => CURE_OF_NO_WAY,
            };
            (Finding::new("tcp", Status::Wrong, why.to_string()).cure(cure), None)
        }
    }
}
