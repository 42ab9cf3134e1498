//! The store on a PostgreSQL server.

use std::sync::Arc;

use epochkey::{PostgresOptions, PostgresStore, Store};

use crate::{
    Place, Result,
    server::{PostgresServer, Server},
};

impl Place for PostgresServer {
    fn store(&self, name: &str) -> Result<Arc<dyn Store>> {
        let options = PostgresOptions::new().schema(name);
        Ok(Arc::new(PostgresStore::connect(&self.url(), options)?))
    }

    fn writer(&self) -> Result<Box<dyn FnMut() -> Result<()> + Send>> {
        let mut client = self.connection()?;
        client.batch_execute("CREATE TABLE written (text text)")?;
        Ok(Box::new(move || {
            let text = "50 bytes of text, about as many as a bump takes";
            client.execute("INSERT INTO written VALUES ($1)", &[&text])?;
            Ok(())
        }))
    }

    fn pinger(&self) -> Result<Box<dyn FnMut() -> Result<()> + Send>> {
        let mut client = self.connection()?;
        Ok(Box::new(move || Ok(client.batch_execute("SELECT 1")?)))
    }
}
