//! The example's service on a free port, and a client of it.

use std::{net::SocketAddr, time::Duration};

use axum_extra::extract::cookie::Cookie;
use epochkey::{Authority, MasterSecret, MemoryStore, Store, testing::ManualClock};
use serde_json::{Value, json};
use tokio::{net::TcpListener, runtime::Runtime};
use ureq::{
    Agent, Body,
    http::{
        Request, Response,
        header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, EXPECT, HeaderName, USER_AGENT},
    },
};

use crate::app;

/// Generous: only a hang takes so long.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

/// Stops when it is dropped.
pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    pub(crate) authority: Authority,
    pub(crate) clock: ManualClock,
    agent: Agent,
    _runtime: Runtime,
}

/// All that a client sees, but the date.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

/// What one device keeps.
#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) access: String,
    pub(crate) refresh: String,
}

impl Service {
    pub(crate) fn start() -> Self {
        Self::start_on(|_| MemoryStore::new())
    }

    pub(crate) fn start_on<S: Store>(store: impl FnOnce(&ManualClock) -> S) -> Self {
        let clock = ManualClock::at_unix_seconds(1_700_000_000);
        let authority = Authority::builder("https://issuer.test", "api")
            .clock(clock.clone())
            .master_secret(MasterSecret::generate().unwrap())
            .open(store(&clock))
            .unwrap();
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let router = app::router(authority.clone());
        runtime.spawn(async move { axum::serve(listener, router).await });
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            // A connection on which a request was refused unread may be closed at any time.
            .max_idle_connections(0)
            .timeout_global(Some(TIMEOUT))
            .timeout_await_100(Some(TIMEOUT))
            .build();
        Self {
            address,
            authority,
            clock,
            agent: agent.into(),
            _runtime: runtime,
        }
    }

    pub(crate) fn open(
        &self,
        method: &str,
        path: &str,
        authorizations: &[&str],
        json: Option<Value>,
    ) -> Response<Body> {
        let headers: Vec<_> = authorizations
            .iter()
            .map(|value| (AUTHORIZATION, *value))
            .collect();
        self.request(method, path, &headers, json)
    }

    fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(HeaderName, &str)],
        json: Option<Value>,
    ) -> Response<Body> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        if json.is_some() {
            // A refusal comes before the body is read, and the service then hangs up.
            request = request
                .header(CONTENT_TYPE, "application/json")
                .header(EXPECT, "100-continue");
        }
        let body = json.map_or_else(String::new, |json| json.to_string());
        self.agent.run(request.body(body).unwrap()).unwrap()
    }

    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        authorizations: &[&str],
        json: Option<Value>,
    ) -> Answer {
        Answer::read(self.open(method, path, authorizations, json))
    }

    pub(crate) fn get(&self, path: &str, token: &str) -> Answer {
        self.send("GET", path, &[&bearer(token)], None)
    }

    pub(crate) fn post(&self, path: &str, token: &str) -> Answer {
        self.send("POST", path, &[&bearer(token)], None)
    }

    pub(crate) fn try_log_in(&self, user: &str, password: &str) -> Answer {
        let credentials = json!({"user": user, "password": password});
        self.send("POST", "/login", &[], Some(credentials))
    }

    /// A fresh token.
    #[track_caller]
    pub(crate) fn log_in(&self, user: &str, password: &str) -> String {
        let answer = self.try_log_in(user, password);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["access_token"].as_str().unwrap().to_owned()
    }

    /// Logs bob in on a device of this name.
    #[track_caller]
    pub(crate) fn log_in_on(&self, device: &str) -> Device {
        let credentials = json!({"user": "bob", "password": "builder"});
        let headers = [(USER_AGENT, device)];
        let answer = Answer::read(self.request("POST", "/login", &headers, Some(credentials)));
        answer.device()
    }

    pub(crate) fn refresh(&self, cookie: &str) -> Answer {
        let cookie = format!("refresh={cookie}");
        Answer::read(self.request("POST", "/refresh", &[(COOKIE, &cookie)], None))
    }

    pub(crate) fn ada(&self) -> String {
        self.log_in("ada", "engine")
    }

    pub(crate) fn bob(&self) -> String {
        self.log_in("bob", "builder")
    }

    pub(crate) fn lets_in(&self, token: &str) -> bool {
        self.get("/me", token).status == 200
    }
}

impl Answer {
    fn read(mut response: Response<Body>) -> Self {
        let headers = response.headers().iter();
        Self {
            status: response.status().as_u16(),
            headers: headers
                .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
                .filter(|(name, _)| name != "date")
                .collect(),
            body: response.body_mut().read_to_string().unwrap(),
        }
    }

    /// What a client keeps of a log-in or a refresh.
    #[track_caller]
    pub(crate) fn device(&self) -> Device {
        assert_eq!(self.status, 200, "{self:?}");
        Device {
            access: self.json()["access_token"].as_str().unwrap().to_owned(),
            refresh: self.cookie().unwrap().value().to_owned(),
        }
    }

    /// The cookie that it sets.
    pub(crate) fn cookie(&self) -> Option<Cookie<'_>> {
        let cookie = self.header("set-cookie")?;
        Some(Cookie::parse(cookie).unwrap())
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let (_, value) = headers.find(|(other, _)| other == name)?;
        Some(value)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The status and the challenge.
    pub(crate) fn refusal(&self) -> (u16, Option<&str>) {
        (self.status, self.header("www-authenticate"))
    }
}

pub(crate) fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}
