//! Ranges of addresses.

use std::fmt;
use std::net::IpAddr;

use super::without_brackets;

/// Every address that agrees with one in so many leading bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Reads `10.0.0.0/8`, `fd00::/8`, or an address alone. IPv4 is written as such, never within IPv6.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = without_brackets(address).parse().ok()?;
        let bits =
            bits.map_or(Some(width(address)), |bits| bits.parse().ok().filter(|bits| *bits <= width(address)))?;
        (address == address.to_canonical()).then_some(Self { address, bits })
    }

    /// Whether an address is within; one of IPv4 that came within one of IPv6, as on a socket of both, counts as itself.
    pub fn contains(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let number = |address| match address {
            IpAddr::V4(address) => u128::from(address.to_bits()),
            IpAddr::V6(address) => address.to_bits(),
        };
        let rest = u32::from(width(self.address) - self.bits);
        // Shifted by its whole width, a number is gone: then nothing had to agree.
        let differ = (number(self.address) ^ number(address)).checked_shr(rest).unwrap_or_default();
        self.address.is_ipv4() == address.is_ipv4() && differ == 0
    }

    /// Whether it is all addresses of its kind.
    pub fn is_everything(self) -> bool {
        self.bits == 0
    }
}

/// How many bits an address has.
fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_what_agrees_with_it() {
        for (range, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("10.0.0.0/8", "::ffff:10.1.2.3", "::ffff:11.1.2.3"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("192.0.2.128/25", "192.0.2.200", "192.0.2.127"),
            ("fd00::/8", "fdff::1", "fe80::1"),
            ("[2001:db8::1]", "2001:db8::1", "2001:db8::2"),
            ("0.0.0.0/0", "203.0.113.1", "2001:db8::1"),
            ("::/0", "2001:db8::1", "203.0.113.1"),
            ("::/96", "::1.2.3.4", "1.2.3.4"),
        ] {
            let network = Network::parse(range).unwrap();
            assert!(network.contains(inside.parse().unwrap()), "{inside} in {range}");
            assert!(!network.contains(outside.parse().unwrap()), "{outside} in {range}");
        }
    }

    #[test]
    fn what_is_no_range_is_none() {
        for bad in
            ["", "10.0.0.0/33", "10.0.0.0/", "10.0.0/8", "::/129", "corp/8", "10.0.0.1:443", "::ffff:10.0.0.0/104"]
        {
            assert_eq!(Network::parse(bad), None, "{bad}");
        }
    }
}
