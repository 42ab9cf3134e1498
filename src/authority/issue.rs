//! From a grant to a token.

use std::{sync::Arc, time::Duration};

use super::{Authority, Inner};
use crate::{
    Grant, IssueError, Mark, Token,
    bug::{self, Bug},
    clock::{UnixSeconds, unix_seconds},
    epoch_table::BelowFloor,
    grant::{Authenticated, CheckedGrant},
    hook::{self, Place},
    key_ring::KeyRing,
    ring_key::RingKey,
    seal::Seal,
    store::StoreTime,
    token::{Payload, WrittenScopes},
};

impl Authority {
    /// Issues a token for what the grant says, sealed with the current epochs.
    ///
    /// A token issued while a bump runs is either before it, and dead when it
    /// returns, or after it, and good. It reads memory of this process only and
    /// never waits.
    ///
    /// # Errors
    ///
    /// [`IssueError`], which says what to change about the grant; nothing was issued.
    pub fn issue(&self, grant: Grant) -> Result<Token, IssueError> {
        let token = self.inner.issue(&grant.check()?, u64::MAX)?;
        self.inner.counters.issued();
        Ok(token)
    }
}

impl Inner {
    /// A token of a session, which it does not outlive. `None` if less than a second is left
    /// of it.
    ///
    /// It does not count as issued yet: see [`hand_out`](Self::hand_out).
    pub(crate) fn issue_within(
        &self,
        grant: &CheckedGrant,
        session_ends: StoreTime,
    ) -> Result<Option<Token>, IssueError> {
        let now = self.replica.now().seconds;
        match (session_ends.as_unix_millis() / 1000).saturating_sub(now) {
            0 => Ok(None),
            remaining => self.issue(grant, remaining).map(Some),
        }
    }

    /// Counts a token as issued.
    pub(crate) fn hand_out(&self, token: Token) -> Token {
        self.counters.issued();
        token
    }

    /// The longest lifetime that a grant may ask for at this moment, if anything can be issued.
    pub(crate) fn longest_lifetime(&self) -> Option<Duration> {
        let ring = self.replica.ring();
        let key = ring.issuing_key(self.replica.now().seconds)?;
        Some(Duration::from_secs(self.longest_of(key)))
    }

    /// A token that lives for `at_most` so many seconds.
    fn issue(&self, grant: &CheckedGrant, at_most: u64) -> Result<Token, IssueError> {
        let now = self.replica.now();
        if !now.is_fresh && !bug::is_in(Bug::StaleIssues) {
            return Err(IssueError::StaleEpochs);
        }
        let scopes = grant.written_scopes();
        loop {
            let judge = self.judge_at(now);
            let (ring, now) = (&judge.ring, now.seconds);
            let key = ring.issuing_key(now).ok_or(IssueError::StaleEpochs)?;
            hook::reached(Place::KeyFound);
            match self.seal(judge.bound(key), grant, &scopes) {
                Ok(seal) => {
                    hook::reached(Place::Sealed);
                    check_mark(ring, grant)?;
                    let lifetime = self.lifetime(key, grant.lifetime)?.min(at_most);
                    return self.sign(key, grant, &scopes, seal, now, lifetime);
                }
                // Swapped since the ring was read. The new ring was published
                // before the floor rose, so the next turn finds it.
                Err(BelowFloor) if !Arc::ptr_eq(ring, &self.replica.ring()) => {}
                Err(BelowFloor) => return Err(IssueError::StaleEpochs),
            }
        }
    }

    fn sign(
        &self,
        key: &RingKey,
        grant: &CheckedGrant,
        scopes: &WrittenScopes,
        seal: Seal,
        now: UnixSeconds,
        lifetime: u64,
    ) -> Result<Token, IssueError> {
        let payload = Payload {
            issuer: &self.issuer,
            audience: grant.audience.as_deref().unwrap_or(&self.audience),
            scopes,
            issued_at: now,
            expires_at: now.saturating_add(lifetime),
            authenticated_at: self.authenticated_at(grant.authenticated, now)?,
            token_id: self.replica.source().random.public_id()?,
            seal,
            claims: &grant.claims,
        };
        let lifetime = Duration::from_secs(lifetime);
        let token = Token::sign(
            key.header(),
            &payload.to_json(),
            key.signing_key(),
            lifetime,
        );
        let (length, limit) = (token.as_str().len(), self.policy.max_token_length);
        if length > limit {
            return Err(IssueError::TokenTooLong { length, limit });
        }
        Ok(token)
    }

    /// The lifetime in seconds: the policy binds it, and so does the key, which
    /// may have been introduced under a shorter policy.
    fn lifetime(&self, key: &RingKey, asked: Option<Duration>) -> Result<u64, IssueError> {
        let longest = self.longest_of(key);
        let Some(lifetime) = asked else {
            return Ok(self.policy.token_lifetime.min(longest));
        };
        if lifetime.subsec_nanos() != 0 || lifetime.is_zero() {
            return Err(IssueError::InvalidLifetime { lifetime });
        }
        if lifetime.as_secs() > longest {
            let longest = Duration::from_secs(longest);
            return Err(IssueError::LifetimeTooLong { lifetime, longest });
        }
        Ok(lifetime.as_secs())
    }

    fn longest_of(&self, key: &RingKey) -> u64 {
        self.policy.max_token_lifetime.min(key.longest_lifetime())
    }

    /// `auth_time`: never after `iat`, whatever the clocks say, and recent enough for
    /// the policy.
    pub(crate) fn authenticated_at(
        &self,
        authenticated: Authenticated,
        now: UnixSeconds,
    ) -> Result<Option<UnixSeconds>, IssueError> {
        let time = match authenticated {
            Authenticated::NotStated => None,
            Authenticated::Now => Some(now),
            Authenticated::At(time) => Some(unix_seconds(time)),
        };
        // A time that is not stated is before every other.
        if time > Some(now.saturating_add(self.policy.leeway)) {
            return Err(IssueError::AuthenticatedInFuture);
        }
        let oldest = self
            .policy
            .max_authentication_age
            .map(|age| now.saturating_sub(age));
        if time < oldest {
            return Err(IssueError::AuthenticationTooOld);
        }
        Ok(time.map(|time| time.min(now)))
    }
}

/// Refuses if a scope was bumped since the grant's mark.
///
/// After the seal was made: a bump that the seal already shows is then found
/// here too, so no seal with a new epoch goes out on old facts.
fn check_mark(ring: &KeyRing, grant: &CheckedGrant) -> Result<(), IssueError> {
    let Some(Mark { history, position }) = grant.mark else {
        return Ok(());
    };
    if history != ring.history() {
        return Err(IssueError::OutdatedMark);
    }
    for scope in grant.scopes() {
        let tag = ring.table_key().tag(scope.kind, scope.id);
        match ring.table().bumped_after(tag, position) {
            Ok(None) => {}
            Ok(Some(_)) => {
                let scope = scope.to_scope();
                return Err(IssueError::BumpedSinceMark { scope });
            }
            Err(BelowFloor) if bug::is_in(Bug::MarkBelowFloor) => {}
            Err(BelowFloor) => return Err(IssueError::OutdatedMark),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::{Authority, Grant, IssueError, MemoryStore, Scope, VerifyError, hook, testing};

    /// The ring is swapped and the table pruned while `issue` holds the old ring:
    /// it starts over with the new one, and does not seal with forgotten epochs.
    #[test]
    fn a_swap_between_ring_and_table_is_issued_after() {
        let authority = testing::authority().unwrap();
        let swapping = authority.clone();
        hook::at_next(hook::Place::KeyFound, move || {
            swapping.swap_key().wait().unwrap();
        });
        let token = authority.issue(Grant::user("u")).unwrap();
        assert_eq!(authority.verify(&token).unwrap().user(), "u");
    }

    /// A bump between the two reads: the token is after it, and the next bump kills it.
    #[test]
    fn a_bump_before_the_seal_is_in_it() {
        let authority = testing::authority().unwrap();
        let bumping = authority.clone();
        hook::at_next(hook::Place::KeyFound, move || {
            bumping.bump(Scope::user("u")).wait().unwrap();
        });
        let token = authority.issue(Grant::user("u")).unwrap();
        assert!(authority.verify(&token).is_ok());
        authority.bump(Scope::user("u")).wait().unwrap();
        assert!(authority.verify(&token).is_err());
    }

    /// A bump after the seal was made: the token is before it, and dead.
    #[test]
    fn a_bump_after_the_seal_kills_the_token() {
        let authority = testing::authority().unwrap();
        let bumping = authority.clone();
        hook::at_next(hook::Place::Sealed, move || {
            bumping.bump(Scope::user("u")).wait().unwrap();
        });
        let token = authority.issue(Grant::user("u")).unwrap();
        let scope = Some(Scope::user("u"));
        assert_eq!(
            authority.verify(&token).unwrap_err(),
            VerifyError::Revoked { scope }
        );
    }

    /// Facts read before a bump do not survive it, whenever it comes.
    #[test]
    fn a_bump_after_the_mark_prevents_the_token() {
        for place in [hook::Place::KeyFound, hook::Place::Sealed] {
            let authority = testing::authority().unwrap();
            let mark = authority.mark();
            let bumping = authority.clone();
            hook::at_next(place, move || {
                bumping.bump(Scope::user("u")).wait().unwrap();
            });
            let error = authority.issue(Grant::user("u").as_of(mark)).unwrap_err();
            let IssueError::BumpedSinceMark { scope } = error else {
                panic!("{place:?}: {error}")
            };
            assert_eq!(scope, Scope::user("u"));
        }
    }

    /// Log-ins go on while a swap is at work.
    #[test]
    fn a_mark_taken_while_a_swap_prunes_is_good() {
        let builder = testing::by_hand(Authority::builder("i", "a"));
        let authority = builder.open(MemoryStore::new()).unwrap();
        let outcome = Arc::new(parking_lot::Mutex::new(None));
        let (log_in, outcome_there) = (authority.clone(), Arc::clone(&outcome));
        hook::at_next(hook::Place::Pruned, move || {
            let grant = Grant::user("u").as_of(log_in.mark());
            *outcome_there.lock() = Some(log_in.issue(grant));
        });
        testing::finish(&authority, authority.swap_key()).unwrap();
        let token = outcome.lock().take().unwrap().unwrap();
        assert!(authority.verify(&token).is_ok());
    }

    /// A swap after the mark prunes the bump: the mark is below the floor then.
    #[test]
    fn a_prune_after_the_mark_prevents_the_token() {
        let authority = testing::authority().unwrap();
        let mark = authority.mark();
        let bumping = authority.clone();
        hook::at_next(hook::Place::KeyFound, move || {
            bumping.bump(Scope::user("u")).wait().unwrap();
            bumping.swap_key().wait().unwrap();
        });
        let error = authority.issue(Grant::user("u").as_of(mark)).unwrap_err();
        assert!(matches!(error, IssueError::OutdatedMark), "{error}");
    }
}
