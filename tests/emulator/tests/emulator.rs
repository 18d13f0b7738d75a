//! The emulator's own tests: real sockets, real TLS, free ports, exact bytes.

// Helpers are test code, too: `cfg(test)` is how clippy knows.
#[cfg(test)]
mod assertion;
#[cfg(test)]
mod bench;
#[cfg(test)]
mod binary;
#[cfg(test)]
mod control;
#[cfg(test)]
mod doors;
#[cfg(test)]
mod fault_table;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod openai;
#[cfg(test)]
mod realtime;
#[cfg(test)]
mod search;
