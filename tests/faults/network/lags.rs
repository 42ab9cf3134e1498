//! A network that takes its time.

use std::time::Duration;

use epochkey::{Grant, Token};

use super::{
    Kind,
    fleet::{Fleet, assert_all_calm, settle, until_some},
};

const ROUNDS: usize = 8;

/// Right after a bump elsewhere, a log-in gives a token that is good or too new, wherever it is
/// shown, and never revoked.
pub(crate) fn a_lagging_network_takes_nothing_back<K: Kind>() {
    let Some(fleet) = Fleet::<K>::start() else {
        return;
    };
    let replicas = fleet.replicas::<4>();
    // The last is ahead of the others: its bumps return before they hear of them.
    let [slow @ .., quick] = &replicas;
    for replica in slow {
        let (shortest, longest) = (Duration::ZERO, Duration::from_millis(16));
        replica.proxy.delay(shortest..longest);
    }
    let bystander = quick.start("bystander");
    let assert_good_or_new = |token: &Token| {
        for replica in &replicas {
            let outcome = replica.outcome(token);
            assert!(matches!(outcome, "good" | "stale_epochs"), "{outcome}");
        }
    };
    for round in 0..ROUNDS {
        let at = |further: usize| &slow[(round + further) % slow.len()];
        let user = format!("u-{}", round % 3);
        let old = at(0).issue(&user);
        let epoch = quick.bump(&user);
        assert_ne!(quick.outcome(&old), "good");
        let here = quick.issue(&user);
        assert_good_or_new(&here);
        // Some overtake the news of the bump.
        let starts: Vec<_> = slow
            .iter()
            .map(|replica| replica.begin_start(&user))
            .collect();
        let started: Vec<_> = starts
            .into_iter()
            .filter_map(|start| start.wait().ok())
            .collect();
        let pair = at(0).start(&user);
        assert_good_or_new(&pair.access);
        quick.bump("nobody");
        let mark = until_some("a mark", || at(1).authority.catch_up().wait().ok());
        let marked = at(1)
            .authority
            .issue(Grant::user(&user).as_of(mark))
            .unwrap();
        assert_good_or_new(&marked);
        let next = at(2).refresh(&pair.refresh);
        let mut tokens: Vec<_> = started.iter().map(|pair| &pair.access).collect();
        tokens.extend([&here, &pair.access, &marked]);
        tokens.extend([&next.access, &bystander.access]);
        tokens.iter().copied().for_each(assert_good_or_new);
        for replica in &replicas {
            replica.wait_for(epoch);
            assert_ne!(replica.outcome(&old), "good");
            tokens.iter().for_each(|token| replica.until_good(token));
        }
        at(1).bump(&user);
        assert_eq!(quick.refused(&next.refresh), "ended");
    }
    settle(&replicas);
    assert_eq!(
        replicas.iter().filter(|replica| replica.is_stale()).count(),
        0
    );
    replicas[1].refresh(&bystander.refresh);
    assert_all_calm(&replicas);
}
