//! The whole program, from outside: the real binary, real sockets, real TLS, the real `azure_identity`, and an Azure on
//! loopback that is hostile by default. One binary, one file a concern.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test panics where something is wrong")]

mod client;
mod gateway;
mod world;
mod proxy;
mod upstream;
mod websocket;
mod namespace;
mod name_server;
mod authority;

mod map;
mod files;
mod command_line;
mod front;
mod origin;
mod places;
mod forwarding;
mod wire;
mod pool;
mod mishaps;
mod vanished;
mod early_refusal;
mod bodies;
mod memory;
mod refusals;
mod guessing;
mod resources;
mod grants;
mod model_grant;
mod key_table;
mod bypass;
mod realtime;
mod tunnel;
mod closing_table;
mod links;
mod pages;
mod tokens;
mod token_faults;
mod identities;
mod egress;
mod egress_settings;
mod transparent;
mod loops;
mod client_tokens;
mod certificates;
mod preflight;
mod lifecycle;
mod reload;
mod endurance;
mod request_line;
mod canary;
mod mount;
mod recorded;
mod container;
