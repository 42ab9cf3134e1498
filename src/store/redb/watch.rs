//! What is known of the file without reading it: its head, and who follows it.

use std::{collections::HashMap, time::Duration};

use parking_lot::{Condvar, Mutex};

use crate::store::{Heartbeat, Place, Receipt, ReplicaId, StoreTime};

/// The newest durable event, told to those who wait for it.
pub(super) struct Watch {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    head: Option<Place>,
    /// Whoever is about to wait for news is not to.
    wake: bool,
    /// In memory only: nobody but this process follows the file.
    receipts: HashMap<ReplicaId, Receipt>,
}

impl Watch {
    pub(super) fn new(head: Option<Place>) -> Self {
        Self {
            state: Mutex::new(State {
                head,
                wake: false,
                receipts: HashMap::new(),
            }),
            changed: Condvar::new(),
        }
    }

    pub(super) fn head(&self) -> Option<Place> {
        self.state.lock().head
    }

    /// Everything up to `head` is durable.
    pub(super) fn set_head(&self, head: Option<Place>) {
        let mut state = self.state.lock();
        if state.head != head {
            state.head = head;
            self.changed.notify_all();
        }
    }

    /// Waits until there is another head than this, at most so long.
    pub(super) fn wait_for_news(&self, head: Place, wait: Duration) {
        let mut state = self.state.lock();
        if !state.wake && state.head == Some(head) {
            self.changed.wait_for(&mut state, wait);
        }
        state.wake = false;
    }

    pub(super) fn wake(&self) {
        self.state.lock().wake = true;
        self.changed.notify_all();
    }

    pub(super) fn receive(&self, heartbeat: Heartbeat) {
        let receipt = Receipt {
            heartbeat,
            received_at: heartbeat.now,
        };
        self.state
            .lock()
            .receipts
            .insert(heartbeat.replica, receipt);
    }

    pub(super) fn receipts(&self) -> Vec<Receipt> {
        self.state.lock().receipts.values().copied().collect()
    }

    pub(super) fn forget_receipts(&self, before: StoreTime) {
        let mut state = self.state.lock();
        state
            .receipts
            .retain(|_, receipt| receipt.received_at >= before);
    }
}
