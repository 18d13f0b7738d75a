//! `keyswap doctor`: each fault that can be, looked at by the real binary, told with what it means and what cures it.

mod resources;
