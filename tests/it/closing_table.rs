//! Section F of azure-wire, row by row: a condition, and the whole answer to it, from the status line to the last byte.
//!
//! Every row is asked over HTTP/1.1 without TLS and over HTTP/2 with it, and has its request line. What varies stands by
//! name: see [`answer`]. Conditions that take more than one request stand with their own concern: tokens that are replaced,
//! or serve through an outage, in `token_faults`; clients' own tokens that pass in `client_tokens`.

mod affairs;
mod answer;
mod faults;
mod keys;
mod row;
mod trouble;

pub(crate) use answer::{OPENAI_WRONG_KEY, SEARCH_WRONG_KEY};
