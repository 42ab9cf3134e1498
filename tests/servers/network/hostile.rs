//! A man in the middle who answers what was not asked for.

use std::{
    collections::VecDeque,
    env,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
};

use super::{
    lies::{Lie, altered},
    relay::{Connection, Relay, Script, Shared, Way},
    resp,
};
use crate::random::Random;

/// Between clients and a Redis server. Tells the truth until told otherwise, so that a
/// client's first questions can be answered well. All ends when it is dropped.
pub(crate) struct Hostile(Relay<Plan>);

#[derive(Default)]
struct Plan {
    /// To everybody who connects, when there is no server.
    greeting: Vec<u8>,
    pending: Vec<Pending>,
    chance: Option<(u64, Random)>,
    /// What questions that were marked will be answered, by connection and number.
    marked: Vec<(u64, u64, Lie)>,
    told: u64,
}

enum Pending {
    After {
        replies: u64,
        lie: Lie,
    },
    Marked {
        marker: Vec<u8>,
        always: bool,
        lie: Lie,
    },
}

impl Hostile {
    /// Between clients and the server at this address.
    pub(crate) fn before(server: SocketAddr) -> io::Result<Self> {
        Relay::start(Some(server), Plan::default()).map(Self)
    }

    /// Without a server: says this to everybody who connects, and nothing more.
    pub(crate) fn alone(greeting: &[u8]) -> io::Result<Self> {
        let plan = Plan {
            greeting: greeting.to_vec(),
            ..Plan::default()
        };
        Relay::start(None, plan).map(Self)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// How often it has lied so far.
    pub(crate) fn told(&self) -> u64 {
        self.0.script(|plan| plan.told)
    }

    /// Lets so many replies pass, over all connections together, and replaces the next.
    pub(crate) fn replace_after(&self, replies: u64, lie: Lie) {
        let pending = Pending::After { replies, lie };
        self.0.script(|plan| plan.pending.push(pending));
    }

    /// Replaces the reply to the next request in which `marker` occurs.
    pub(crate) fn replace(&self, marker: &str, lie: Lie) {
        self.mark(marker, false, lie);
    }

    /// Replaces the reply to every request in which `marker` occurs.
    pub(crate) fn replace_all(&self, marker: &str, lie: Lie) {
        self.mark(marker, true, lie);
    }

    fn mark(&self, marker: &str, always: bool, lie: Lie) {
        let marker = marker.as_bytes().to_vec();
        let pending = Pending::Marked {
            marker,
            always,
            lie,
        };
        self.0.script(|plan| plan.pending.push(pending));
    }

    /// Replaces so many of a hundred replies, each by something else, and says how to have
    /// the same again. `EPOCHKEY_HOSTILE` in the environment wins over `seed`.
    pub(crate) fn lie_by_chance(&self, percent: u64, seed: u64) {
        let asked = env::var("EPOCHKEY_HOSTILE").ok();
        let seed = asked.and_then(|asked| asked.parse().ok()).unwrap_or(seed);
        println!("the same lies again: EPOCHKEY_HOSTILE={seed}");
        let chance = Some((percent, Random::new(seed)));
        self.0.script(|plan| plan.chance = chance);
    }

    /// Tells the truth from now on.
    pub(crate) fn reform(&self) {
        self.0.script(|plan| {
            plan.pending.clear();
            plan.marked.clear();
            plan.chance = None;
        });
    }
}

impl Plan {
    fn asked(&mut self, connection: u64, number: u64, request: &[u8]) {
        let mut found = None;
        self.pending.retain(|pending| match pending {
            Pending::Marked {
                marker,
                always,
                lie,
            } if found.is_none() => {
                let size = marker.len();
                let occurs = request
                    .windows(size)
                    .any(|window| window == marker.as_slice());
                found = occurs.then(|| lie.clone());
                !occurs || *always
            }
            _ => true,
        });
        self.marked
            .extend(found.map(|lie| (connection, number, lie)));
    }

    fn answered(&mut self, connection: u64, number: u64) -> Option<Lie> {
        let is_marked = |(on, at, _): &(u64, u64, Lie)| (*on, *at) == (connection, number);
        let mut lie = self
            .marked
            .iter()
            .position(is_marked)
            .map(|at| self.marked.remove(at).2);
        self.pending.retain_mut(|pending| match pending {
            Pending::After {
                replies: 0,
                lie: due,
            } if lie.is_none() => {
                lie = Some(due.clone());
                false
            }
            Pending::After { replies, .. } => {
                *replies = replies.saturating_sub(1);
                true
            }
            Pending::Marked { .. } => true,
        });
        if let Some((percent, random)) = &mut self.chance
            && random.chance(*percent)
        {
            lie = lie.or_else(|| Some(Lie::any(random)));
        }
        self.told += u64::from(lie.is_some());
        lie
    }
}

impl Script for Plan {
    fn carry(shared: &Shared<Self>, connection: &Connection, way: Way) -> io::Result<()> {
        match way {
            Way::ToServer => carry_requests(shared, connection),
            Way::ToClient => carry_replies(shared, connection),
        }
    }

    fn unreached(shared: &Shared<Self>, connection: &Connection) {
        let greeting = shared.lock().script.greeting.clone();
        let mut client = connection.client();
        if client.write_all(&greeting).is_ok() {
            // Closed with something unread, the greeting might not arrive.
            let _ = io::copy(&mut client, &mut io::sink());
        }
    }
}

fn carry_requests(shared: &Shared<Plan>, connection: &Connection) -> io::Result<()> {
    let (client, mut server) = connection.ends(Way::ToServer)?;
    let mut messages = Messages::from(client);
    let mut number = 0;
    while let Some(request) = messages.next()? {
        let mut state = shared.lock();
        state.script.asked(connection.number, number, &request);
        drop(state);
        number += 1;
        server.write_all(&request)?;
    }
    Ok(())
}

fn carry_replies(shared: &Shared<Plan>, connection: &Connection) -> io::Result<()> {
    let (server, mut client) = connection.ends(Way::ToClient)?;
    let mut messages = Messages::from(server);
    let (mut number, mut before) = (0, b"+OK\r\n".to_vec());
    while let Some(reply) = messages.next()? {
        if reply.starts_with(b">") {
            client.write_all(&reply)?;
            continue;
        }
        let lie = shared.lock().script.answered(connection.number, number);
        number += 1;
        match lie {
            None => client.write_all(&reply)?,
            Some(Lie::Bytes(bytes)) => client.write_all(&bytes)?,
            Some(Lie::Last(bytes)) => return hang_up(client, &bytes),
            Some(Lie::Endless(bytes)) => loop {
                client.write_all(&bytes)?;
            },
            Some(Lie::Truncated(length)) => {
                return hang_up(client, &reply[..length % reply.len()]);
            }
            Some(Lie::Altered(seed)) => client.write_all(&altered(&reply, seed))?,
            Some(Lie::Late) => {
                client.write_all(&before)?;
                client.write_all(&reply)?;
            }
            Some(Lie::Bytewise) => {
                for byte in &reply {
                    client.write_all(&[*byte])?;
                }
            }
        }
        before = reply;
    }
    Ok(())
}

/// Says this, and that the connection is to be closed.
fn hang_up(mut client: &TcpStream, bytes: &[u8]) -> io::Result<()> {
    client.write_all(bytes)?;
    Err(io::ErrorKind::ConnectionAborted.into())
}

/// Reads whole messages.
struct Messages<R> {
    from: R,
    read: VecDeque<u8>,
}

impl<R: Read> Messages<R> {
    fn from(from: R) -> Self {
        let read = VecDeque::new();
        Self { from, read }
    }

    /// `None` at the end; what is left then is no whole message.
    fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut chunk = [0; 16 * 1024];
        loop {
            if let Some(length) = resp::length(self.read.make_contiguous()) {
                return Ok(Some(self.read.drain(..length).collect()));
            }
            let read = self.from.read(&mut chunk)?;
            if read == 0 {
                return Ok(None);
            }
            self.read.extend(&chunk[..read]);
        }
    }
}
