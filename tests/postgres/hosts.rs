//! Which of several servers is taken.

use epochkey::{PostgresOptions, PostgresStore};

use crate::{
    Postgres,
    faults::{
        fleet::{Fleet, Replica, assert_log_ins_work, restarts, soon_stale, until},
        known::Known,
    },
    hand::{assert_refused, assert_works, connect},
    server::{self, Server},
};

/// Whatever is accepted: it would not take a commit, and be behind.
#[test]
fn a_standby_is_refused() {
    let Some(primary) = server::postgres() else {
        return;
    };
    assert_works(connect(&primary, PostgresOptions::new()));
    let standby = primary.replica().unwrap();
    let accepting = PostgresOptions::new().danger_accept_lost_revocations();
    for options in [PostgresOptions::new(), accepting] {
        let parts = ["is a standby; connect to the primary"];
        assert_refused(connect(&standby, options), "not_primary", &parts);
    }
}

#[test]
fn of_several_hosts_the_primary_is_taken_and_after_a_failover_the_new_one() {
    let Some(mut primary) = server::postgres() else {
        return;
    };
    let mut standby = primary.replica().unwrap();
    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let nobody = free.local_addr().unwrap();
    drop(free);
    let (here, there) = (primary.address(), standby.address());
    let url = |hosts: [_; 3]| {
        let hosts = hosts.map(|host: std::net::SocketAddr| host.to_string());
        format!("postgres://postgres@{}/postgres", hosts.join(","))
    };
    let orders = [
        [here, there, nobody],
        [there, nobody, here],
        [nobody, there, here],
    ];
    let fleet = Fleet::<Postgres>::new(url(orders[0]), soon_stale());
    let replicas = orders.map(|hosts| fleet.replica_at(&url(hosts)));
    let known = Known::of(&replicas);

    // It is not asked for again as long as the primary answers.
    standby.cut_off().unwrap();
    known.until_in_force(&replicas);
    standby.rejoin(&primary).unwrap();
    standby.cut_off().unwrap();
    primary.kill().unwrap();
    until("all are stale", || replicas.iter().all(Replica::is_stale));
    known.assert_all_refused(&replicas);
    let refused = PostgresStore::connect(&url(orders[1]), PostgresOptions::new());
    // What is reached says more than what is not.
    assert_refused(refused, "not_primary", &[]);
    standby.promote().unwrap();
    known.until_in_force(&replicas);
    assert_log_ins_work(&replicas);
    assert_eq!(restarts(&replicas), 0);
}

#[test]
fn of_several_hosts_that_nobody_listens_at_none_is_reached() {
    let free = [(); 2].map(|()| std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap());
    let [one, other] = free.map(|listener| listener.local_addr().unwrap());
    let url = format!("postgres://postgres@{one},{other}/postgres");
    let refused = PostgresStore::connect(&url, PostgresOptions::new());
    assert_refused(refused, "unreachable", &["refused"]);
}
