//! Takes connections and joins each to a server, by two threads that carry the bytes.

use std::{
    io,
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    ToServer,
    ToClient,
}

/// What a relay does with the bytes. Its value is under the relay's lock.
pub(super) trait Script: Send + Sized + 'static {
    /// Carries what comes one way until there is no more. The other way goes on, except after
    /// an error, which closes the connection.
    fn carry(shared: &Shared<Self>, connection: &Connection, way: Way) -> io::Result<()>;

    /// Called instead when there is no server to connect to.
    fn unreached(shared: &Shared<Self>, connection: &Connection);
}

pub(super) struct Connection {
    /// In the order in which they came.
    pub(super) number: u64,
    client: TcpStream,
    server: OnceLock<TcpStream>,
    /// Changed under the lock of the relay only. Nothing is carried from then on, except by
    /// the one who set it.
    over: AtomicBool,
}

impl Connection {
    pub(super) fn client(&self) -> &TcpStream {
        &self.client
    }

    /// Where to read, and where to write.
    pub(super) fn ends(&self, way: Way) -> io::Result<(&TcpStream, &TcpStream)> {
        let server = self.server.get().ok_or(io::ErrorKind::NotConnected)?;
        Ok(match way {
            Way::ToServer => (&self.client, server),
            Way::ToClient => (server, &self.client),
        })
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// From now on only the caller carries something, and the connection closes after that.
    pub(super) fn end(&self) {
        self.over.store(true, Ordering::Release);
    }

    pub(super) fn shut(&self) {
        for end in [Some(&self.client), self.server.get()]
            .into_iter()
            .flatten()
        {
            let _ = end.shutdown(Shutdown::Both);
        }
    }
}

pub(super) struct State<S> {
    pub(super) script: S,
    target: Option<SocketAddr>,
    connections: Vec<Arc<Connection>>,
    threads: Vec<JoinHandle<()>>,
    taken: u64,
    refusing: bool,
    listening: bool,
    ended: bool,
}

impl<S> State<S> {
    fn cut(&mut self) {
        for connection in self.connections.drain(..) {
            connection.end();
            connection.shut();
        }
    }
}

pub(super) struct Shared<S> {
    state: Mutex<State<S>>,
    /// Told of every change of the state and of every connection that is over.
    pub(super) changed: Condvar,
}

impl<S> Shared<S> {
    pub(super) fn lock(&self) -> MutexGuard<'_, State<S>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while `so` holds and `connection` is not over.
    pub(super) fn wait_while<'a>(
        &'a self,
        state: MutexGuard<'a, State<S>>,
        connection: &Connection,
        mut so: impl FnMut(&S) -> bool,
    ) -> MutexGuard<'a, State<S>> {
        self.changed
            .wait_while(state, |state| !connection.is_over() && so(&state.script))
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits this long, or until `connection` is over.
    pub(super) fn pause<'a>(
        &'a self,
        state: MutexGuard<'a, State<S>>,
        connection: &Connection,
        time: Duration,
    ) -> MutexGuard<'a, State<S>> {
        if time.is_zero() {
            return state;
        }
        self.changed
            .wait_timeout_while(state, time, |_| !connection.is_over())
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }

    fn change<T>(&self, change: impl FnOnce(&mut State<S>) -> T) -> T {
        let result = change(&mut self.lock());
        self.changed.notify_all();
        result
    }

    /// Closes it, unless somebody else is about to.
    fn close(&self, connection: &Connection) {
        self.change(|_| {
            if !connection.is_over() {
                connection.end();
                connection.shut();
            }
        });
    }
}

/// Ends with all its threads and connections when it is dropped.
pub(super) struct Relay<S: Script> {
    address: SocketAddr,
    shared: Arc<Shared<S>>,
    acceptor: Option<JoinHandle<()>>,
}

impl<S: Script> Relay<S> {
    /// Without a target every connection is to nobody.
    pub(super) fn start(target: Option<SocketAddr>, script: S) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                script,
                target,
                connections: Vec::new(),
                threads: Vec::new(),
                taken: 0,
                refusing: false,
                listening: true,
                ended: false,
            }),
            changed: Condvar::new(),
        });
        let its = Arc::clone(&shared);
        let acceptor = thread::spawn(move || accept(&its, listener, address));
        Ok(Self {
            address,
            shared,
            acceptor: Some(acceptor),
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn taken(&self) -> u64 {
        self.shared.lock().taken
    }

    pub(super) fn script<T>(&self, change: impl FnOnce(&mut S) -> T) -> T {
        self.shared.change(|state| change(&mut state.script))
    }

    pub(super) fn to(&self, target: SocketAddr) {
        self.shared.change(|state| state.target = Some(target));
    }

    pub(super) fn cut(&self) {
        self.shared.change(State::cut);
    }

    /// Returns when nobody listens at the address, or somebody does.
    pub(super) fn refuse(&self, refusing: bool) {
        self.shared.change(|state| state.refusing = refusing);
        if refusing {
            self.wake();
        }
        let state = self.shared.lock();
        let wrong = |state: &mut State<S>| state.listening == refusing && !state.ended;
        drop(self.shared.changed.wait_while(state, wrong));
    }

    /// The acceptor looks at the state after each connection.
    fn wake(&self) {
        let _ = TcpStream::connect(self.address);
    }
}

impl<S: Script> Drop for Relay<S> {
    fn drop(&mut self) {
        self.shared.change(|state| state.ended = true);
        self.wake();
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        // No thread comes any more.
        let threads = self.shared.change(|state| {
            state.cut();
            std::mem::take(&mut state.threads)
        });
        for thread in threads {
            let _ = thread.join();
        }
    }
}

fn accept<S: Script>(shared: &Arc<Shared<S>>, mut listener: TcpListener, address: SocketAddr) {
    loop {
        let client = listener.accept();
        let mut state = shared.lock();
        if state.refusing && !state.ended {
            drop(listener);
            state.listening = false;
            shared.changed.notify_all();
            let waits = |state: &mut State<S>| state.refusing && !state.ended;
            state = shared
                .changed
                .wait_while(state, waits)
                .unwrap_or_else(PoisonError::into_inner);
            let Ok(again) = TcpListener::bind(address) else {
                state.ended = true;
                shared.changed.notify_all();
                return;
            };
            listener = again;
            state.listening = true;
            shared.changed.notify_all();
        } else if let Ok((client, _)) = client
            && !state.ended
        {
            take(shared, &mut state, client);
        }
        if state.ended {
            return;
        }
    }
}

fn take<S: Script>(shared: &Arc<Shared<S>>, state: &mut State<S>, client: TcpStream) {
    let connection = Arc::new(Connection {
        number: state.taken,
        client,
        server: OnceLock::new(),
        over: AtomicBool::new(false),
    });
    state.taken += 1;
    state.connections.push(Arc::clone(&connection));
    state.threads.retain(|thread| !thread.is_finished());
    let (its, target) = (Arc::clone(shared), state.target);
    state
        .threads
        .push(thread::spawn(move || join(&its, target, &connection)));
}

fn join<S: Script>(shared: &Shared<S>, target: Option<SocketAddr>, connection: &Connection) {
    let server = target.map_or_else(
        || Err(io::ErrorKind::NotConnected.into()),
        TcpStream::connect,
    );
    match server {
        Ok(server) => {
            let _ = connection.client.set_nodelay(true);
            let _ = server.set_nodelay(true);
            let _ = connection.server.set(server);
            if connection.is_over() {
                // It was cut before it was known to have two ends.
                connection.shut();
            }
            thread::scope(|scope| {
                for way in [Way::ToServer, Way::ToClient] {
                    scope.spawn(move || {
                        let carried = S::carry(shared, connection, way);
                        let end = connection.ends(way).map(|(_, to)| to);
                        let told = end.and_then(|to| to.shutdown(Shutdown::Write));
                        if carried.and(told).is_err() {
                            shared.close(connection);
                        }
                    });
                }
            });
        }
        Err(_) => S::unreached(shared, connection),
    }
    shared.close(connection);
    shared.change(|state| {
        let number = connection.number;
        state.connections.retain(|other| other.number != number);
    });
}
