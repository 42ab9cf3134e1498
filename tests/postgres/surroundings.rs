//! Defaults of a server, a database or a role that a store has nothing to do with.

use epochkey::Scope;

use crate::{
    Postgres,
    faults::{
        fleet::{Fleet, assert_log_ins_work, restarts, soon_stale},
        known::Known,
    },
    hand::{assert_works, connect, patient},
    server::{self, PostgresServer, Server},
};

/// All that a store asks, with replicas that wake each other.
#[track_caller]
fn assert_all_works(server: &PostgresServer) {
    assert_works(connect(server, patient().schema("another")));
    let fleet = Fleet::<Postgres>::new(server.url(), soon_stale());
    let replicas = fleet.replicas(2);
    let known = Known::of(&replicas);
    assert_log_ins_work(&replicas);
    replicas[0].authority.rotate_key().wait().unwrap();
    replicas[1].authority.bump(Scope::user("u")).wait().unwrap();
    crate::raw::rewrap_and_tidy(&fleet.store());
    for replica in &replicas {
        replica.until_refused(&known.revoked, "revoked");
        assert_eq!(replica.told.failed(), None);
    }
    assert_eq!(restarts(&replicas), 0);
}

#[test]
fn the_defaults_of_transactions_do_not_matter() {
    let settings = [
        ("default_transaction_isolation", "serializable"),
        ("default_transaction_read_only", "on"),
        ("default_transaction_deferrable", "on"),
        ("standard_conforming_strings", "off"),
        ("bytea_output", "escape"),
        ("DateStyle", "German"),
        ("IntervalStyle", "sql_standard"),
        ("extra_float_digits", "-15"),
        ("TimeZone", "Asia/Kathmandu"),
        ("row_security", "off"),
        ("quote_all_identifiers", "on"),
        ("check_function_bodies", "off"),
        ("enable_indexscan", "off"),
        ("plan_cache_mode", "force_generic_plan"),
    ];
    let Some(server) = server::start::<PostgresServer>(&settings) else {
        return;
    };
    assert_all_works(&server);
}

#[test]
fn a_database_of_another_encoding_will_do() {
    let Some(server) = server::postgres() else {
        return;
    };
    let create = "CREATE DATABASE latin ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0";
    server.execute(create).unwrap();
    let url = format!("postgres://postgres@{}/latin", server.address());
    assert_works(epochkey::PostgresStore::connect(&url, patient()));
}

/// Found before the server's own, or because they fit better: each notes that it was called.
const TRAPS: [(&str, &str); 20] = [
    ("pg_notify(text, text)", "void"),
    ("format(text, text, text)", "text"),
    ("format(text, regclass)", "text"),
    ("current_setting(text)", "text"),
    ("set_config(text, text, boolean)", "text"),
    ("pg_is_in_recovery()", "boolean"),
    ("clock_timestamp()", "timestamptz"),
    ("floor(numeric)", "numeric"),
    ("floor(double precision)", "double precision"),
    ("date_part(text, timestamptz)", "double precision"),
    ("hashtextextended(text, integer)", "bigint"),
    ("hashtextextended(text, bigint)", "bigint"),
    ("pg_advisory_xact_lock(bigint)", "void"),
    ("pg_advisory_xact_lock(integer)", "void"),
    ("unnest(text[])", "SETOF text"),
    ("unnest(bytea[])", "SETOF bytea"),
    ("unnest(bigint[])", "SETOF bigint"),
    ("bytea_is(bytea, bytea)", "boolean"),
    ("int8_is(bigint, bigint)", "boolean"),
    ("name_is(name, text)", "boolean"),
];

const OPERATORS: &str = "
    CREATE OPERATOR public.= (LEFTARG = bytea, RIGHTARG = bytea, FUNCTION = public.bytea_is);
    CREATE OPERATOR public.> (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = public.int8_is);
    CREATE OPERATOR public.<= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = public.int8_is);
    CREATE OPERATOR public.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = public.int8_is);
    CREATE OPERATOR public.= (LEFTARG = name, RIGHTARG = text, FUNCTION = public.name_is);
    CREATE AGGREGATE public.min (bigint) (SFUNC = public.int8_or, STYPE = bigint);
    CREATE DOMAIN public.bytea AS pg_catalog.text CHECK (false);
    CREATE DOMAIN public.int8 AS pg_catalog.text CHECK (false);";

/// Whoever may create something in a schema that is searched would act as our role.
#[test]
fn what_others_made_in_a_searched_schema_is_not_called() {
    for path in [
        "public, pg_catalog",
        "\"$user\", public",
        "pg_temp, public, pg_catalog",
    ] {
        let Some(server) = server::postgres() else {
            return;
        };
        set_traps(&server);
        let sql = format!("ALTER DATABASE postgres SET search_path = {path}");
        server.execute(&sql).unwrap();
        assert_all_works(&server);
        let called = "SELECT pg_catalog.concat(is_called) FROM public.called";
        assert_eq!(server.value(called).unwrap(), "f", "with {path}");
    }
}

fn set_traps(server: &PostgresServer) {
    let mut sql = "CREATE SEQUENCE public.called;".to_owned();
    let or = ("int8_or(bigint, bigint)", "bigint");
    for (function, returns) in TRAPS.into_iter().chain([or]) {
        let result = match returns {
            "void" => "RETURN",
            returns if returns.starts_with("SETOF") => "RETURN QUERY SELECT $1[1]",
            _ => "RETURN NULL",
        };
        sql += &format!(
            "CREATE FUNCTION public.{function} RETURNS {returns} LANGUAGE plpgsql AS $$ \
             BEGIN PERFORM pg_catalog.nextval('public.called'); {result}; END $$;"
        );
    }
    server.execute(&(sql + OPERATORS)).unwrap();
}
