//! What all errors have in common.

use std::{collections::HashSet, error::Error, io, path::PathBuf, time::Duration};

use super::*;
use crate::{Epoch, IdError, RandomError, Scope, SessionId, store::Refusal};

/// Their labels are names on dashboards: a new one is added here, and none changes.
macro_rules! errors {
    ($($error:expr => $label:literal $transient:literal),* $(,)?) => {{
        let mut errors: Vec<Box<dyn Error>> = Vec::new();
        let mut labels = Vec::new();
        $(
            let error = $error;
            assert_eq!(error.label(), $label);
            assert_eq!(error.is_transient(), $transient, "{}", $label);
            labels.push($label);
            errors.push(Box::new(error));
        )*
        check_texts(&errors);
        labels
    }};
}

/// The same for errors that never pass by themselves.
macro_rules! lasting {
    ($($error:expr => $label:literal),* $(,)?) => {{
        let mut errors: Vec<Box<dyn Error>> = Vec::new();
        $(
            let error = $error;
            assert_eq!(error.label(), $label);
            errors.push(Box::new(error));
        )*
        check_texts(&errors);
    }};
}

/// A text is one line to stand in a sentence, and leaves to the source what is the source's.
#[track_caller]
fn check_texts(errors: &[Box<dyn Error>]) {
    let mut texts = HashSet::new();
    for error in errors {
        let text = error.to_string();
        assert!(text.len() > 10 && !text.ends_with('.'), "{text}");
        assert!(
            !text.contains(['\n', '\t']) && !text.contains("  "),
            "{text}"
        );
        assert!(!text.starts_with(char::is_uppercase), "{text}");
        if let Some(source) = error.source() {
            assert!(!text.contains(&source.to_string()), "{text}: {source}");
        }
        assert!(!format!("{error:?}").is_empty());
        assert!(texts.insert(text), "told apart: {error}");
    }
}

fn random() -> RandomError {
    RandomError::for_tests()
}

fn id() -> IdError {
    IdError::Empty
}

fn io() -> io::Error {
    io::Error::other("a disk")
}

fn away() -> StoreError {
    StoreError::unavailable("a network")
}

fn damaged() -> StoreError {
    StoreError::damaged("a file")
}

fn refused_grant() -> IssueError {
    IssueError::ClaimsNotAnObject
}

fn claims() -> ClaimsError {
    serde_json::from_str::<u8>("x").unwrap_err().into()
}

fn text(text: &str) -> String {
    text.to_owned()
}

#[test]
fn of_ids_and_texts() {
    lasting!(
        IdError::Empty => "empty",
        IdError::TooLong { length: 300 } => "too_long",
        IdError::ForbiddenCharacter { character: '"' } => "forbidden_character",
    );
    lasting!(random() => "random", "x".parse::<Epoch>().unwrap_err() => "epoch", claims() => "claims");
}

#[test]
fn of_building() {
    lasting!(
        BuildError::InvalidIssuer(id()) => "invalid_issuer",
        BuildError::InvalidAudience(id()) => "invalid_audience",
        BuildError::InvalidPolicy { setting: "leeway", reason: "is odd" } => "invalid_policy",
        BuildError::Random(random()) => "random",
        BuildError::NoMasterSecret => "no_master_secret",
        BuildError::WrongMasterSecret => "wrong_master_secret",
        BuildError::Thread(io()) => "thread",
        BuildError::Store(away()) => "store",
    );
    let (name, path) = (text("SECRET"), PathBuf::from("secret"));
    lasting!(
        MasterSecretError::NotSet { name: name.clone() } => "not_set",
        MasterSecretError::NotUnicode { name } => "not_unicode",
        MasterSecretError::Unreadable { path, source: io() } => "unreadable",
        MasterSecretError::Undecodable => "undecodable",
        MasterSecretError::TooShort { length: 3 } => "too_short",
        MasterSecretError::TooLong => "too_long",
        MasterSecretError::Placeholder => "placeholder",
    );
}

#[test]
fn of_issuing() {
    let (claim, seconds) = ("sub", Duration::from_secs);
    errors!(
        IssueError::InvalidId { claim, source: id() } => "invalid_id" false,
        IssueError::TooManyGroups { groups: 9 } => "too_many_groups" false,
        IssueError::DuplicateGroup { group: text("g") } => "duplicate_group" false,
        IssueError::Claims(claims()) => "claims" false,
        IssueError::ClaimsNotAnObject => "claims_not_an_object" false,
        IssueError::TooManyClaims { claims: 65 } => "too_many_claims" false,
        IssueError::ClaimsNotCompact => "claims_not_compact" false,
        IssueError::RegisteredClaim { name: text("exp") } => "registered_claim" false,
        IssueError::DuplicateClaim { name: text("n") } => "duplicate_claim" false,
        IssueError::InvalidClaimName { name: text(""), source: id() } => "invalid_claim_name" false,
        IssueError::InvalidLifetime { lifetime: seconds(0) } => "invalid_lifetime" false,
        IssueError::LifetimeTooLong { lifetime: seconds(2), longest: seconds(1) }
            => "lifetime_too_long" false,
        IssueError::AuthenticatedInFuture => "authenticated_in_future" false,
        IssueError::AuthenticationTooOld => "authentication_too_old" false,
        IssueError::TokenTooLong { length: 2, limit: 1 } => "token_too_long" false,
        IssueError::BumpedSinceMark { scope: Scope::user("u") } => "bumped_since_mark" true,
        IssueError::OutdatedMark => "outdated_mark" true,
        IssueError::StaleEpochs => "stale_epochs" true,
        IssueError::Random(random()) => "random" false,
    );
}

#[test]
fn of_verifying() {
    let scope = Some(Scope::user("u"));
    let labels = errors!(
        VerifyError::Malformed => "malformed" false,
        VerifyError::UnknownKey => "unknown_key" false,
        VerifyError::BadSignature => "bad_signature" false,
        VerifyError::WrongIssuer => "wrong_issuer" false,
        VerifyError::WrongAudience => "wrong_audience" false,
        VerifyError::Expired => "expired" false,
        VerifyError::NotYetValid => "not_yet_valid" false,
        VerifyError::LifetimeTooLong => "lifetime_too_long" false,
        VerifyError::StaleEpochs => "stale_epochs" true,
        VerifyError::Revoked { scope } => "revoked" false,
        VerifyError::AuthenticationTooOld => "authentication_too_old" false,
    );
    assert_eq!(labels, VerifyError::LABELS);
    assert_ne!(
        VerifyError::Revoked { scope: None }.to_string(),
        VerifyError::Revoked {
            scope: Some(Scope::user("u"))
        }
        .to_string()
    );
}

#[test]
fn of_changes() {
    let scope = Scope::user("");
    errors!(
        BumpError::InvalidScope { scope, source: id() } => "invalid_scope" false,
        BumpError::Random(random()) => "random" false,
        BumpError::Store(away()) => "store" true,
        BumpError::Store(StoreError::too_large(2, 1)) => "store" false,
    );
    errors!(SwapError::Random(random()) => "random" false, SwapError::Store(away()) => "store" true);
    errors!(
        RotateError::TooManyKeys { keys: 16 } => "too_many_keys" false,
        RotateError::Overtaken => "overtaken" false,
        RotateError::Random(random()) => "random" false,
        RotateError::Store(away()) => "store" true,
    );
    assert!(!SwapError::Store(damaged()).is_transient());
    assert!(!RotateError::Store(damaged()).is_transient());
}

#[test]
fn of_stores() {
    errors!(
        away() => "unavailable" true,
        damaged() => "damaged" false,
        StoreError::too_large(2, 1) => "too_large" false,
        StoreError::gap(1, 3) => "gap" true,
        StoreError::old_snapshot(2, 1) => "old_snapshot" true,
        StoreError::unreadable("a row") => "unreadable" false,
        StoreError::unreadable_event(7) => "unreadable" false,
        StoreError::from(crate::wrapping::UnwrapError::WrongMasterSecret)
            => "wrong_master_secret" false,
        StoreError::clock(Duration::from_secs(3)) => "clock" false,
        StoreError::refused(Refusal::Place) => "refused" true,
        StoreError::refused(Refusal::Key) => "refused" true,
        StoreError::lost() => "lost" true,
        StoreError::not_in_force() => "not_in_force" true,
        StoreError::stale() => "stale" true,
        StoreError::unsettled() => "unsettled" true,
        StoreError::abandoned() => "abandoned" true,
        StoreError::from(random()) => "random" false,
    );
}

#[test]
fn of_sessions() {
    errors!(
        StartError::Grant(refused_grant()) => "grant" false,
        StartError::LabelTooLong { length: 2000 } => "label_too_long" false,
        StartError::TooManySessions { limit: 3 } => "too_many_sessions" false,
        StartError::BumpedMeanwhile => "bumped_meanwhile" true,
        StartError::StaleEpochs => "stale_epochs" true,
        StartError::Random(random()) => "random" false,
        StartError::Store(away()) => "store" true,
    );
    assert!(StartError::Grant(IssueError::OutdatedMark).is_transient());
    assert!(!StartError::Store(damaged()).is_transient());
    errors!(
        SessionError::Ended => "ended" false,
        SessionError::Issue(refused_grant()) => "issue" false,
        SessionError::TryAgain => "try_again" true,
        SessionError::StaleEpochs => "stale_epochs" true,
        SessionError::Random(random()) => "random" false,
        SessionError::Store(away()) => "store" true,
    );
    assert!(!SessionError::Store(damaged()).is_transient());
}

/// An application answers 401, 503 or 500, as the documentation says.
#[test]
fn of_refreshes() {
    let reused = || RefreshError::Reused {
        session: SessionId::of_checked("s"),
        user: text("u"),
    };
    errors!(
        RefreshError::Malformed => "malformed" false,
        RefreshError::BadTag => "bad_tag" false,
        RefreshError::Expired { idle: true } => "expired" false,
        RefreshError::Expired { idle: false } => "expired" false,
        RefreshError::Ended => "ended" false,
        reused() => "reused" false,
        RefreshError::TooManyReplays => "too_many_replays" true,
        RefreshError::Grant(refused_grant()) => "grant" false,
        RefreshError::TryAgain => "try_again" true,
        RefreshError::StaleEpochs => "stale_epochs" true,
        RefreshError::Random(random()) => "random" false,
        RefreshError::Store(away()) => "store" true,
    );
    for over in [
        RefreshError::Malformed,
        RefreshError::BadTag,
        RefreshError::Expired { idle: true },
        RefreshError::Expired { idle: false },
        RefreshError::Ended,
        reused(),
    ] {
        assert!(over.needs_log_in() && !over.is_transient(), "{over}");
    }
    for goes_on in [
        RefreshError::TooManyReplays,
        RefreshError::Grant(refused_grant()),
        RefreshError::Grant(IssueError::OutdatedMark),
        RefreshError::TryAgain,
        RefreshError::StaleEpochs,
        RefreshError::Random(random()),
        RefreshError::Store(away()),
        RefreshError::Store(damaged()),
    ] {
        assert!(!goes_on.needs_log_in(), "{goes_on}");
    }
    assert!(RefreshError::Grant(IssueError::OutdatedMark).is_transient());
    assert!(!RefreshError::Store(damaged()).is_transient());
}
