//! What was so before something happened, and has to be so again, or never again.

use epochkey::{Grant, Scope, Token, TokenPair};

use super::fleet::{Replica, until, until_some};

/// Tokens and sessions that all replicas know of.
pub(crate) struct Known {
    pub(crate) alive: Token,
    pub(crate) revoked: Token,
    pub(crate) session: TokenPair,
    pub(crate) ended: TokenPair,
}

impl Known {
    #[track_caller]
    pub(crate) fn of(replicas: &[Replica]) -> Self {
        let (first, last) = (&replicas[0], &replicas[replicas.len() - 1]);
        let known = Self {
            alive: first.issue("alive"),
            revoked: last.issue("revoked"),
            session: last.start("has a session"),
            ended: first.start("had a session"),
        };
        first.bump("revoked");
        let id = known.ended.session.id();
        let end = until_some("the session ends", || {
            last.authority.sessions().end(id).wait().ok()
        });
        for replica in replicas {
            until("all is in force", || {
                replica.authority.wait_for(end).wait().is_ok()
            });
            replica.until_good(&known.alive);
            replica.until_good(&known.session.access);
            replica.assert_dead(&known.revoked);
            replica.assert_dead(&known.ended.access);
        }
        known
    }

    /// What was good is good on all replicas, and what was not is not.
    #[track_caller]
    pub(crate) fn until_in_force(&self, replicas: &[Replica]) {
        for replica in replicas {
            replica.until_good(&self.alive);
            replica.until_good(&self.session.access);
            replica.until_refused(&self.revoked, "revoked");
            replica.until_refused(&self.ended.access, "revoked");
            until("the ended session is refused", || {
                let refreshed = replica.refreshed(&self.ended);
                assert_ne!(refreshed, "good");
                refreshed == "ended"
            });
            until("the session is refreshed", || {
                replica.refreshed(&self.session) == "good"
            });
        }
    }

    /// All were logged out, once.
    #[track_caller]
    pub(crate) fn until_gone(&self, replicas: &[Replica]) {
        for replica in replicas {
            for token in self.all_tokens() {
                replica.until_refused(token, "unknown_key");
            }
            for pair in [&self.session, &self.ended] {
                until("a session of before is refused", || {
                    let refreshed = replica.refreshed(pair);
                    assert_ne!(refreshed, "good");
                    refreshed == "bad_tag"
                });
            }
        }
    }

    /// Nothing is accepted, issued or changed.
    #[track_caller]
    pub(crate) fn assert_all_refused(&self, replicas: &[Replica]) {
        for replica in replicas {
            for token in self.all_tokens() {
                assert_eq!(replica.outcome(token), "stale_epochs");
            }
            let authority = &replica.authority;
            let issued = authority.issue(Grant::user("anybody"));
            assert_eq!(issued.unwrap_err().label(), "stale_epochs");
            let sessions = authority.sessions();
            let started = sessions.start(Grant::user("anybody"), "").wait();
            assert_eq!(started.unwrap_err().label(), "stale_epochs");
            assert_eq!(replica.refreshed(&self.session), "stale_epochs");
            let bumped = authority.bump(Scope::user("anybody")).wait();
            let error = bumped.unwrap_err();
            assert_eq!(error.label(), "store");
            assert!(error.is_transient(), "{error:?}");
        }
    }

    fn all_tokens(&self) -> [&Token; 4] {
        let (session, ended) = (&self.session.access, &self.ended.access);
        [&self.alive, &self.revoked, session, ended]
    }
}
