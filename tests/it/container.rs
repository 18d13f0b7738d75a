//! The Dockerfile's own commands, run by hand: no container engine is needed to know that they work.
