//! Sessions: log in, refresh, list, end, log out.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{
    Json,
    extract::{Path, State},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, PRAGMA, USER_AGENT},
    },
    response::{IntoResponse, Response},
};
use axum_extra::extract::{
    CookieJar,
    cookie::{Cookie, Expiration, SameSite},
};
use epochkey::{Mark, Op, Session, SessionId, StartError, TokenPair, Verified};
use serde_json::{Value, json};

use super::{App, Credentials, Refusal};

const COOKIE: &str = "refresh";
/// The one path that the cookie is sent to.
pub(super) const REFRESH_PATH: &str = "/refresh";
/// The header is as long as its sender likes, and a label is not.
const LONGEST_LABEL: usize = 200;

impl App {
    /// A session for whoever has the right password, unless the user was revoked since `mark`.
    pub(crate) fn start_session(
        &self,
        given: &Credentials,
        label: &str,
        mark: Mark,
    ) -> Result<Op<TokenPair, StartError>, Refusal> {
        if !self.users.has_password(&given.user, &given.password) {
            return Err(Refusal::WrongPassword);
        }
        let grant = self.users.grant(&given.user).authenticated_now();
        Ok(self.authority.sessions().start(grant.as_of(mark), label))
    }
}

pub(super) async fn log_in(
    State(app): State<App>,
    headers: HeaderMap,
    jar: CookieJar,
    Json(given): Json<Credentials>,
) -> Result<impl IntoResponse, Refusal> {
    // Before the password is read: if it is changed from here on, there is no session. With a
    // store that other processes share: `app.authority.catch_up().await?`.
    let mark = app.authority.mark();
    let pair = app
        .start_session(&given, &label_of(&headers), mark)?
        .await?;
    Ok(answer(jar, pair))
}

/// The next pair. The groups are read again: a role that was taken away is gone.
pub(super) async fn refresh(State(app): State<App>, jar: CookieJar) -> Response {
    let shown = jar.get(COOKIE).map_or("", Cookie::value);
    let users = Arc::clone(&app.users);
    let sessions = app.authority.sessions();
    let refreshed = sessions.refresh_with(shown, move |session| users.grant(session.user()));
    match refreshed.await.map_err(Refusal::from) {
        Ok(pair) => answer(jar, pair).into_response(),
        Err(refusal @ Refusal::InvalidRefreshToken) => {
            (jar.add(no_cookie()), refusal).into_response()
        }
        // The same token may do in a moment.
        Err(refusal) => refusal.into_response(),
    }
}

/// The access token in the body, as RFC 6749 section 5.1 has it, and the refresh token in a
/// cookie: a script that an attacker brings into the page can read the one, which expires
/// soon, and not the other.
fn answer(jar: CookieJar, pair: TokenPair) -> impl IntoResponse {
    let body = json!({
        "access_token": pair.access.as_str(),
        "token_type": "Bearer",
        "expires_in": pair.access.expires_in().as_secs(),
    });
    let mut cookie = refresh_cookie(pair.refresh.into_string());
    // Without it the cookie goes when the browser is closed.
    cookie.set_expires(Expiration::DateTime(pair.session.expires_at().into()));
    (
        [(CACHE_CONTROL, "no-store"), (PRAGMA, "no-cache")],
        jar.add(cookie),
        Json(body),
    )
}

fn refresh_cookie(value: impl Into<String>) -> Cookie<'static> {
    Cookie::build((COOKIE, value.into()))
        .http_only(true)
        .secure(true)
        .same_site(SameSite::Strict)
        .path(REFRESH_PATH)
        .build()
}

/// Deletes it at the client. `CookieJar::remove` would do so only where the cookie was sent.
fn no_cookie() -> Cookie<'static> {
    let mut cookie = refresh_cookie("");
    cookie.make_removal();
    cookie
}

/// What the user will know the device by.
fn label_of(headers: &HeaderMap) -> String {
    let agent = headers.get(USER_AGENT).map(HeaderValue::to_str);
    let agent = agent.and_then(Result::ok).unwrap_or("unknown");
    agent.chars().take(LONGEST_LABEL).collect()
}

/// Where the caller is logged in.
pub(super) async fn list(State(app): State<App>, caller: Verified) -> Result<Json<Value>, Refusal> {
    let sessions = app.authority.sessions().list(caller.user()).await?;
    let current = caller.session();
    let shown = sessions.iter().map(|session| {
        json!({
            "id": session.id(),
            "label": session.label(),
            "created_at": unix_seconds(session.created_at()),
            "last_used_at": unix_seconds(session.last_used_at()),
            "current": current.as_ref() == Some(session.id()),
        })
    });
    Ok(Json(shown.collect()))
}

/// Ends one of the caller's sessions, on whatever device it is.
pub(super) async fn end(
    State(app): State<App>,
    caller: Verified,
    Path(id): Path<SessionId>,
) -> Result<StatusCode, Refusal> {
    let sessions = app.authority.sessions();
    let session = sessions.get(&id).await?;
    // The same answer for somebody else's: `end` itself asks nobody whose it is.
    let is_own = |session: &Session| session.user() == caller.user();
    if !session.as_ref().is_some_and(is_own) {
        return Err(Refusal::NoSuchSession);
    }
    sessions.end(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn log_out(
    State(app): State<App>,
    caller: Verified,
    jar: CookieJar,
) -> Result<impl IntoResponse, Refusal> {
    // Every token of this service has a session; one without could not be ended alone.
    let session = caller.session().ok_or(Refusal::NoSession)?;
    // Started by the call: if the client hangs up now, it takes effect all the same.
    app.authority.sessions().end(&session).await?;
    // For tidiness only: the tokens are dead, and all copies of them.
    Ok((StatusCode::NO_CONTENT, jar.add(no_cookie())))
}

fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs())
}
