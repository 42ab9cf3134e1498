//! What the networks are like.

use std::{thread, time::Duration};

use super::World;
use crate::{
    network::{Faults, Way},
    random::Random,
};

pub(super) struct Weather<'a> {
    world: &'a World<'a>,
    random: Random,
    faults: Vec<Faults>,
}

impl<'a> Weather<'a> {
    pub(super) fn new(world: &'a World<'a>, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let faults = world.replicas.iter();
        let faults = faults.map(|_| Faults::seeded(random.next())).collect();
        Self {
            world,
            random,
            faults,
        }
    }

    /// Each network may change, and goes on so for a while.
    pub(super) fn turn(&mut self) {
        for (replica, faults) in self.world.replicas.iter().zip(&self.faults) {
            let proxy = &replica.proxy;
            match self.random.below(100) {
                0..30 => {}
                30..60 => {
                    proxy.release();
                    proxy.disturb(Some(faults.clone()));
                }
                60..76 => {
                    proxy.release();
                    proxy.disturb(None);
                    proxy.cut();
                }
                76..82 => proxy.hold(Way::ToServer),
                82..88 => proxy.hold(Way::ToClient),
                88..92 => proxy.hold_all(),
                92..96 => {
                    proxy.refuse();
                    proxy.cut();
                    proxy.accept();
                }
                _ => proxy.cut_after_bytes(Way::ToServer, self.random.below(2000) as u64),
            }
        }
        if !self.world.is_over() {
            // What goes on for longer makes replicas stale, which only time does.
            let length = self.random.between(100, 600);
            thread::sleep(Duration::from_millis(length));
        }
    }

    /// Everything is delivered that was held, and all connections work.
    pub(super) fn calm(&self) {
        for replica in self.world.replicas {
            replica.proxy.disturb(None);
            replica.proxy.forget_cuts();
            replica.proxy.release();
        }
        // Some would be silent for ever.
        for replica in self.world.replicas {
            replica.proxy.cut();
        }
    }
}
