//! Another server behind the same URL.

use epochkey::Grant;

use super::{
    Kind,
    fleet::{Fleet, Replica, assert_all_calm, restarts, settle, until},
};
use crate::server::Server;

fn lead(replicas: &[Replica], server: &impl Server) {
    for replica in replicas {
        replica.proxy.to(server.address());
    }
}

pub(crate) fn a_failover_that_loses_nothing_logs_nobody_out<K: Kind>() {
    let Some(mut fleet) = Fleet::<K>::start() else {
        return;
    };
    let replicas = fleet.replicas::<3>();
    let [one, two, three] = &replicas;
    let mut follower = fleet.server.replica().unwrap();
    let (pair, revoked) = (one.start("u"), two.issue("revoked"));
    three.bump("revoked");
    settle(&replicas);
    follower.cut_off().unwrap();
    fleet.server.kill().unwrap();
    follower.promote().unwrap();
    lead(&replicas, &follower);
    settle(&replicas);
    for replica in &replicas {
        replica.until_good(&pair.access);
        replica.until_revoked(&revoked);
    }
    let next = two.refresh(&pair.refresh);
    one.bump("u");
    settle(&replicas);
    assert_ne!(three.outcome(&next.access), "good");
    assert_eq!(three.refused(&next.refresh), "ended");
    assert_all_calm(&replicas);
}

/// A primary that became another's follower answers, and is not listened to.
pub(crate) fn a_demoted_primary_is_left<K: Kind>() {
    let Some(mut fleet) = Fleet::<K>::start() else {
        return;
    };
    let replicas = fleet.replicas::<2>();
    let [one, two] = &replicas;
    let pair = one.start("u");
    settle(&replicas);
    let mut follower = fleet.server.replica().unwrap();
    follower.cut_off().unwrap();
    follower.promote().unwrap();
    lead(&replicas, &follower);
    // Connections that are open lead to the old one still.
    fleet.server.rejoin(&follower).unwrap();
    settle(&replicas);
    for replica in &replicas {
        replica.until_good(&pair.access);
    }
    let next = two.refresh(&pair.refresh);
    one.bump("u");
    settle(&replicas);
    assert_ne!(two.outcome(&next.access), "good");
    assert_all_calm(&replicas);
}

pub(crate) fn a_failover_that_loses_bumps_logs_everybody_out<K: Kind>() {
    let Some(mut fleet) = Fleet::<K>::start() else {
        return;
    };
    let replicas = fleet.replicas::<3>();
    let [one, two, _] = &replicas;
    let mut follower = fleet.server.replica().unwrap();
    let pairs = [one.start("u"), two.start("bystander")];
    settle(&replicas);
    follower.cut_off().unwrap();
    one.bump("u");
    settle(&replicas);
    fleet.server.kill().unwrap();
    follower.promote().unwrap();
    lead(&replicas, &follower);
    let revoked = &pairs[0].access;
    until("all recover", || {
        for replica in &replicas {
            assert_ne!(replica.outcome(revoked), "good");
        }
        restarts(&replicas) > 0 && !replicas.iter().any(Replica::is_stale)
    });
    settle(&replicas);
    for replica in &replicas {
        for pair in &pairs {
            assert_eq!(replica.outcome(&pair.access), "unknown_key");
            assert_eq!(replica.refused(&pair.refresh), "bad_tag");
        }
    }
    assert_eq!(restarts(&replicas), 1);
    for replica in &replicas {
        let again = replica.start("u");
        let token = replica.authority.issue(Grant::user("bystander")).unwrap();
        for other in &replicas {
            other.until_good(&again.access);
            other.until_good(&token);
        }
        one.refresh(&again.refresh);
    }
}
