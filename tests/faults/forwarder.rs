//! A name that leads to a server, or to none, or to another one.

use std::{
    io,
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
                let _ = pass_on(client, &mut state.lock().unwrap());
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

fn pass_on(client: TcpStream, state: &mut State) -> io::Result<()> {
    let target = state.target.ok_or(io::ErrorKind::ConnectionRefused)?;
    let server = TcpStream::connect(target)?;
    for (mut from, mut to) in [
        (client.try_clone()?, server.try_clone()?),
        (server.try_clone()?, client.try_clone()?),
    ] {
        thread::spawn(move || {
            let _ = io::copy(&mut from, &mut to);
            let _ = from.shutdown(Shutdown::Both);
            let _ = to.shutdown(Shutdown::Both);
        });
    }
    state.open.extend([client, server]);
    Ok(())
}
