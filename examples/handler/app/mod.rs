//! The routes. Whoever is let in was let in by `Authority::verify`: see `caller`.

mod caller;
mod refusal;
mod sessions;
mod users;

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::sse::{Event, Sse},
    routing::{delete, get, post},
};
use epochkey::{Authority, Scope, Verified};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};
use tokio_stream::{Stream, StreamExt, wrappers::IntervalStream};

use self::{
    caller::{Admin, RecentlyAuthenticated},
    users::Users,
};

pub(crate) use self::refusal::Refusal;

/// How often a stream asks whether its token is still good.
const RECHECK_INTERVAL: Duration = Duration::from_millis(250);

/// What every handler can reach. Clones are the same service.
#[derive(Clone)]
pub(crate) struct App {
    authority: Authority,
    users: Arc<Users>,
}

pub(crate) fn router(authority: Authority) -> Router {
    Router::new()
        .route("/login", post(sessions::log_in))
        .route(sessions::REFRESH_PATH, post(sessions::refresh))
        .route("/sessions", get(sessions::list))
        .route("/sessions/{id}", delete(sessions::end))
        .route("/logout", post(sessions::log_out))
        .route("/me", get(me))
        .route("/password", post(change_password))
        .route("/events", get(events))
        .route("/admin/users/{user}/revoke", post(revoke_user))
        .route(
            "/admin/users/{user}/groups/{group}",
            delete(take_from_group),
        )
        .route("/admin/swap-key", post(swap_key))
        .with_state(App::new(authority))
}

#[derive(Deserialize)]
pub(crate) struct Credentials {
    pub(crate) user: String,
    pub(crate) password: String,
}

impl App {
    pub(crate) fn new(authority: Authority) -> Self {
        Self {
            authority,
            users: Arc::new(Users::demo()),
        }
    }
}

async fn me(caller: Verified) -> Json<Value> {
    Json(json!({
        "user": caller.user(),
        "session": caller.session(),
        "groups": caller.groups().collect::<Vec<_>>(),
    }))
}

#[derive(Deserialize)]
struct PasswordChange {
    new_password: String,
}

async fn change_password(
    State(app): State<App>,
    RecentlyAuthenticated(caller): RecentlyAuthenticated,
    Json(change): Json<PasswordChange>,
) -> Result<StatusCode, Refusal> {
    // The token was verified before the body was read, and a body may take its time.
    app.authority.recheck(&caller)?;
    // The password first: whoever still reads the old one has a mark from before the bump.
    // With an `.await` between the two, spawn them as one task: a handler is dropped when
    // its client hangs up.
    app.users.set_password(caller.user(), change.new_password);
    app.authority.bump(Scope::user(caller.user())).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Events until the token is no longer good: revoked, swapped out or expired. The
/// client that connects again gets a 401.
async fn events(
    State(app): State<App>,
    caller: Verified,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    // A beat of its own, so that a stream which has nothing to say ends too.
    let mut beat = interval(RECHECK_INTERVAL);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let events = IntervalStream::new(beat).map_while(move |_| {
        let still_good = app.authority.recheck(&caller);
        still_good
            .inspect_err(|error| eprintln!("ended a stream: {}", error.label()))
            .ok()?;
        Some(Ok(Event::default().data("still in")))
    });
    Sse::new(events)
}

/// Ends whatever the user holds. A user that nobody knows is no error: there is
/// nothing to revoke then.
async fn revoke_user(
    State(app): State<App>,
    _: Admin,
    Path(user): Path<String>,
) -> Result<StatusCode, Refusal> {
    app.authority.bump(Scope::user(user)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a role from somebody who stays logged in. Like a new password: the fact first.
async fn take_from_group(
    State(app): State<App>,
    _: Admin,
    Path((user, group)): Path<(String, String)>,
) -> Result<StatusCode, Refusal> {
    app.users.take_from_group(&user, &group);
    let scope = Scope::group(users::groups_of(&user));
    app.authority.bump(scope).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends every access token, the admin's own included; clients refresh and carry on.
async fn swap_key(State(app): State<App>, _: Admin) -> Result<StatusCode, Refusal> {
    app.authority.swap_key().await?;
    Ok(StatusCode::NO_CONTENT)
}
