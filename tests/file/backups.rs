//! What comes back with an old file, and how it is kept from coming.

use epochkey::{Authority, Grant, Scope, Token, testing};

use crate::support::Site;

/// A file as it was before a user was revoked, and that user's token.
fn restored() -> (Site, Authority, Token) {
    let site = Site::new();
    let authority = site.authority();
    let stolen = authority.issue(Grant::user("u-42")).unwrap();
    drop(authority);
    let backup = site.read();

    let authority = site.authority();
    testing::finish(&authority, authority.bump(Scope::user("u-42"))).unwrap();
    assert!(authority.verify(&stolen).is_err());
    drop(authority);

    site.write(&backup);
    let authority = site.authority();
    (site, authority, stolen)
}

/// Nobody was running who could notice.
#[test]
fn a_restored_backup_brings_revoked_tokens_back() {
    let (_site, authority, stolen) = restored();
    assert!(authority.verify(&stolen).is_ok());
}

#[test]
fn nothing_comes_back_once_the_operator_says_so() {
    let (site, authority, stolen) = restored();
    let other = authority.issue(Grant::user("u-7")).unwrap();
    testing::finish(&authority, authority.restored_from_backup()).unwrap();
    for token in [&stolen, &other] {
        assert_eq!(authority.verify(token).unwrap_err().label(), "unknown_key");
    }
    drop(authority);

    let authority = site.authority();
    assert!(authority.verify(&stolen).is_err(), "nor after a restart");
    let new = authority.issue(Grant::user("u-42")).unwrap();
    assert!(authority.verify(&new).is_ok());
}
