//! The store on a Redis server.

use std::{sync::Arc, time::Duration};

use epochkey::{RedisOptions, RedisStore, Store};

use crate::{
    Place, Result,
    server::{RedisServer, Server},
};

impl Place for RedisServer {
    fn store(&self, name: &str) -> Result<Arc<dyn Store>> {
        let options = RedisOptions::new().prefix(name);
        Ok(Arc::new(RedisStore::connect(&self.url(), options)?))
    }

    fn writer(&self) -> Result<Box<dyn FnMut() -> Result<()> + Send>> {
        let mut connection = self.connection()?;
        Ok(Box::new(move || {
            let mut command = redis::cmd("SET");
            Ok(command
                .arg("written")
                .arg("50 bytes of text, about as many as a bump takes")
                .exec(&mut connection)?)
        }))
    }

    fn watch_steps(&self) -> Result<()> {
        for words in [
            &["CONFIG", "SET", "slowlog-max-len", "1000000"][..],
            &["CONFIG", "SET", "slowlog-log-slower-than", "500"],
            &["SLOWLOG", "RESET"],
        ] {
            self.command(words)?;
        }
        Ok(())
    }

    fn longest_step(&self) -> Result<Option<(String, Duration)>> {
        let mut command = redis::cmd("SLOWLOG");
        let steps: Vec<redis::Value> = command.arg("GET").arg(-1).query(&mut self.connection()?)?;
        let mut longest = ("nothing".to_owned(), Duration::ZERO);
        for step in steps {
            let redis::Value::Array(fields) = step else {
                continue;
            };
            let (Some(micros), Some(words)) = (fields.get(2), fields.get(3)) else {
                continue;
            };
            let micros: u64 = redis::from_redis_value(micros.clone())?;
            let words: Vec<Vec<u8>> = redis::from_redis_value(words.clone())?;
            if longest.1 < Duration::from_micros(micros) {
                let name = words
                    .first()
                    .map(|word| String::from_utf8_lossy(word).into_owned());
                longest = (name.unwrap_or_default(), Duration::from_micros(micros));
            }
        }
        Ok(Some(longest))
    }

    fn pinger(&self) -> Result<Box<dyn FnMut() -> Result<()> + Send>> {
        let mut connection = self.connection()?;
        Ok(Box::new(move || {
            Ok(redis::cmd("PING").exec(&mut connection)?)
        }))
    }
}
