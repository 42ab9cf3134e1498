//! What a disk holds after the power was lost.

use crate::{
    disk::{Disk, Step, put, set_len},
    random::Random,
};

/// What a disk writes at once, if anything.
const SECTOR: usize = 512;
/// What an operating system writes at least, though only a byte of it was changed.
const PAGE: usize = 4096;

/// What becomes of the steps after the last sync.
pub(crate) enum Unsynced {
    Lost,
    /// The process was killed, and the operating system went on.
    Kept,
    /// Some of them are there, in any order, some in part.
    Some(Random),
}

impl Unsynced {
    pub(crate) fn choose(random: &mut Random) -> Self {
        match random.below(8) {
            0 | 1 => Self::Lost,
            2 => Self::Kept,
            _ => Self::Some(Random::new(random.next())),
        }
    }
}

/// What is on the disk if the power is lost at a moment of its life.
pub(crate) fn image(disk: &Disk, moment: usize, unsynced: Unsynced) -> Vec<u8> {
    let (original, steps) = disk.up_to(moment);
    let mut platter = Platter {
        cached: original.clone(),
        durable: original,
        pending: Vec::new(),
    };
    steps.iter().for_each(|step| platter.take(step));
    match unsynced {
        Unsynced::Lost => platter.durable,
        Unsynced::Kept => platter.cached,
        Unsynced::Some(random) => platter.keep_some(random),
    }
}

struct Platter<'a> {
    durable: Vec<u8>,
    cached: Vec<u8>,
    pending: Vec<&'a Step>,
}

impl<'a> Platter<'a> {
    fn take(&mut self, step: &'a Step) {
        match step {
            Step::Write { offset, data } => put(&mut self.cached, *offset, data),
            Step::SetLen(len) => set_len(&mut self.cached, *len),
            Step::Sync => return self.sync(),
            Step::Forget => {
                self.pending.retain(|step| matches!(step, Step::SetLen(_)));
                return;
            }
        }
        self.pending.push(step);
    }

    /// The pages of the cache that were changed become durable.
    fn sync(&mut self) {
        for step in self.pending.drain(..) {
            match step {
                Step::Write { offset, data } => {
                    let first = offset / PAGE * PAGE;
                    let end = (offset + data.len()).next_multiple_of(PAGE);
                    let end = end.min(self.cached.len());
                    if first < end {
                        put(&mut self.durable, first, &self.cached[first..end]);
                    }
                }
                Step::SetLen(len) => set_len(&mut self.durable, *len),
                Step::Sync | Step::Forget => {}
            }
        }
    }

    /// Lengths come in their order, for file systems keep a journal of them; writes do not.
    fn keep_some(self, mut random: Random) -> Vec<u8> {
        let mut image = self.durable;
        for step in &self.pending {
            if let Step::SetLen(len) = step {
                if random.chance(50) {
                    break;
                }
                set_len(&mut image, *len);
            }
        }
        let (kept, torn) = (random.between(5, 95), random.between(0, 60));
        let grows = random.chance(50);
        let mut writes = self.pending;
        while !writes.is_empty() {
            let next = writes.swap_remove(random.below(writes.len()));
            let Step::Write { offset, data } = next else {
                continue;
            };
            let is_torn = random.chance(torn);
            if !is_torn && !random.chance(kept) {
                continue;
            }
            for (from, sector) in sectors(*offset, data) {
                let fits = grows || from + sector.len() <= image.len();
                if fits && (!is_torn || random.chance(kept)) {
                    put(&mut image, from, sector);
                }
            }
        }
        image
    }
}

/// Cuts a write where the disk may cut it.
fn sectors(offset: usize, mut data: &[u8]) -> Vec<(usize, &[u8])> {
    let (mut from, mut sectors) = (offset, Vec::new());
    while !data.is_empty() {
        let length = (SECTOR - from % SECTOR).min(data.len());
        let (sector, rest) = data.split_at(length);
        sectors.push((from, sector));
        (from, data) = (from + length, rest);
    }
    sectors
}
