//! A small service whose tokens can be revoked at once, with axum on tokio.
//!
//! `cargo run --release --example handler -- [ADDRESS]`

mod app;

use std::{env, error::Error};

use epochkey::{Authority, MemoryStore};
use tokio::net::TcpListener;

const DEFAULT_ADDRESS: &str = "127.0.0.1:3000";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = env::args().nth(1).or_else(|| env::var("ADDRESS").ok());
    let address = address.as_deref().unwrap_or(DEFAULT_ADDRESS);
    // One authority for the whole process: it is what knows who was revoked.
    let authority = Authority::builder("https://issuer.example", "api").open(MemoryStore::new())?;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| format!("cannot listen on {address}: {error}"))?;
    print_usage(&format!("http://{}", listener.local_addr()?));
    axum::serve(listener, app::router(authority)).await?;
    Ok(())
}

fn print_usage(url: &str) {
    println!(
        r#"Listening on {url}

Log in as ada, an admin (password "engine"), or bob ("builder"):

  token=$(curl -s -c cookies {url}/login -H 'Content-Type: application/json' \
    -d '{{"user":"ada","password":"engine"}}' | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
  curl -i {url}/me -H "Authorization: Bearer $token"

The cookie is the refresh token, which gives the next access token and the next cookie:

  curl -i -b cookies -c cookies -X POST {url}/refresh

With the header of the access token:

  GET     /sessions                       where you are logged in
  DELETE  /sessions/ID                    ends one of your sessions
  POST    /logout                         ends this session
  GET     /events                         a stream that ends when the token is revoked
  POST    /password                       {{"new_password":"…"}} ends all of your sessions
  POST    /admin/users/bob/revoke         ends all sessions of bob; for admins
  DELETE  /admin/users/ada/groups/admin   takes the role; the sessions go on; for admins
  POST    /admin/swap-key                 kills all access tokens; for admins"#
    );
}
