//! A man in the middle who answers what was not asked for.

use std::{
    collections::VecDeque,
    env,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
};

use super::{
    lies::{Lie, garbled, replaced},
    protocol::Protocol,
    relay::{Connection, Relay, Script, Shared, Way},
};
use crate::random::Random;

/// Between clients and a server. Tells the truth until told otherwise, so that a
/// client's first questions can be answered well. All ends when it is dropped.
pub(crate) struct Hostile(Relay<Plan>);

#[derive(Default)]
struct Plan {
    protocol: Protocol,
    /// To everybody who connects, when there is no server.
    greeting: Vec<u8>,
    pending: Vec<Pending>,
    chance: Option<(u64, Random)>,
    /// What is done by chance is done to single bytes.
    garbles: bool,
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
        /// How many requests behind the one with the marker.
        behind: u64,
        lie: Lie,
    },
}

impl Hostile {
    /// Between clients and the Redis server at this address.
    pub(crate) fn before(server: SocketAddr) -> io::Result<Self> {
        Relay::start(Some(server), Plan::default()).map(Self)
    }

    /// Between clients and the PostgreSQL server at this address.
    pub(crate) fn before_postgres(server: SocketAddr) -> io::Result<Self> {
        let plan = Plan {
            protocol: Protocol::Postgres,
            ..Plan::default()
        };
        Relay::start(Some(server), plan).map(Self)
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

    /// Lies for [`Lie::Bytes`] in the language of who is lied to, each with a name for messages.
    pub(crate) fn lies(&self) -> Vec<(&'static str, Vec<u8>)> {
        self.0.script(|plan| plan.protocol.lies())
    }

    /// A reply of a kind that is often given.
    pub(crate) fn done(&self) -> Vec<u8> {
        self.0.script(|plan| plan.protocol.done())
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
        self.mark(marker, false, 0, lie);
    }

    /// Replaces the reply to what is asked right behind the next request in which `marker`
    /// occurs.
    pub(crate) fn replace_behind(&self, marker: &str, lie: Lie) {
        self.mark(marker, false, 1, lie);
    }

    /// Replaces the reply to every request in which `marker` occurs.
    pub(crate) fn replace_all(&self, marker: &str, lie: Lie) {
        self.mark(marker, true, 0, lie);
    }

    fn mark(&self, marker: &str, always: bool, behind: u64, lie: Lie) {
        let marker = marker.as_bytes().to_vec();
        let pending = Pending::Marked {
            marker,
            always,
            behind,
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
        self.0.script(|plan| {
            plan.chance = chance;
            plan.garbles = false;
        });
    }

    /// As [`lie_by_chance`](Self::lie_by_chance), and each is the reply with some bytes that are
    /// other ones, are missing, or come twice.
    pub(crate) fn garble_by_chance(&self, percent: u64, seed: u64) {
        self.lie_by_chance(percent, seed);
        self.0.script(|plan| plan.garbles = true);
    }

    /// How many have connected so far.
    pub(crate) fn connections(&self) -> u64 {
        self.0.taken()
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
                behind,
                lie,
            } if found.is_none() => {
                let size = marker.len();
                let occurs = request
                    .windows(size)
                    .any(|window| window == marker.as_slice());
                found = occurs.then(|| (number + *behind, lie.clone()));
                !occurs || *always
            }
            _ => true,
        });
        self.marked
            .extend(found.map(|(at, lie)| (connection, at, lie)));
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
            let other = match self.garbles {
                true => Lie::Garbled(random.next()),
                false => Lie::any(self.protocol, random),
            };
            lie = lie.or(Some(other));
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
    let protocol = shared.lock().script.protocol;
    let mut messages = Messages::from(client, |bytes| protocol.request(bytes));
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
    let protocol = shared.lock().script.protocol;
    let mut messages = Messages::from(server, |bytes| protocol.reply(bytes));
    let (mut number, mut before) = (0, protocol.done());
    while let Some(reply) = messages.next()? {
        if protocol.is_unasked(&reply) {
            client.write_all(&reply)?;
            continue;
        }
        let lie = shared.lock().script.answered(connection.number, number);
        number += 1;
        match lie {
            None => client.write_all(&reply)?,
            Some(Lie::Bytes(bytes)) => client.write_all(&bytes)?,
            Some(Lie::Last(bytes)) => return hang_up(client, &bytes),
            Some(Lie::Endless(bytes)) => endless(client, b"", &bytes)?,
            Some(Lie::EndlessAfter(first, bytes)) => endless(client, &first, &bytes)?,
            Some(Lie::Truncated(length)) => {
                return hang_up(client, &reply[..length % reply.len()]);
            }
            Some(Lie::Altered(seed)) => client.write_all(&protocol.altered(&reply, seed))?,
            Some(Lie::Replaced(from, to)) => client.write_all(&replaced(&reply, &from, &to))?,
            Some(Lie::Garbled(seed)) => client.write_all(&garbled(&reply, seed))?,
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
    // What a server says before it hangs up.
    client.write_all(&messages.left())
}

/// Says this, and that the connection is to be closed.
fn hang_up(mut client: &TcpStream, bytes: &[u8]) -> io::Result<()> {
    client.write_all(bytes)?;
    Err(io::ErrorKind::ConnectionAborted.into())
}

fn endless(mut client: &TcpStream, first: &[u8], bytes: &[u8]) -> io::Result<()> {
    client.write_all(first)?;
    loop {
        client.write_all(bytes)?;
    }
}

/// Reads whole messages, as long as `length` says.
struct Messages<R, L> {
    from: R,
    length: L,
    read: VecDeque<u8>,
}

impl<R: Read, L: Fn(&[u8]) -> Option<usize>> Messages<R, L> {
    fn from(from: R, length: L) -> Self {
        let read = VecDeque::new();
        Self { from, length, read }
    }

    /// What has come and is no whole message.
    fn left(&mut self) -> Vec<u8> {
        self.read.drain(..).collect()
    }

    /// `None` at the end; what is left then is no whole message.
    fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut chunk = [0; 16 * 1024];
        loop {
            if let Some(length) = (self.length)(self.read.make_contiguous()) {
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
