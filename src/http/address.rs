//! Where a request comes from: the peer, or what proxies that are trusted say of it.

use std::future::{Ready, ready};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use actix_web::dev::Payload;
use actix_web::http::header::HeaderMap;
use actix_web::{FromRequest, HttpRequest, web};
use ipnet::IpNet;

use super::error::Problem;
use super::parts::Parts;
use crate::domain::fault::Fault;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// The client's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl FromRequest for ClientAddress {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let parts = request.app_data::<web::Data<Parts>>().ok_or(Fault::Internal);
        ready(
            parts
                .map_err(Problem::from)
                .map(|parts| Self(client(request.peer_addr(), request.headers(), &parts.settings.server.trusted_proxies))),
        )
    }
}

/// The client of a connection from `peer` whose request has these `headers`.
#[must_use]
pub fn client(peer: Option<SocketAddr>, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
    let values = headers.get_all(FORWARDED_FOR).filter_map(|value| value.to_str().ok());
    behind(peer, values, trusted)
}

/// Each proxy appends the address it was called from. So the list is believed from its end, as long as who wrote an entry is trusted.
fn behind<'a>(peer: IpAddr, values: impl Iterator<Item = &'a str>, trusted: &[IpNet]) -> IpAddr {
    let entries: Vec<&str> = values.flat_map(|value| value.split(',')).map(str::trim).collect();
    let mut client = peer.to_canonical();
    for entry in entries.into_iter().rev() {
        if !trusted.iter().any(|network| network.contains(&client)) {
            break;
        }
        match parse(entry) {
            Some(address) => client = address.to_canonical(),
            None => break,
        }
    }
    client
}

/// An address, as some proxies write it with a port.
fn parse(entry: &str) -> Option<IpAddr> {
    entry.parse().ok().or_else(|| entry.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(peer: &str, values: &[&str], trusted: &[&str]) -> String {
        let trusted: Vec<IpNet> = trusted.iter().map(|network| network.parse().unwrap()).collect();
        behind(peer.parse().unwrap(), values.iter().copied(), &trusted).to_string()
    }

    #[test]
    fn nobody_names_their_own_address() {
        assert_eq!(found("203.0.113.9", &["198.51.100.1"], &[]), "203.0.113.9");
        assert_eq!(found("203.0.113.9", &["198.51.100.1"], &["10.0.0.0/8"]), "203.0.113.9");
        // The client wrote the first entry, the trusted proxy the last.
        assert_eq!(found("10.0.0.2", &["1.1.1.1, 198.51.100.1"], &["10.0.0.0/8"]), "198.51.100.1");
    }

    #[test]
    fn a_chain_of_trusted_proxies_is_followed_to_the_first_stranger() {
        let trusted = &["10.0.0.0/8", "fd00::/8"];
        assert_eq!(found("10.0.0.2", &["1.1.1.1, 198.51.100.1", "fd00::7"], trusted), "198.51.100.1");
        assert_eq!(found("::ffff:10.0.0.2", &["198.51.100.1:4711"], trusted), "198.51.100.1");
        assert_eq!(found("10.0.0.2", &["[2001:db8::1]:443"], trusted), "2001:db8::1");
        assert_eq!(found("10.0.0.2", &["10.0.0.3"], trusted), "10.0.0.3");
    }

    #[test]
    fn an_entry_that_is_no_address_ends_the_belief() {
        assert_eq!(found("10.0.0.2", &["198.51.100.1, unknown"], &["10.0.0.0/8"]), "10.0.0.2");
        assert_eq!(found("10.0.0.2", &[], &["10.0.0.0/8"]), "10.0.0.2");
    }
}
