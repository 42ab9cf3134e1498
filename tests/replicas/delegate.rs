//! For stores that do one thing of their own, and leave the others to a store that they hold.

/// The methods of `Store` with these names, each as the field has it: `delegate!(store: reach, wake)`.
macro_rules! delegate {
    ($to:tt: $($method:ident),+) => { $(delegate!(@ $method $to);)+ };
    (@ reach $to:tt) => {
        fn reach(&self) -> epochkey::store::Reach {
            self.$to.reach()
        }
    };
    (@ events_after $to:tt) => {
        fn events_after(
            &self,
            heartbeat: epochkey::store::Heartbeat,
            wait: std::time::Duration,
        ) -> Result<epochkey::store::Answer<epochkey::store::News>, epochkey::StoreError> {
            self.$to.events_after(heartbeat, wait)
        }
    };
    (@ standing $to:tt) => {
        fn standing(
            &self,
            place: epochkey::store::Place,
            now: epochkey::store::StoreTime,
        ) -> Result<epochkey::store::Answer<epochkey::store::Standing>, epochkey::StoreError> {
            self.$to.standing(place, now)
        }
    };
    (@ snapshot $to:tt) => {
        fn snapshot(
            &self,
            now: epochkey::store::StoreTime,
            epochs: &mut dyn FnMut(epochkey::store::StoredEpoch),
        ) -> Result<
            epochkey::store::Answer<Option<epochkey::store::Snapshot>>,
            epochkey::StoreError,
        > {
            self.$to.snapshot(now, epochs)
        }
    };
    (@ begin $to:tt) => {
        fn begin(
            &self,
            new: epochkey::store::NewHistory,
        ) -> Result<epochkey::store::Answer<epochkey::store::Outcome>, epochkey::StoreError> {
            self.$to.begin(new)
        }
    };
    (@ commit $to:tt) => {
        fn commit(
            &self,
            commit: epochkey::store::Commit,
            done: epochkey::store::Completion<epochkey::store::Outcome>,
        ) {
            self.$to.commit(commit, done);
        }
    };
    (@ sessions $to:tt) => {
        fn sessions(
            &self,
            query: epochkey::store::SessionQuery,
            done: epochkey::store::Completion<Option<Vec<epochkey::store::SessionRow>>>,
        ) {
            self.$to.sessions(query, done);
        }
    };
    (@ rewrap $to:tt) => {
        fn rewrap(
            &self,
            rewrap: epochkey::store::Rewrap,
        ) -> Result<epochkey::store::Answer<epochkey::store::Outcome>, epochkey::StoreError> {
            self.$to.rewrap(rewrap)
        }
    };
    (@ tidy $to:tt) => {
        fn tidy(
            &self,
            tidy: epochkey::store::Tidy,
        ) -> Result<epochkey::store::Answer<epochkey::store::Outcome>, epochkey::StoreError> {
            self.$to.tidy(tidy)
        }
    };
    (@ receipts $to:tt) => {
        fn receipts(
            &self,
            now: epochkey::store::StoreTime,
        ) -> Result<
            epochkey::store::Answer<Vec<epochkey::store::Receipt>>,
            epochkey::StoreError,
        > {
            self.$to.receipts(now)
        }
    };
    (@ wake $to:tt) => {
        fn wake(&self) {
            self.$to.wake();
        }
    };
}
