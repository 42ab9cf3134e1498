//! A name that leads to a server, or to none, or to another one.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// Passes on what comes to its address. What is under way ends when it leads elsewhere.
pub(crate) struct Forwarder {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    target: Option<SocketAddr>,
    open: Vec<TcpStream>,
    holds_answers: bool,
    held: Vec<(TcpStream, Vec<u8>)>,
}

impl Forwarder {
    pub(crate) fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let forwarder = Self {
            address: listener.local_addr().unwrap(),
            state: Arc::default(),
        };
        forwarder.lead_to(Some(target));
        let state = Arc::downgrade(&forwarder.state);
        thread::spawn(move || {
            while let (Ok((client, _)), Some(state)) = (listener.accept(), state.upgrade()) {
                // Otherwise it is closed, as by a server that has just ended.
                let _ = pass_on(client, &state);
            }
        });
        forwarder
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Leads here from now on.
    pub(crate) fn lead_to(&self, target: Option<SocketAddr>) {
        let mut state = self.state.lock().unwrap();
        state.target = target;
        for stream in state.open.drain(..) {
            // It may be closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
        state.held.clear();
    }

    /// Keeps what the server answers from now on.
    pub(crate) fn hold_answers(&self) {
        self.state.lock().unwrap().holds_answers = true;
    }

    /// Gives what was kept so far, and keeps what comes now.
    pub(crate) fn give_held(&self) {
        self.state.lock().unwrap().give_held();
    }

    /// Gives what was kept, and keeps nothing any more.
    pub(crate) fn release(&self) {
        let mut state = self.state.lock().unwrap();
        state.holds_answers = false;
        state.give_held();
    }
}

impl State {
    fn give_held(&mut self) {
        for (mut client, bytes) in self.held.drain(..) {
            // It may be closed already.
            let _ = client.write_all(&bytes);
        }
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.lead_to(None);
        self.state = Arc::default();
        // So that the thread sees it.
        let _ = TcpStream::connect(self.address);
    }
}

fn pass_on(client: TcpStream, state: &Arc<Mutex<State>>) -> io::Result<()> {
    let mut locked = state.lock().unwrap();
    let target = locked.target.ok_or(io::ErrorKind::ConnectionRefused)?;
    let server = TcpStream::connect(target)?;
    let (mut questions, mut asked) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || {
        let _ = io::copy(&mut questions, &mut asked);
        close(&questions, &asked);
    });
    let (answers, told) = (server.try_clone()?, client.try_clone()?);
    let state = Arc::clone(state);
    thread::spawn(move || {
        let _ = answer(&answers, &told, &state);
        close(&answers, &told);
    });
    locked.open.extend([client, server]);
    Ok(())
}

fn answer(mut server: &TcpStream, mut client: &TcpStream, state: &Mutex<State>) -> io::Result<()> {
    let mut bytes = [0; 65_536];
    loop {
        let count = match server.read(&mut bytes)? {
            0 => return Ok(()),
            count => count,
        };
        let mut state = state.lock().unwrap();
        match state.holds_answers {
            true => {
                let kept = (client.try_clone()?, bytes[..count].to_vec());
                state.held.push(kept);
            }
            false => client.write_all(&bytes[..count])?,
        }
    }
}

fn close(one: &TcpStream, other: &TcpStream) {
    // They may be closed already.
    let _ = one.shutdown(Shutdown::Both);
    let _ = other.shutdown(Shutdown::Both);
}
