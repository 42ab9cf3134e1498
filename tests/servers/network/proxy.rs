//! A TCP proxy between a client and a server, that disturbs as it is told.

use std::{
    io::{self, Read, Write},
    net::SocketAddr,
    ops::Range,
    time::Duration,
};

use super::{
    faults::{Fault, Faults, Stream},
    relay::{Connection, Relay, Script, Shared, Way},
};
use crate::random::Random;

/// Clients connect to [`address`](Proxy::address). Until told otherwise it passes everything
/// on. All ends when it is dropped: threads, connections, and what was held.
pub(crate) struct Proxy(Relay<Plan>);

struct Plan {
    delay: Range<Duration>,
    random: Random,
    held: Vec<Way>,
    /// Connections that deliver nothing until the client goes away.
    silent: Vec<u64>,
    cuts: Vec<Cut>,
    /// What the last cut that was planned let through.
    carried: Vec<u8>,
    faults: Option<Faults>,
}

/// Cuts the connection on which the last of these bytes goes.
struct Cut {
    way: Way,
    left: u64,
    /// Counts from the request with these bytes on, on its connection only.
    marker: Option<Vec<u8>>,
    connection: Option<u64>,
    /// What has counted so far.
    carried: Vec<u8>,
}

impl Proxy {
    /// Between clients and a server at `target`.
    pub(crate) fn to_server(target: SocketAddr) -> io::Result<Self> {
        let plan = Plan {
            delay: Duration::ZERO..Duration::ZERO,
            random: Random::new(0),
            held: Vec::new(),
            silent: Vec::new(),
            cuts: Vec::new(),
            carried: Vec::new(),
            faults: None,
        };
        Relay::start(Some(target), plan).map(Self)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// How many connections it has taken so far.
    pub(crate) fn taken(&self) -> u64 {
        self.0.taken()
    }

    /// Where new connections go. Those that are open stay where they are.
    pub(crate) fn to(&self, target: SocketAddr) {
        self.0.to(target);
    }

    /// Holds each chunk back for a while from this range, the same ones in every run.
    pub(crate) fn delay(&self, delay: Range<Duration>) {
        self.0.script(|plan| plan.delay = delay);
    }

    /// Closes all connections, both ends.
    pub(crate) fn cut(&self) {
        self.0.cut();
    }

    /// Lets `bytes` more bytes through one way, over all connections together, and cuts the
    /// connection that carried the last of them. With none left it cuts where the next byte
    /// would go. What goes the other way does not arrive after that: a request cut after its
    /// last byte is carried out, and its answer lost.
    pub(crate) fn cut_after_bytes(&self, way: Way, bytes: u64) {
        self.cut_when(way, bytes, None);
    }

    /// As [`cut_after_bytes`](Self::cut_after_bytes), counted from the start of the first
    /// request in which `marker` occurs, and on its connection only. It has to come in one
    /// piece: a command's name does.
    pub(crate) fn cut_request(&self, marker: &str, bytes: u64) {
        self.cut_when(Way::ToServer, bytes, Some(marker));
    }

    /// As [`cut_request`](Self::cut_request), but lets the whole request through and counts
    /// the bytes of what comes back.
    pub(crate) fn cut_answer(&self, marker: &str, bytes: u64) {
        self.cut_when(Way::ToClient, bytes, Some(marker));
    }

    fn cut_when(&self, way: Way, bytes: u64, marker: Option<&str>) {
        let cut = Cut {
            way,
            left: bytes,
            marker: marker.map(|marker| marker.as_bytes().to_vec()),
            connection: None,
            carried: Vec::new(),
        };
        self.0.script(|plan| plan.cuts.push(cut));
    }

    /// The bytes that the last of these cuts has counted and let through.
    pub(crate) fn carried_before_cut(&self) -> Vec<u8> {
        self.0.script(|plan| plan.carried.clone())
    }

    /// Whether cuts that were asked for are still to come.
    pub(crate) fn cuts_pend(&self) -> bool {
        self.0.script(|plan| !plan.cuts.is_empty())
    }

    /// Takes back the cuts that are still to come.
    pub(crate) fn forget_cuts(&self) {
        self.0.script(|plan| plan.cuts.clear());
    }

    /// Delivers nothing this way, on connections that are open and on new ones, not even
    /// that the other side is gone.
    pub(crate) fn hold(&self, way: Way) {
        self.0.script(|plan| plan.held.push(way));
    }

    /// As [`hold`](Self::hold), both ways.
    pub(crate) fn hold_all(&self) {
        self.hold(Way::ToServer);
        self.hold(Way::ToClient);
    }

    /// Delivers what was held, and everything from now on, both ways.
    pub(crate) fn release(&self) {
        self.0.script(|plan| plan.held.clear());
    }

    /// Connections that are open deliver nothing any more, as to a peer that lost its power.
    /// New ones do.
    pub(crate) fn silence(&self) {
        let taken = self.taken();
        self.0.script(|plan| plan.silent.extend(0..taken));
    }

    /// Nobody listens at the address any more. Open connections stay.
    pub(crate) fn refuse(&self) {
        self.0.refuse(true);
    }

    /// Takes connections again.
    pub(crate) fn accept(&self) {
        self.0.refuse(false);
    }

    /// Disturbs by chance from now on; `None` ends it, except for connections that it has
    /// made silent.
    pub(crate) fn disturb(&self, faults: Option<Faults>) {
        self.0.script(|plan| plan.faults = faults);
    }
}

impl Plan {
    fn holds(&self, way: Way) -> bool {
        self.held.contains(&way)
    }

    fn is_silent(&self, connection: u64) -> bool {
        self.silent.contains(&connection)
    }

    fn next_delay(&mut self) -> Duration {
        let Range { start, end } = self.delay;
        let spread = u64::try_from(end.saturating_sub(start).as_micros()).unwrap_or(u64::MAX);
        if spread == 0 {
            return start;
        }
        start + Duration::from_micros(self.random.between(0, spread - 1))
    }

    /// How much of `chunk` goes through before the connection is cut, if it is.
    fn cut(&mut self, connection: u64, way: Way, chunk: &[u8]) -> Option<usize> {
        let (mut cut_at, carried) = (None, &mut self.carried);
        self.cuts.retain_mut(|cut| {
            let waits = cut.marker.is_some() && cut.connection.is_none();
            if waits && way == Way::ToServer && cut.is_marked(chunk) {
                cut.connection = Some(connection);
            }
            let counts = cut.marker.is_none() || cut.connection == Some(connection);
            if cut.way != way || !counts {
                return true;
            }
            let left = usize::try_from(cut.left).unwrap_or(usize::MAX);
            cut.carried.extend(&chunk[..left.min(chunk.len())]);
            if left <= chunk.len() {
                cut_at = Some(left);
                *carried = std::mem::take(&mut cut.carried);
            } else {
                cut.left -= chunk.len() as u64;
            }
            cut_at.is_none()
        });
        cut_at
    }
}

impl Cut {
    fn is_marked(&self, chunk: &[u8]) -> bool {
        self.marker.as_ref().is_some_and(|marker| {
            chunk
                .windows(marker.len())
                .any(|window| window == marker.as_slice())
        })
    }
}

impl Script for Plan {
    fn carry(shared: &Shared<Self>, connection: &Connection, way: Way) -> io::Result<()> {
        carry(shared, connection, way)
    }

    fn unreached(shared: &Shared<Self>, connection: &Connection) {
        let state = shared.lock();
        drop(shared.wait_while(state, connection, |plan| plan.holds(Way::ToClient)));
    }
}

fn carry(shared: &Shared<Plan>, connection: &Connection, way: Way) -> io::Result<()> {
    let (mut from, mut to) = connection.ends(way)?;
    let number = connection.number;
    let mut chunk = [0; 16 * 1024];
    let mut faults = Stream::new(number, way);
    loop {
        let came = from.read(&mut chunk);
        let read = *came.as_ref().unwrap_or(&0);
        let mut state = shared.lock();
        let plan = &mut state.script;
        let fault = faults.next(plan.faults.as_ref(), read);
        if fault == Fault::Silence {
            plan.silent.push(number);
        }
        let delay = plan.next_delay() + fault.delay();
        let state = shared.pause(state, connection, delay);
        let mut state = shared.wait_while(state, connection, |plan| {
            let end_is_secret = read == 0 && way == Way::ToClient && plan.is_silent(number);
            plan.holds(way) || end_is_secret
        });
        let silent = state.script.is_silent(number);
        if silent && read == 0 {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        if connection.is_over() || came? == 0 {
            return Ok(());
        }
        if silent {
            continue;
        }
        let planned = state.script.cut(number, way, &chunk[..read]);
        let cut = planned.or(fault.cut());
        if cut.is_some() {
            connection.end();
            shared.changed.notify_all();
        }
        drop(state);
        let sent = to.write_all(&chunk[..cut.unwrap_or(read)]);
        if cut.is_some() {
            connection.shut();
            return sent;
        }
        sent?;
    }
}
