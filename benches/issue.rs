//! What it costs to issue a token beside the HMAC that it needs, and beside libraries whose
//! tokens cannot be revoked.
//!
//! `cargo bench --manifest-path benches/Cargo.toml --bench issue`
//!
//! All of them read the clock and draw 16 random bytes for the `jti` of each token.

use criterion::{Criterion, criterion_group, criterion_main};
use epochkey::{Authority, Grant, Policy, SessionId, Token};
use epochkey_benches::{
    Cycle, Row, measure_in_turns,
    ours::{AppClaims, authority, issue_floor, one_scope, session, three_scopes, tokens, user},
    peers::{Biscuit, Jsonwebtoken9, Jsonwebtoken11, JwtSimple, PasetorsV4Local, issue_row},
};

/// Users who get tokens in turn.
const USERS: usize = 1024;

fn issue(criterion: &mut Criterion) {
    let authority = authority(Policy::default());
    let mut floor: Box<dyn Row> = Box::new(issue_floor(&tokens(&authority, USERS, 1, one_scope)));
    let mut rows = ours(&authority);
    rows.extend([
        issue_row::<Jsonwebtoken9>(USERS),
        issue_row::<Jsonwebtoken11>(USERS),
        issue_row::<JwtSimple>(USERS),
        issue_row::<PasetorsV4Local>(USERS),
        issue_row::<Biscuit>(USERS),
    ]);
    measure_in_turns("issue", &mut *floor, &mut rows);

    let mut group = criterion.benchmark_group("issue");
    floor.bench(&mut group);
    for row in &mut rows {
        row.bench(&mut group);
    }
    group.finish();
}

fn ours(authority: &Authority) -> Vec<Box<dyn Row>> {
    let users = || (0..USERS).map(user);
    let with_sessions = users().map(|user| (user, session())).collect();
    let claims = AppClaims::example();
    vec![
        row(
            "epochkey-issue",
            authority,
            users().collect(),
            |user: &String| Grant::user(user),
        ),
        row(
            "epochkey-issue-3-scopes",
            authority,
            with_sessions,
            |(user, session): &(String, SessionId)| three_scopes(user, session),
        ),
        row(
            "epochkey-issue-with-claims",
            authority,
            users().collect(),
            move |user: &String| Grant::user(user).claims(&claims),
        ),
    ]
}

fn row<I: 'static>(
    id: &str,
    authority: &Authority,
    inputs: Vec<I>,
    grant: impl Fn(&I) -> Grant + 'static,
) -> Box<dyn Row> {
    let authority = authority.clone();
    Box::new(Cycle::new(id, inputs, move |input: &I| -> Token {
        authority.issue(grant(input)).expect("the grant is valid")
    }))
}

criterion_group! {
    name = benches;
    config = epochkey_benches::criterion();
    targets = issue
}
criterion_main!(benches);
