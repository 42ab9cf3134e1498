//! No signature at all: the token is the id of a row on a PostgreSQL server of the same machine.

use std::cell::RefCell;

use epochkey_benches::{Cycle, Row, ours};
use postgres::{Client, Statement};

use super::{KNOWN, server};
use crate::server::PostgresServer;

const ID: &str = "postgres-session";

struct Sessions {
    client: RefCell<Client>,
    select: Statement,
}

impl Sessions {
    /// The rows of `KNOWN` users, and one that has expired.
    fn create(mut client: Client) -> Self {
        let rows = format!(
            "CREATE TABLE sessions (
                id text PRIMARY KEY, user_id text NOT NULL, expires_at timestamptz NOT NULL
            );
            INSERT INTO sessions
                SELECT md5(n::text), 'user-' || lpad(n::text, 6, '0'), now() + interval '1 day'
                FROM generate_series(0, {KNOWN} - 1) AS n;
            INSERT INTO sessions VALUES ('expired', 'user', now());
            ANALYZE sessions;"
        );
        client.batch_execute(&rows).expect("a table");
        let select = "SELECT user_id FROM sessions WHERE id = $1 AND expires_at > now()";
        let select = client.prepare(select).expect("a statement");
        Self {
            client: RefCell::new(client),
            select,
        }
    }

    /// The user.
    fn verify(&self, token: &str) -> Option<String> {
        let mut client = self.client.borrow_mut();
        let row = client.query_opt(&self.select, &[&token]);
        Some(row.expect("the server answers")?.get(0))
    }

    fn ids(&self, users: usize) -> Vec<String> {
        let ids = "SELECT id FROM sessions WHERE user_id LIKE 'user-%' ORDER BY user_id LIMIT $1";
        let limit = i64::try_from(users).expect("few");
        let rows = self.client.borrow_mut().query(ids, &[&limit]);
        let rows = rows.expect("the server answers");
        rows.iter().map(|row| row.get(0)).collect()
    }
}

pub(crate) fn postgres_session(users: usize) -> Option<(PostgresServer, Box<dyn Row>)> {
    let server: PostgresServer = server(ID, &[])?;
    let sessions = Sessions::create(server.connection().expect("a connection"));
    assert!(sessions.verify("expired").is_none() && sessions.verify("unknown").is_none());
    let ids = sessions.ids(users);
    assert_eq!(sessions.verify(&ids[1]), Some(ours::user(1)));
    let row = Cycle::new(ID, ids, move |token: &String| {
        sessions.verify(token).expect("the session lives")
    });
    Some((server, Box::new(row)))
}
