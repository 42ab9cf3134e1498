//! Who calls: extractors, so that a handler that names one is not reached without it.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header::AUTHORIZATION, request::Parts},
};
use epochkey::Verified;

use super::{App, Refusal, refusal::MAX_AGE};

impl FromRequestParts<App> for Verified {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        let token = bearer_token(&parts.headers)?;
        // Right in async code, without `spawn_blocking`: it only computes, for a microsecond
        // or two, and waits for nothing.
        Ok(app.authority.verify(token)?)
    }
}

/// The token of an `Authorization` header (RFC 6750 section 2.1).
fn bearer_token(headers: &HeaderMap) -> Result<&[u8], Refusal> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(Refusal::NoToken)?.as_bytes();
    if values.next().is_some() {
        // Which of them a proxy in front has looked at, nobody knows.
        return Err(Refusal::SeveralTokens);
    }
    let scheme_end = value.iter().position(|&byte| byte == b' ');
    let (scheme, token) = value.split_at(scheme_end.unwrap_or(value.len()));
    if !scheme.eq_ignore_ascii_case(b"Bearer") {
        return Err(Refusal::NoToken);
    }
    Ok(token.trim_ascii_start())
}

/// A caller who typed the password not long ago: for what a stolen token must not do.
pub(crate) struct RecentlyAuthenticated(pub(crate) Verified);

impl FromRequestParts<App> for RecentlyAuthenticated {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        let caller = Verified::from_request_parts(parts, app).await?;
        match caller.authenticated_within(MAX_AGE) {
            true => Ok(Self(caller)),
            false => Err(Refusal::AuthenticationTooOld),
        }
    }
}

/// Says that the caller is an admin. Taking the role from somebody kills the tokens that
/// still name the group.
pub(crate) struct Admin;

impl FromRequestParts<App> for Admin {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        let caller = Verified::from_request_parts(parts, app).await?;
        match caller.in_group("admin") {
            true => Ok(Self),
            false => Err(Refusal::NotAnAdmin),
        }
    }
}
