//! What somebody has heard so far who asks where an epoch is in force.

use std::{
    collections::{HashMap, hash_map::Entry},
    time::Duration,
};

use super::ReplicaStatus;
use crate::{
    StoreError,
    bug::{self, Bug},
    store::{Answer, Place, Receipt, ReplicaId, Standing, StoreTime},
};

pub(super) type Finish = Box<dyn FnOnce(Result<Vec<ReplicaStatus>, StoreError>) + Send>;

/// When who asks is answered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// Each replica is known to have confirmed or not.
    Known,
    /// No replica accepts what the epoch has revoked.
    InForceEverywhere,
}

pub(super) struct Inquiry {
    pub(super) epoch: Place,
    until: Until,
    /// How many exchanges with the store had begun when it was asked.
    exchanges: u64,
    /// By this replica's monotonic clock, as all moments here.
    asked_at: Duration,
    stage: Stage,
    finish: Finish,
}

enum Stage {
    /// Nobody knows yet whether the epoch is in force here.
    New,
    InForceHere {
        is_trimmed: bool,
    },
    Listening(Heard),
    Over(Outcome),
}

enum Outcome {
    Confirmed,
    Unconfirmed(Vec<ReplicaStatus>),
    Lost,
}

/// What the receipts said.
struct Heard {
    is_trimmed: bool,
    /// When they were read first.
    since: Duration,
    /// When they were read last, by the store's clock.
    read_at: StoreTime,
    /// Those whose receipt was there at first. Who comes later begins with what the
    /// log holds, which the epoch is part of.
    others: HashMap<ReplicaId, Other>,
}

/// How long a replica may go on with what it heard before some moment.
pub(super) struct Patience {
    pub(super) now: Duration,
    /// When this replica came to the present history, if there was one before.
    pub(super) in_history_since: Option<Duration>,
    /// This replica's own, and most likely that of the others.
    pub(super) max_staleness: Duration,
    pub(super) margin: Duration,
}

impl Patience {
    /// Whether it refuses everything by now, or has heard what came after that moment.
    fn ends(&self, since: Duration, max_staleness: Duration) -> bool {
        self.now.saturating_sub(since) > max_staleness + self.margin
    }
}

struct Other {
    receipt: Receipt,
    /// The longest it ever named.
    max_staleness: Duration,
    has_confirmed: bool,
    /// A place of it that turned out to be no confirmation.
    denied: Option<Place>,
}

impl Inquiry {
    pub(super) fn new(
        epoch: Place,
        until: Until,
        (exchanges, asked_at): (u64, Duration),
        finish: Finish,
    ) -> Self {
        Self {
            epoch,
            until,
            exchanges,
            asked_at,
            stage: Stage::New,
            finish,
        }
    }

    pub(super) fn is_new(&self) -> bool {
        matches!(self.stage, Stage::New)
    }

    /// Whether an exchange of this number began after it was asked.
    pub(super) fn is_before(&self, exchange: u64) -> bool {
        exchange > self.exchanges
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over(_))
    }

    /// The epoch is in force here.
    pub(super) fn begin(&mut self, is_trimmed: bool) {
        self.stage = Stage::InForceHere { is_trimmed };
    }

    /// There is nobody else to be heard.
    pub(super) fn is_alone(&mut self) {
        self.stage = Stage::Over(Outcome::Confirmed);
    }

    pub(super) fn lost(&mut self) {
        self.stage = Stage::Over(Outcome::Lost);
    }

    /// The receipts of all replicas, asked for at `now` by `this` one.
    pub(super) fn hear(
        &mut self,
        receipts: &Answer<HashMap<ReplicaId, Receipt>>,
        this: ReplicaId,
        now: Duration,
    ) {
        match &mut self.stage {
            Stage::InForceHere { is_trimmed } => {
                let others = receipts.value.iter().filter(|(id, _)| **id != this);
                self.stage = Stage::Listening(Heard {
                    is_trimmed: *is_trimmed,
                    since: now,
                    read_at: receipts.time,
                    others: others
                        .map(|(id, receipt)| (*id, Other::new(*receipt)))
                        .collect(),
                });
            }
            // Otherwise it would never end to ask for their places.
            Stage::Listening(heard) if self.until == Until::InForceEverywhere => {
                heard.read_at = receipts.time;
                for (id, receipt) in &receipts.value {
                    if let Entry::Occupied(mut other) = heard.others.entry(*id) {
                        other.get_mut().hear(*receipt);
                    }
                }
            }
            _ => {}
        }
    }

    /// The places that would be confirmations if they are part of the log.
    pub(super) fn places(&self) -> impl Iterator<Item = Place> {
        let others = self
            .heard()
            .into_iter()
            .flat_map(|heard| heard.unconfirmed());
        let places = others.filter_map(|other| other.possible_confirmation(self.epoch));
        places.filter(|place| *place != self.epoch)
    }

    /// How places of receipts stand to the log: asked for after the receipts.
    pub(super) fn learn(&mut self, standings: &HashMap<Place, Standing>) {
        let Stage::Listening(heard) = &mut self.stage else {
            return;
        };
        for other in heard.others.values_mut() {
            let place = other.possible_confirmation(self.epoch);
            if place == Some(self.epoch) {
                other.has_confirmed = true;
                continue;
            }
            match place.and_then(|place| standings.get(&place)) {
                Some(Standing::Part) => other.has_confirmed = true,
                Some(Standing::Trimmed) if heard.is_trimmed => other.has_confirmed = true,
                Some(_) => other.denied = place,
                None => {}
            }
        }
    }

    /// Whether all is known that was asked, if the epoch still is part of the log.
    pub(super) fn is_answered(&self, patience: &Patience) -> bool {
        let Some(heard) = self.heard() else {
            return false;
        };
        match self.until {
            Until::Known => self.places().next().is_none(),
            Until::InForceEverywhere => {
                let refuses = |other: &Other| {
                    bug::is_in(Bug::SilenceIsRefusal)
                        || patience.ends(heard.since, other.max_staleness)
                };
                heard.unconfirmed().all(refuses) && heard.are_complete(patience)
            }
        }
    }

    /// The epoch still is part of the log, and all is known that was asked.
    pub(super) fn answered(&mut self) {
        if let Some(heard) = self.heard() {
            let history = self.epoch.history;
            let status = |other: &Other| ReplicaStatus::of(&other.receipt, heard.read_at, history);
            let unconfirmed = heard.unconfirmed().map(status).collect();
            self.stage = Stage::Over(Outcome::Unconfirmed(unconfirmed));
        }
    }

    /// Whether it should have been answered by now, as far as replicas are concerned.
    pub(super) fn is_overdue(&self, patience: &Patience) -> bool {
        match self.heard() {
            Some(heard) => patience.ends(heard.since, heard.longest(patience)),
            None => patience.ends(self.asked_at, patience.max_staleness),
        }
    }

    /// Tells who asked, when it is over.
    pub(super) fn tell(self) {
        if let Stage::Over(outcome) = self.stage {
            (self.finish)(match outcome {
                Outcome::Confirmed => Ok(Vec::new()),
                Outcome::Unconfirmed(replicas) => Ok(replicas),
                Outcome::Lost => Err(StoreError::lost()),
            });
        }
    }

    pub(super) fn fail(self, error: StoreError) {
        (self.finish)(Err(error));
    }

    fn heard(&self) -> Option<&Heard> {
        match &self.stage {
            Stage::Listening(heard) => Some(heard),
            _ => None,
        }
    }
}

impl Heard {
    fn unconfirmed(&self) -> impl Iterator<Item = &Other> {
        self.others.values().filter(|other| !other.has_confirmed)
    }

    /// Whether there is a receipt of each replica that may accept anything. A store that has
    /// lost its tail, or was restored from a backup, may have lost receipts with it: of
    /// replicas that are in a history before this one.
    fn are_complete(&self, patience: &Patience) -> bool {
        let longest = self.longest(patience);
        let since = patience.in_history_since;
        since.is_none_or(|since| patience.ends(since, longest))
    }

    fn longest(&self, patience: &Patience) -> Duration {
        let others = self.others.values().map(|other| other.max_staleness);
        others.fold(patience.max_staleness, Duration::max)
    }
}

impl Other {
    fn new(receipt: Receipt) -> Self {
        Self {
            receipt,
            max_staleness: receipt.heartbeat.max_staleness,
            has_confirmed: false,
            denied: None,
        }
    }

    fn hear(&mut self, receipt: Receipt) {
        self.max_staleness = self.max_staleness.max(receipt.heartbeat.max_staleness);
        self.receipt = receipt;
    }

    fn possible_confirmation(&self, epoch: Place) -> Option<Place> {
        let applied = self
            .receipt
            .heartbeat
            .applied
            .filter(|_| !self.has_confirmed);
        applied.filter(|place| {
            place.history == epoch.history
                && place.position >= epoch.position
                && Some(*place) != self.denied
        })
    }
}
