//! The bytes of a fuzzer as choices.

/// Takes from the front. When nothing is left, zeros follow.
pub(crate) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((byte, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *byte
    }

    pub(crate) fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// A number of two bytes.
    pub(crate) fn number(&mut self) -> usize {
        usize::from(u16::from_be_bytes([self.byte(), self.byte()]))
    }

    /// An index into `length` things, of which there is at least one.
    pub(crate) fn index(&mut self, length: usize) -> usize {
        match length {
            ..=256 => usize::from(self.byte()) % length,
            257..=65_536 => self.number() % length,
            _ => (self.number() << 16 | self.number()) % length,
        }
    }

    pub(crate) fn pick<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        &of[self.index(of.len())]
    }

    /// At most so many bytes.
    pub(crate) fn bytes(&mut self, at_most: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(at_most.min(self.0.len()));
        self.0 = rest;
        taken
    }

    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// A text, as long as its first byte says.
    pub(crate) fn text(&mut self) -> String {
        let length = usize::from(self.byte());
        String::from_utf8_lossy(self.bytes(length)).into_owned()
    }

    /// Changes `bytes` in a place or two.
    pub(crate) fn edit(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.byte() % 4 {
            let at = self.index(bytes.len() + 1);
            match (self.byte() % 6, bytes.get_mut(at)) {
                (0, Some(byte)) => *byte ^= 1 << (self.byte() % 8),
                (1, Some(byte)) => *byte = self.byte(),
                (2, _) => bytes.insert(at, self.byte()),
                (3, Some(_)) => drop(bytes.remove(at)),
                (4, _) => bytes.truncate(at),
                _ => {
                    let length = usize::from(self.byte() % 32);
                    let inserted = self.bytes(length);
                    bytes.splice(at..at, inserted.iter().copied());
                }
            }
        }
    }
}
