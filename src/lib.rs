//! **keyswap** stands between a legacy client, which has only an `api-key`, and an Azure resource that takes no keys
//! any more: it knows the key, knows what that key may do, holds a Microsoft Entra token of its own, and forwards the
//! request with the token in the key's place.
//!
//! # Scope
//! Azure OpenAI (and Foundry's model surfaces) and Azure AI Search, their data planes, whole. Out of scope: other
//! services, choosing among models, counting tokens, caching answers, changing bodies but for the links in answers, and
//! whatever a load balancer or an ingress does.
//!
//! What is said of Azure has its source in brackets, like (azure-wire, B1.6): a row of `tests/emulator/azure-wire.md`.
//!
//! # The map
//! The order of a request is the order of the files is the order of the imports:
//!
//! ```text
//! listen -> route -> authenticate -> authorize -> token -> guard -> admit -> forward -> links -> rewrite
//! ```
//!
//! A module imports only what is declared above it; a test reads this file and holds every module to that. First come
//! the words and the settings, then the path of a request, then the program around it.
//!
//! # The walk of a request
//! [`listen`] accepts a socket and hands it to a worker, whose connection gives a request to [`swap::Swap`], with the
//! address of its client, also behind trusted proxies. There the walk is one short function. [`route::Route`] says what
//! is wanted, from method, canonical path and host; [`authenticate::Caller`] whose key this is; [`authorize::Permit`]
//! that this caller may do this on this resource; [`token::Bearer`] is our own token, whose identity follows from client,
//! resource and access. Each of these can be made by its own step alone. Together with the request they make an
//! [`admit::Admitted`], the only thing that [`forward::Forward`] takes. Where the permit depends on the `model` in the
//! body, that body is behind its [`guard::Guarded`]: it streams, and cannot end before the condition holds. The answer
//! streams back; its [`links`] to the upstream become links to us as they pass, and [`rewrite`] holds those few answers
//! that speak of *our* credentials: a [`fault::Fault`] knows what cures it, for the client and for the operator.
//!
//! # The walk of a client's own token
//! A client may bring an Entra token of its own in place of a key. Where a resource takes such tokens, its request goes on
//! an [`authorize::Passage`], which holds that token and can hold nothing of ours; its answer is the client's, whatever it
//! says.
//!
//! # The walk of a websocket
//! A realtime websocket walks like any request: [`websocket`] reads that one is asked for, and asks the upstream for it.
//! If that says 101, its connection is taken over, then the client is told, and a [`tunnel`] carries bytes between the
//! two that nobody parses. It lives beside the client's connection, has the upstream connection's place in its pool, and
//! is told when it has ended. Whatever else the upstream says is an answer.
//!
//! # The name of Azure's that leads here
//! A client may keep Azure's own host name, which somebody leads to us. [`certificate`] has what it is shown, by the name
//! that it asks for; that name, or `Host`, is the resource's in [`route`]. [`egress`] finds where the resource really is,
//! and never calls [`egress::Ourselves`]. [`authority`] makes such certificates, [`trust`] tells clients of them.
//!
//! # The walk of a refusal
//! Any step returns a [`refusal::Verdict`] with `?`. [`swap`] alone counts it, and has [`dialect`] render it in the
//! plane's own words: Azure's bytes where Azure has some. The refusal of an unknown key waits first, if its source has
//! brought many: [`authenticate::Guesses`].
//!
//! # The end of a connection
//! A client that is refused while it still sends gets its whole answer: its connection lingers. An answer that breaks off
//! upstream is delivered as far as it came, acknowledged, and ends in a reset, since every SDK takes a clean early end for
//! a whole answer; one that our own stop cuts off is reset at once. All that is the work of the client's stream, in
//! [`listen`]. Over HTTP/2 it is one stream that ends so, and so does one of whose answer its client takes nothing; their
//! connection goes on. A client that goes takes its upstream request along, also in the middle of its upload; a kept
//! upstream connection that had just been closed is tried once more, where the operation may be repeated, and where it may
//! not, is looked at first. A websocket whose upstream breaks off gets no close, only the end of its connection, which
//! lingers; over HTTP/2 the end of its stream.
//!
//! # The end of a request
//! However a request ends, it is told once, in a [`request_line`] on standard output: a refusal with its exact cause.
//! What broke, on our side or upstream, is a warning in the log besides, a fault of our credentials once in a while and
//! with its cure; a connection that ends without a request is counted and logged, too. Both leave through an [`outlet`],
//! so that no worker ever waits for whoever reads them.
//!
//! # The use of a key
//! A key is told by [`authenticate`] that it was used, or tried when it was not good, and what it was permitted to do when
//! its request has an answer, or none any more. It keeps that in its [`usage::Uses`], at the cost of a few comparisons where
//! nothing is new. The book of all of them is shown at the admin address and written to a file by the control runtime; what
//! several replicas know, [`keyring`] puts together.
//!
//! # Why
//! Whatever of that was a refusal, a failure or a fault stays for a while in the [`recorder`], with the step that said no and
//! with what cures it, and outlives a change of settings. [`admin`] serves it, to whoever may see it; an [`admin_client`] is
//! how our own commands ask.
//!
//! # An examination
//! The [`doctor`] asks everybody whom requests depend on, before a client meets them: each identity's issuer as [`token`]
//! does, each resource on the steps of [`egress`]; and it reads what they say as [`rewrite`] and [`fault`] do. It has no part
//! in the walk: what it sends is its own, on connections of its own, can change nothing, and holds a token, or a random key
//! that is nobody's.
//!
//! # A change of settings
//! [`sources`] reads everything that stands in files, and knows how those looked. [`server`] looks again and again; what has
//! changed and settled is tried whole, and then every worker has another [`swap::Gateway`] and another
//! [`forward::Forward`]: another generation. Whatever has begun ends with the one that it began with, so that nothing on
//! the path of a request ever sees two. Counts, tokens of identities that are the same, and connections that lead to the
//! same place go on from one to the next. A [`keyring`] is how `keyswap keys` changes the file of keys: under a lock, and
//! only to what the server would take.
//!
//! # The end of a key
//! A key that has an end is spoken of before that comes: by [`server`] in the log and by [`metrics`], for its operator, and
//! in answers to its client, if those shall say it. It ends by the clock, and changes no generation.
//!
//! # Invariants
//! 1. Nothing of a client's reaches an upstream that is not [`admit::Admitted`], and nothing is completed there whose
//!    condition did not hold.
//! 2. No api-key leaves, wherever it stood in head or query; no credential of ours comes back in the head of an answer; no
//!    secret is logged, shown or serialised.
//! 3. Bodies are streamed. Held are only a request of up to 64 KiB, in case it has to be sent once more, the last piece
//!    of a request on whose body something depends, an upstream's 400, 401 or 403 of up to 64 KiB, to see what it means,
//!    and the beginning of a URL in an answer, to see whose it is.
//! 4. A token is never sent to a host that the settings do not name; redirects are never followed, nor passed on to a
//!    client that has a key.
//! 5. A refusal is rendered in one place, in the plane's dialect, and told once, with a stable reason.
//! 6. A valid token is served until it really expires, whatever Entra does; a request never fetches one.
//! 7. Whatever can be read in two ways is refused, and what no rule places is granted to nobody.
//! 8. A broken new file never replaces a working one.
//! 9. The admin address is on loopback by default; elsewhere all on it but health and metrics needs a secret.

// Words.
pub mod plane;
pub mod family;
pub mod fault;
pub mod refusal;
pub mod dialect;

// Settings.
pub mod document;
mod whereabouts;
pub mod settings;
pub mod usage;
pub mod keys;
pub mod certificate;
pub mod proof;
pub mod sources;

// The path of a request.
mod patience;
mod tcp;
pub mod listen;
mod websocket;
pub mod route;
pub mod authenticate;
pub mod authorize;
pub mod egress;
pub mod token;
mod json;
pub mod guard;
pub mod admit;
pub mod forward;
mod tunnel;
pub mod links;
pub mod rewrite;
pub mod cors;

// The path as a whole, and the program around it.
pub mod outlet;
pub mod request_line;
pub mod metrics;
mod recorder;
pub mod swap;
mod admin;
pub mod admin_client;
pub mod authority;
pub mod trust;
pub mod keyring;
pub mod doctor;
pub mod server;
