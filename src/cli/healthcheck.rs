//! `hubbub healthcheck`: one plain HTTP request to the server of these settings, for containers and service managers.
//!
//! Blocking and without a client library: it must start fast and say little.

use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::Duration,
};

use super::{Exit, Failure};
use crate::config::{Config, parse_duration};

/// What is read of an answer at most; a health report is far smaller.
const ANSWER_MAX: u64 = 64 * 1024;

/// Ask the running server whether it is ready.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How long to wait for the connection, and again for each part of the answer.
    #[arg(long, default_value = "3s", value_parser = parse_duration, value_name = "DURATION")]
    timeout: Duration,
}

/// Writes the server's report and succeeds if it is ready, degraded or not.
pub(super) fn run(args: &Args, config: &Config, out: &mut dyn Write) -> Result<(), Failure> {
    let address = reachable(config.server.listen);
    if address.port() == 0 {
        return Err(Failure::new(Exit::Unready, "server.listen has port 0, so nobody knows where the server listens"));
    }
    let answer = ask(address, args.timeout)
        .map_err(|error| Failure::new(Exit::Unready, format_args!("no answer from {address}: {error}")))?;
    let (head, report) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).unwrap_or_default();
    if status == "200" {
        writeln!(out, "{}", report.trim())?;
        return Ok(());
    }
    Err(Failure::new(Exit::Unready, format_args!("not ready (status {status}): {}", report.trim())))
}

/// Where a server that listens on `listen` is reached from its own machine.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

fn ask(address: SocketAddr, timeout: Duration) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    write!(stream, "GET /health/ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(ANSWER_MAX).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, thread};

    use super::*;

    /// Runs the check against a server that answers one request with `answer`; gives the result and the request.
    fn check(answer: &'static str) -> (Result<String, Failure>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut config = Config::default();
        config.server.listen = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.extend(byte);
            }
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(request).unwrap()
        });
        let mut out = Vec::new();
        let result = run(&Args { timeout: Duration::from_secs(10) }, &config, &mut out);
        (result.map(|()| String::from_utf8(out).unwrap()), server.join().unwrap())
    }

    #[test]
    fn a_ready_server_passes_and_its_report_is_shown() {
        let (result, request) = check("HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"status\":\"ok\"}");
        assert_eq!(result.unwrap(), "{\"status\":\"ok\"}\n");
        assert!(request.starts_with("GET /health/ready HTTP/1.1\r\n"), "{request}");
    }

    #[test]
    fn a_draining_server_does_not_pass() {
        let failure = check("HTTP/1.1 503 Service Unavailable\r\n\r\ndraining").0.unwrap_err();
        assert_eq!(failure.exit, Exit::Unready);
        assert!(failure.to_string().contains("503") && failure.to_string().contains("draining"), "{failure}");
    }

    #[test]
    fn nobody_listening_is_not_ready() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut config = Config::default();
        config.server.listen = free;
        let failure = run(&Args { timeout: Duration::from_secs(10) }, &config, &mut Vec::new()).unwrap_err();
        assert_eq!(failure.exit, Exit::Unready);
    }

    #[test]
    fn a_server_on_all_addresses_is_asked_on_loopback() {
        assert_eq!(reachable("0.0.0.0:80".parse().unwrap()).to_string(), "127.0.0.1:80");
        assert_eq!(reachable("[::]:80".parse().unwrap()).to_string(), "[::1]:80");
        assert_eq!(reachable("10.1.2.3:80".parse().unwrap()).to_string(), "10.1.2.3:80");
    }
}
