//! How long tokens are that say the same.

use epochkey::{Authority, Grant, MemoryStore};
use epochkey_benches::{
    AUDIENCE, Claims, ISSUER, LIFETIME,
    ours::{session, signing_input, three_scopes, user},
    peers::{Biscuit, Jsonwebtoken11, PasetorsV4Local, Peer, SECRET},
};

pub(crate) fn print() {
    let authority = Authority::builder(ISSUER, AUDIENCE)
        .token_lifetime(LIFETIME)
        .open(MemoryStore::new())
        .expect("the settings are valid");
    let ours = |grant| authority.issue(grant).expect("a token").into_string();
    let user = user(0);
    let plain = ours(Grant::user(&user));
    println!("bytes of a token with iss, aud, sub, iat, exp and jti:");
    for (name, token) in [
        ("epochkey", plain.clone()),
        (
            "epochkey, with a session and a group",
            ours(three_scopes(&user, &session())),
        ),
        ("JWT (HS256)", of_peer::<Jsonwebtoken11>(&user)),
        ("PASETO v4.local", of_peer::<PasetorsV4Local>(&user)),
        ("Biscuit", of_peer::<Biscuit>(&user)),
    ] {
        println!("  {name:<40} {:>5}", token.len());
    }
    println!(
        "  (of epochkey's, {} are under the signature)",
        signing_input(&plain).len()
    );
}

fn of_peer<P: Peer>(user: &str) -> String {
    P::new(&SECRET).issue(&Claims::of(user))
}
