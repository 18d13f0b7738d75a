//! The way to a resource: each step that can fail, what comes after it, and other resources that are well meanwhile.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use azure_emulator::Door;
use tokio::net::{TcpListener, TcpSocket};

use super::Patient;
use crate::authority::Authority;
use crate::gateway::run;
use crate::name_server::NameServer;
use crate::proxy::{Proxy, Way};

const OPENAI: &str = "contoso.openai.azure.com";

/// What is told of the resource `ai`, without what is told of search, which is well all the time.
async fn told(patient: &Patient) -> String {
    let (_, told) = patient.told(&["--only", "resources.ai", "--only", "resources.search"]).await;
    let (ai, search) = told.split_once("\n\nresource search").unwrap();
    assert!(search.contains("  ok           access documents-read read as app: HTTP 200: let in\n"), "{told}");
    ai.split_once('\n').unwrap().1.to_owned()
}

fn port(url: &str) -> &str {
    url.rsplit(':').next().unwrap()
}

/// The same with the resource at another URL, and lines more in its section and in that of the way out.
fn moved(patient: &mut Patient, endpoint: &str, resource: &str, egress: &str) {
    let here = patient.emulator().openai(Door::Direct);
    let settings = patient.settings.replace(&here, endpoint);
    let settings = settings.replace("[resources.ai]\n", &format!("[resources.ai]\n{resource}"));
    patient.settings = settings.replace("[egress]\n", &format!("[egress]\n{egress}"));
}

#[tokio::test]
async fn a_name_that_nobody_knows() {
    let names = NameServer::knowing(&[]).await;
    let mut patient = Patient::new().await;
    moved(&mut patient, &format!("https://{OPENAI}"), "", &format!("resolver = \"{}\"\n", names.address));
    let expected = format!(
        "  ok           endpoint: {OPENAI} is a name of Azure's, in the public cloud, which its scope is for
  WRONG        dns: no address of {OPENAI}: the name server {} knows no address of it
               to do: Compare the endpoint with what the portal shows. A resource with a private endpoint alone is known only to networks that its private DNS zone is linked to; egress.resolver asks another DNS server than the system's.
  cannot tell  tcp: not tried, since dns failed
  cannot tell  tls: not tried, since dns failed
  cannot tell  keys: not tried, since dns failed
  cannot tell  access: not tried, since dns failed",
        names.address
    );
    assert_eq!(told(&patient).await, expected);
}

/// A name server tells by which names it came to an address; and a name of Azure's is enough for commands.
#[tokio::test]
async fn a_name_that_leads_here() {
    let alias = "contoso.privatelink.openai.azure.com";
    let names = NameServer::knowing_alias(OPENAI, alias, Ipv4Addr::LOCALHOST).await;
    let mut patient = Patient::new().await;
    let url = patient.emulator().openai(Door::Direct);
    let endpoint = format!("https://{OPENAI}:{}", port(&url));
    moved(&mut patient, &endpoint, "", &format!("resolver = \"{}\"\n", names.address));
    patient.emulator().next(azure_emulator::Plane::OpenAi, azure_emulator::Fault::named("A1.5").on("chat"), 1).unwrap();
    let told = told(&patient).await;
    let dns = format!(
        "  note         dns: 127.0.0.1 (this machine)
               stands for {alias}
               The name leads to this machine, where keyswap does not listen: requests go to whoever does.
               to do: Set egress.resolver to a DNS server that has not been told that the name is here, or the resource's address to where it is.
  ok           tcp: connected to 127.0.0.1:AI\n"
    );
    assert!(told.contains(&dns), "{told}");
    let role = "               to do: Its owner should assign 'Cognitive Services OpenAI User' to that identity there. It takes effect within some ten minutes. The resource is looked for in the subscription that az is set to.
                   az role assignment create --assignee-object-id OBJECT --assignee-principal-type ServicePrincipal --role \"Cognitive Services OpenAI User\" --scope \"$(az cognitiveservices account list --query \"[?properties.customSubDomainName=='contoso'].id\" --output tsv)\"\n  ok           clock: in step with Azure's";
    assert!(told.ends_with(role), "{told}");
}

#[tokio::test]
async fn a_port_where_nobody_listens() {
    // Taken, so that nobody else listens there.
    let taken = TcpSocket::new_v4().unwrap();
    taken.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = taken.local_addr().unwrap();
    let mut patient = Patient::new().await;
    moved(&mut patient, &format!("https://{address}"), "", "");
    let expected = format!(
        "  ok           endpoint: 127.0.0.1 is no name of Azure's: whose it is, the settings have to know
  ok           dns: not asked: the endpoint is an address (this machine)
  WRONG        tcp: no connection to {address}: Connection refused (os error 111)
               to do: See that nothing between here and there drops or refuses it: rules of the network, a firewall, a missing route. Where only a proxy leads out, set egress.proxy.
  cannot tell  tls: not tried, since tcp failed
  cannot tell  keys: not tried, since tcp failed
  cannot tell  access: not tried, since tcp failed"
    );
    assert_eq!(told(&patient).await, expected);
}

/// Whoever accepts a connection and then says nothing is given up, and the others are looked at meanwhile.
#[tokio::test]
async fn a_resource_that_hangs() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let mut patient = Patient::new().await;
    moved(&mut patient, &format!("https://{address}"), "", "");
    patient.settings.push_str("[timeouts]\ntls = \"1500ms\"\n");
    let began = Instant::now();
    let told = told(&patient).await;
    assert!(began.elapsed() < Duration::from_secs(30));
    let expected = format!(
        "  ok           tcp: connected to {address}
  WRONG        tls: no TLS with {address}: no answer within 1.5s
               to do: Whoever is there speaks no TLS for this name, or something between closes it: see that the endpoint, its port, and the resource's address lead to the resource.
  cannot tell  keys: not tried, since tls failed
  cannot tell  access: not tried, since tls failed"
    );
    assert!(told.ends_with(&expected), "{told}");
}

/// A proxy that opens TLS shows a certificate of its own authority's.
#[tokio::test]
async fn a_stranger() {
    let authority = Authority::new();
    let mut patient = Patient::new().await;
    let trusted = authority.path("ca/ca.pem");
    patient.settings = patient.settings.replace("ca = \"ca.pem\"", &format!("ca = \"{}\"", trusted.display()));
    let (_, told) = patient.told(&["--only", "resources.ai"]).await;
    let expected = "  WRONG        tls: no TLS with 127.0.0.1:AI: invalid peer certificate: UnknownIssuer
               issued by azure-emulator, a new authority at each start, from 1975-01-01, until 4096-01-01, for *.openai.azure.com, *.search.windows.net, localhost, login.microsoftonline.com
               to do: If a proxy of yours opens TLS on the way, put its authority's certificate into a PEM file and set egress.ca to it. If none does, whoever is there is not Azure: see where DNS and routes lead.
  cannot tell  keys: not tried, since tls failed
  cannot tell  access: not tried, since tls failed

1 WRONG, 2 cannot tell, 3 ok
";
    assert!(told.ends_with(expected), "{told}");
    assert_eq!(patient.emulator().journal().entries().len(), 0, "a stranger is told nothing");
}

#[tokio::test]
async fn another_resource_than_the_name_says() {
    let mut patient = Patient::new().await;
    let url = patient.emulator().openai(Door::Direct);
    let address = url.replace("https://", "");
    moved(&mut patient, "https://ai.corp.example", &format!("address = \"{address}\"\n"), "");
    let told = told(&patient).await;
    let dns = "  ok           dns: not asked: the settings say that it is at 127.0.0.1:AI (this machine)\n";
    assert!(told.contains(dns), "{told}");
    let tls = told.lines().find(|line| line.contains(" tls: ")).unwrap();
    assert!(tls.starts_with("  WRONG        tls: no TLS with ai.corp.example:443 at 127.0.0.1:AI: "), "{tls}");
    let cure = "to do: See that the endpoint is spelled as the portal shows it, and that its name, or the resource's address, leads to that resource: whoever is there is another.";
    assert!(told.contains(cure), "{told}");
}

#[tokio::test]
async fn keyswap_itself() {
    let mut patient = Patient::new().await;
    // Nobody listens there: doctor binds nothing.
    patient.settings = patient.settings.replace("http = \"127.0.0.1:0\"", "http = \"127.0.0.1:9\"");
    moved(&mut patient, "http://127.0.0.1:9", "", "");
    let told = told(&patient).await;
    let expected = "  WRONG        tcp: no connection to 127.0.0.1:9: it leads back to keyswap, which listens on 127.0.0.1:9
               to do: The endpoint, or the resource's address, is where keyswap itself listens: write where the resource is.
";
    assert!(told.contains(expected), "{told}");
}

#[tokio::test]
async fn a_proxy_finds_the_name() {
    let proxy = Proxy::start().await;
    let mut patient = Patient::new().await;
    let egress = format!("proxy = \"http://{}\"\n", proxy.address);
    moved(&mut patient, &format!("https://{OPENAI}"), "", &egress);
    let refused = told(&patient).await;
    let expected = format!(
        "  ok           dns: not asked: the proxy {0} finds {OPENAI}, and what it finds cannot be seen
  WRONG        tcp: no tunnel to {OPENAI}:443 through the proxy {0}: 502 Bad Gateway
               The proxy cannot reach this host, or makes no tunnels.
               to do: Have its owners see why.
                   curl -sv --max-time 10 --output /dev/null --proxy http://{0} https://{OPENAI}/
",
        proxy.address
    );
    assert!(refused.contains(&expected), "{refused}");

    let behind = patient.emulator().openai(Door::Direct).replace("https://", "");
    proxy.lead(&format!("{OPENAI}:443"), Way::To(behind.parse().unwrap()));
    let through = told(&patient).await;
    let expected = format!(
        "  ok           tcp: a tunnel through the proxy {0}, at {0}\n  ok           tls: trusted\n",
        proxy.address
    );
    assert!(through.contains(&expected), "{through}");
    assert!(through.contains("  ok           keys: disabled"), "{through}");
    assert!(through.contains("  ok           access inference read as app"), "{through}");
}

/// What needs nobody to be asked: the settings themselves refuse a region's endpoint, and doctor says so as check does.
#[tokio::test]
async fn a_regional_endpoint() {
    let mut patient = Patient::new().await;
    moved(&mut patient, "https://westeurope.api.cognitive.microsoft.com", "", "");
    patient.practice.write("keyswap.toml", &patient.settings);
    let checked = run(patient.practice.directory.path(), &["check"], &[]);
    assert_eq!(checked.0, Some(2));
    assert!(checked.2.contains("az cognitiveservices account update --custom-domain NAME"), "{}", checked.2);
    assert_eq!(run(patient.practice.directory.path(), &["doctor"], &[]), checked);
}

/// Another cloud's scope is not refused, since somebody may know better.
#[tokio::test]
async fn a_scope_of_another_cloud() {
    let proxy = Proxy::start().await;
    let mut patient = Patient::new().await;
    let scope = "scope = \"https://cognitiveservices.azure.com/.default\"\n";
    let egress = format!("proxy = \"http://{}\"\n", proxy.address);
    moved(&mut patient, "https://contoso.openai.azure.us", scope, &egress);
    let told = told(&patient).await;
    let expected = "  note         endpoint: contoso.openai.azure.us is a name of Azure's, in the us-government cloud
               Its tokens are for https://cognitiveservices.azure.com/.default, and that cloud's openai resources take those for https://cognitiveservices.azure.us/.default.
               to do: Take away scope from the resource, and set cloud to what the name says, unless Azure is known to take it.
";
    assert!(told.starts_with(expected), "{told}");
}
