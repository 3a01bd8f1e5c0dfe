//! Which addresses an untrusted list may make this machine call. In: an IP address, or a host name. Out: whether it's
//! public; a resolver that returns only public addresses.
//!
//! A remote list could contain `http://169.254.169.254/`, or a host that resolves to the user's router. Names are
//! checked when they're resolved, so a name that resolves differently the second time gains nothing. Numeric addresses
//! are checked separately, because no resolver sees them.

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::collections::BTreeSet;
use std::error::Error;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use url::{Host, Url};

/// Whether an address is on the public internet: not private, loopback, link-local (where clouds keep their metadata),
/// shared, multicast, reserved or for documentation; nor an IPv6 address that stands for one of these.
///
/// Source: IANA's registries of special-purpose addresses (RFC 6890).
///
/// ```
/// use sciurus_gather::is_public;
///
/// assert!(is_public([8, 8, 8, 8].into()));
/// assert!(!is_public([169, 254, 169, 254].into()));
/// assert!(!is_public("::ffff:10.0.0.1".parse()?));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !matches!(
        (a, b, c),
        (0 | 10 | 127, _, _)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (192, 168, _)
            | (198, 18 | 19, _)
            | (198, 51, 100)
            | (203, 0, 113)
            | (224..=255, _, _)
    )
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let parts = address.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match parts {
        // IPv4 addresses embedded in IPv6: mapped, translated (NAT64), 6to4.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        [0x2002, high, low, ..] => embedded(high, low),
        // Teredo, benchmarks, ORCHID and other protocols; documentation.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
        // All assigned addresses are in 2000::/3.
        [first, ..] => (0x2000..=0x3fff).contains(&first),
    }
}

/// A host that is not on the public internet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PrivateHost(pub(crate) String);

impl fmt::Display for PrivateHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not on the public internet", self.0)
    }
}

impl Error for PrivateHost {}

/// The addresses that may be called: public ones, and hosts that the user allows by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Guard {
    allowed: Arc<BTreeSet<String>>,
}

impl Guard {
    pub(crate) fn new(allowed: impl IntoIterator<Item = String>) -> Self {
        Self { allowed: Arc::new(allowed.into_iter().map(|host| host.to_lowercase()).collect()) }
    }

    fn allows(&self, host: &str) -> bool {
        self.allowed.contains(host.trim_matches(['[', ']']))
    }

    /// Refuses private numeric addresses. Names are checked when they're resolved.
    pub(crate) fn check(&self, url: &Url) -> Result<(), PrivateHost> {
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            _ => return Ok(()),
        };
        let host = url.host_str().unwrap_or_default();
        if is_public(address) || self.allows(host) { Ok(()) } else { Err(PrivateHost(host.to_owned())) }
    }

    /// What a name may resolve to: all of its addresses, or none if one of them is private.
    fn judged(&self, host: &str, addresses: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, PrivateHost> {
        let public = addresses.iter().all(|address| is_public(address.ip()));
        if public || self.allows(&host.to_lowercase()) {
            Ok(addresses)
        } else {
            Err(PrivateHost(host.to_owned()))
        }
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            // The port isn't known here; the connection fills it in.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let addresses = guard.judged(name.as_str(), found.collect())?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// The [`PrivateHost`] among the causes of an error.
pub(crate) fn private_host<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e PrivateHost> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn special_addresses_are_not_public() {
        let private = [
            "0.0.0.0",
            "10.1.2.3",
            "127.0.0.1",
            "100.64.0.1",
            "169.254.169.254",
            "172.31.255.255",
            "192.168.1.1",
            "192.0.2.7",
            "198.19.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::7f00:1",
            "64:ff9b::a00:1",
            "2002:c0a8:101::",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "fec0::1",
            "2001:db8::1",
            "2001::1",
            "100::1",
        ];
        for address in private {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        let public = [
            "8.8.8.8",
            "172.32.0.1",
            "100.128.0.1",
            "192.0.1.1",
            "2606:4700::1111",
            "2a00:1450::1",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
        ];
        for address in public {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn a_name_with_one_private_address_is_refused() {
        let addresses = || vec![SocketAddr::from(([8, 8, 8, 8], 0)), SocketAddr::from(([10, 0, 0, 1], 0))];
        assert!(Guard::default().judged("rebind.example", addresses()).is_err());
        assert!(Guard::default().judged("a.example", addresses()[..1].to_vec()).is_ok());
        let guard = Guard::new(["Intranet.example".to_owned(), "::1".to_owned()]);
        assert!(guard.judged("intranet.example", addresses()).is_ok());
        assert!(guard.check(&"http://[::1]:80/".parse().unwrap()).is_ok());
        // The same address, written in different ways.
        for url in [
            "http://2130706433/",
            "http://0x7f.1/",
            "http://017700000001/",
            "http://127.0.0.1/",
            "http://[::ffff:7f00:1]/",
        ] {
            assert!(guard.check(&url.parse().unwrap()).is_err(), "{url}");
        }
    }

    proptest! {
        #[test]
        fn std_calls_nothing_private_that_is_public_here(bits: u32) {
            let address = Ipv4Addr::from(bits);
            let special = address.is_private() || address.is_loopback() || address.is_link_local()
                || address.is_multicast() || address.is_broadcast() || address.is_documentation()
                || address.is_unspecified();
            prop_assert!(!(special && is_public(address.into())), "{}", address);
            // The same address embedded in IPv6 gives the same result.
            prop_assert_eq!(is_public(address.to_ipv6_mapped().into()), is_public(address.into()));
        }

        #[test]
        fn only_global_unicast_is_public(bits: u128) {
            let address = Ipv6Addr::from(bits);
            let special = address.is_loopback() || address.is_multicast() || address.is_unspecified()
                || address.is_unique_local() || address.is_unicast_link_local();
            prop_assert!(!(special && is_public(address.into())), "{}", address);
        }
    }
}
