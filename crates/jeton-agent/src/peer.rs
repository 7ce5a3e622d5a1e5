//! Who is at the other end of a local connection: the kernel knows, for a unix socket and, on Linux, for loopback TCP.
use std::net::{IpAddr, SocketAddr};

/// Whether the program at the other end runs as this user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// It does.
    Same,
    /// It runs as this other user.
    Other(u32),
    /// The kernel does not say.
    Unknown,
}

/// The user that this process acts as.
#[must_use]
pub fn own_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Who connected over loopback TCP, from the kernel's socket tables: the peer's socket is the one whose local address
/// is the address it connected from.
#[must_use]
pub fn of_tcp(ours: SocketAddr, theirs: SocketAddr) -> Peer {
    let tables: &[&str] = match theirs.ip() {
        IpAddr::V4(_) => &["/proc/net/tcp", "/proc/net/tcp6"],
        IpAddr::V6(_) => &["/proc/net/tcp6"],
    };
    let found = tables
        .iter()
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .find_map(|table| table.lines().skip(1).find_map(|line| owner(line, theirs, ours)));
    compare(found)
}

/// Who connected over a unix socket.
#[must_use]
pub fn of_unix(stream: &tokio::net::UnixStream) -> Peer {
    compare(stream.peer_cred().ok().map(|c| c.uid()))
}

fn compare(user: Option<u32>) -> Peer {
    match user {
        Some(user) if user == own_user() => Peer::Same,
        Some(user) => Peer::Other(user),
        None => Peer::Unknown,
    }
}

/// The owner in a line of the table, if it is the socket from `local` to `remote`.
fn owner(line: &str, local: SocketAddr, remote: SocketAddr) -> Option<u32> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (line_local, line_remote) = (fields.next()?, fields.next()?);
    if address(line_local)? != plain(local) || address(line_remote)? != plain(remote) {
        return None;
    }
    // After the addresses: state, queues, timer, retransmits, then the user.
    fields.nth(4)?.parse().ok()
}

fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// `0100007F:1F90`: the address in the machine's byte order, word by word.
fn address(text: &str) -> Option<SocketAddr> {
    let (host, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let mut bytes = Vec::with_capacity(16);
    for start in (0..host.len()).step_by(8) {
        let word = u32::from_str_radix(host.get(start..start + 8)?, 16).ok()?;
        bytes.extend(word.to_ne_bytes());
    }
    let ip = match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(four) => IpAddr::from(four),
        Err(_) => IpAddr::from(<[u8; 16]>::try_from(bytes.as_slice()).ok()?),
    };
    Some(SocketAddr::new(ip.to_canonical(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn a_line_of_the_table_names_its_owner() {
        let line = "   1: 0100007F:D431 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1000        0 12345 1";
        let local = "127.0.0.1:54321".parse().expect("address");
        let remote = "127.0.0.1:8080".parse().expect("address");
        assert_eq!(owner(line, local, remote), Some(1000));
        assert_eq!(owner(line, remote, local), None);
        let mapped = "1: 0000000000000000FFFF00000100007F:D431 0000000000000000FFFF00000100007F:1F90 01 0:0 0:0 0 7 0 1";
        assert_eq!(owner(mapped, local, remote), Some(7));
    }

    #[tokio::test]
    async fn c14_a_connection_of_our_own_is_ours() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("port");
        let ours = listener.local_addr().expect("address");
        let client = tokio::net::TcpStream::connect(ours).await.expect("connection");
        let (_server, theirs) = listener.accept().await.expect("accept");
        assert_eq!(of_tcp(ours, theirs), Peer::Same);
        drop(client);
    }
}
