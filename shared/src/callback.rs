//! Whom an application may have called when a job is over: which URLs it may name, and which addresses they may lead to.
//!
//! A host's name says nothing about where it leads, and where it leads may change. So [`CallbackHosts::check`] looks at a
//! URL when it is given and again when it is called, and whoever connects asks [`is_public`] about the very address that
//! it connects to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use http::Uri;
use http::uri::Scheme;

/// Longest URL, in bytes.
pub const MAX_URL_BYTES: usize = 2048;

/// The hosts that may be called.
#[derive(Clone, Debug, Default)]
pub struct CallbackHosts {
    /// None: nobody is called.
    pub hosts: Vec<HostPattern>,
    /// Whether addresses that are not public may be called as well, and `http` will do.
    pub private: bool,
}

/// One entry of the list: a host's name or address, or `*.` and the end of names; with a port, or else the scheme's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    /// In lower case, without a dot at its end and without brackets. It begins with a dot where more has to stand before it.
    name: String,
    port: Option<u16>,
}

/// The text names no host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a host")]
pub struct InvalidHost;

/// Why a URL is not called. The text is for whoever gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallbackError {
    /// No host may be called.
    #[error("callbacks are not set up here")]
    NotSetUp,
    /// More than a URL may have.
    #[error("longer than {MAX_URL_BYTES} bytes")]
    TooLong,
    /// No URL, or a relative one, or one with parts that a request does not have.
    #[error("not an absolute URL without a user name and a fragment")]
    NotAUrl,
    /// `http` where that will not do, or something else altogether.
    #[error("has to begin with https://")]
    NotHttps,
    /// Its host, or the port, is not one of the list.
    #[error("its host is not one that may be called")]
    NotAllowed,
    /// An address within somebody's network.
    #[error("its address is not a public one")]
    NotPublic,
}

impl CallbackHosts {
    /// The URL, if it may be called as far as it can be told from its text.
    pub fn check(&self, url: &str) -> Result<Uri, CallbackError> {
        if self.hosts.is_empty() {
            return Err(CallbackError::NotSetUp);
        }
        if url.len() > MAX_URL_BYTES {
            return Err(CallbackError::TooLong);
        }
        // What is called is what was looked at: the client takes the very same parsed form.
        let uri: Uri = url.parse().map_err(|_| CallbackError::NotAUrl)?;
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return Err(CallbackError::NotAUrl);
        };
        let default_port = match scheme {
            scheme if *scheme == Scheme::HTTPS => 443,
            scheme if *scheme == Scheme::HTTP && self.private => 80,
            _ => return Err(CallbackError::NotHttps),
        };
        let (host, port) = (authority.host(), authority.port_u16());
        // A user name, a port without digits or with too many: whatever is not host and port alone.
        let plain = port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        if host.is_empty() || plain != authority.as_str() || url.contains('#') {
            return Err(CallbackError::NotAUrl);
        }
        let name = normal(host);
        if !self.hosts.iter().any(|pattern| pattern.has(&name, port.unwrap_or(default_port), default_port)) {
            return Err(CallbackError::NotAllowed);
        }
        // Names are looked up, and asked about, when there is a connection to make.
        if !self.private && name.parse().is_ok_and(|address: IpAddr| !is_public(address)) {
            return Err(CallbackError::NotPublic);
        }
        Ok(uri)
    }
}

impl HostPattern {
    fn has(&self, name: &str, port: u16, default_port: u16) -> bool {
        let is_named = match self.name.strip_prefix('.') {
            Some(_) => name.len() > self.name.len() && name.ends_with(&self.name),
            None => name == self.name,
        };
        is_named && port == self.port.unwrap_or(default_port)
    }
}

impl FromStr for HostPattern {
    type Err = InvalidHost;

    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        let text = text.trim();
        let (wildcard, rest) = text.strip_prefix("*.").map_or((false, text), |rest| (true, rest));
        let authority: http::uri::Authority = rest.parse().map_err(|_| InvalidHost)?;
        let (host, port) = (authority.host(), authority.port_u16());
        let plain = port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let name = normal(host);
        let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
        let is_address = name.parse::<IpAddr>().is_ok();
        if plain != rest || name.is_empty() || !(is_name || is_address) || (wildcard && is_address) {
            return Err(InvalidHost);
        }
        Ok(Self { name: if wildcard { format!(".{name}") } else { name }, port })
    }
}

/// A host as it is compared.
fn normal(host: &str) -> String {
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

/// Whether anybody on the internet may have this address, by IANA's registries of special-purpose addresses
/// (RFC 6890 and what was added since). What is not surely so is not.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    match address.octets() {
        // This network; shared by providers; protocol assignments and documentation; 6to4 relays; benchmarks; multicast,
        // what is reserved, and broadcast.
        [0 | 224..=255, ..]
        | [100, 64..=127, ..]
        | [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 18..=19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _] => false,
        _ => !(address.is_private() || address.is_loopback() || address.is_link_local()),
    }
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        // An IPv4 address behind a translator (RFC 6052): whatever that one is.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            is_public_v4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
        }
        // Protocol assignments, Teredo and ORCHID among them; documentation, twice; 6to4.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x2002, ..] | [0x3fff, 0..=0xfff, ..] => false,
        // All that is given out to anybody lies in here; mapped IPv4 addresses do not.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hosts(list: &[&str], private: bool) -> CallbackHosts {
        CallbackHosts { hosts: list.iter().map(|host| host.parse().unwrap()).collect(), private }
    }

    fn check(hosts: &CallbackHosts, url: &str, expected: Result<(), CallbackError>) {
        assert_eq!(hosts.check(url).map(|_| ()), expected, "{url}");
    }

    #[test]
    fn only_hosts_of_the_list_are_called() {
        use CallbackError::{NotAUrl, NotAllowed, NotHttps, TooLong};
        let list = hosts(&["hooks.example.com", "*.example.org", "example.net:8443"], false);
        for url in [
            "https://hooks.example.com/a?b=c",
            "https://HOOKS.example.com.:443",
            "https://a.example.org/",
            "https://a.b.example.org/",
            "https://example.net:8443/",
        ] {
            check(&list, url, Ok(()));
        }
        for (url, error) in [
            ("https://example.com/", NotAllowed),
            ("https://hooks.example.com.evil.test/", NotAllowed),
            ("https://hooks.example.com:8443/", NotAllowed),
            ("https://example.org/", NotAllowed),
            ("https://.example.org/", NotAllowed),
            ("https://evilexample.org/", NotAllowed),
            ("https://example.net/", NotAllowed),
            ("https://hooks.example.com@evil.test/", NotAUrl),
            ("https://evil.test@hooks.example.com/", NotAUrl),
            ("https://hooks.example.com#@evil.test/", NotAUrl),
            ("https://hooks.example.com:99999/", NotAUrl),
            ("https://hooks.example.com:/", NotAUrl),
            ("https://hooks.example.com\\@evil.test/", NotAUrl),
            ("https://hooks.example.com /", NotAUrl),
            ("/hooks", NotAUrl),
            ("hooks.example.com", NotAUrl),
            ("", NotAUrl),
            ("http://hooks.example.com/", NotHttps),
            ("ftp://hooks.example.com/", NotHttps),
            ("file:///etc/passwd", NotAUrl),
            (&format!("https://hooks.example.com/{}", "a".repeat(2048)), TooLong),
        ] {
            check(&list, url, Err(error));
        }
        check(&hosts(&[], true), "https://hooks.example.com/", Err(CallbackError::NotSetUp));
    }

    #[test]
    fn an_address_within_a_network_is_called_only_where_that_is_allowed() {
        let list = ["10.1.2.3", "[::1]:9000", "93.184.215.14", "inside.test:9000"];
        let urls = ["https://10.1.2.3/", "https://[::1]:9000/", "https://[0:0:0:0:0:0:0:1]:9000/"];
        for url in &urls[..2] {
            check(&hosts(&list, false), url, Err(CallbackError::NotPublic));
            check(&hosts(&list, true), url, Ok(()));
        }
        // Another way to write it is not the one of the list.
        check(&hosts(&list, true), urls[2], Err(CallbackError::NotAllowed));
        check(&hosts(&list, false), "https://93.184.215.14/", Ok(()));
        check(&hosts(&list, true), "http://inside.test:9000/", Ok(()));
    }

    #[test]
    fn what_is_no_host_is_not_taken_for_one() {
        for text in
            ["", "*", "*.", "a b", "https://a.test", "a.test/path", "a@b.test", "a.test:", "a:b", "*.10.0.0.1", "a.*.b"]
        {
            assert_eq!(text.parse::<HostPattern>(), Err(InvalidHost), "{text}");
        }
    }

    #[test]
    fn addresses_that_are_not_everybodys_are_not_public() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "127.1.2.3",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "::ffff:93.184.215.14",
            "::10.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:a00:1::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "ff02::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        for address in [
            "1.1.1.1",
            "93.184.215.14",
            "100.128.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "223.255.255.255",
            "2600::1",
            "2a00::1",
            "64:ff9b::101:101",
        ] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_called_is_on_the_list(url in "(https?://)?[a-z.@:/#?\\\\%\\[\\]0-9 ]{0,40}(hooks\\.example\\.com)?[a-z.@:/#?\\\\]{0,20}") {
            if let Ok(uri) = hosts(&["hooks.example.com", "*.example.org"], false).check(&url) {
                let host = uri.host().unwrap().trim_end_matches('.');
                prop_assert!(host == "hooks.example.com" || host.ends_with(".example.org"), "{}", url);
                prop_assert_eq!(uri.port_u16().unwrap_or(443), 443);
            }
        }
    }
}
