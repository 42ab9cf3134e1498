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

  token=$(curl -s {url}/login -H 'Content-Type: application/json' \
    -d '{{"user":"ada","password":"engine"}}' | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
  curl -i {url}/me -H "Authorization: Bearer $token"

With the same header:

  GET   /events                     a stream that ends when the token is revoked
  POST  /logout                     ends the session
  POST  /password                   {{"new_password":"…"}} ends all sessions of the user
  POST  /admin/users/bob/revoke     ends all sessions of bob; for admins
  POST  /admin/swap-key             ends all sessions; for admins"#
    );
}
