//! Mutation, from a fixed seed: the same seed gives the same inputs on every machine.

/// xorshift64* (Vigna 2016): small and good enough to choose mutations with.
pub struct Rng(u64);

impl Rng {
    /// A generator for one target, so that adding a target does not change the others' inputs.
    pub fn new(seed: u64, target: &str) -> Self {
        // FNV-1a over the name; zero is the one state that must not be.
        let hash = |h: u64, b: u8| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3);
        let start = 0xcbf2_9ce4_8422_2325 ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self(target.bytes().fold(start, hash).max(1))
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `bound`; 0 if there is none.
    fn below(&mut self, bound: usize) -> usize {
        if bound == 0 { 0 } else { (self.next() >> 11) as usize % bound }
    }
}

/// Bytes at which decoders take another path: lengths, CBOR heads, separators.
const TELLING: &[u8] = &[
    0x00, 0x01, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x20, 0x40, 0x5f, 0x60, 0x7f, 0x80, 0x9f, 0xa0, 0xbf,
    0xc0, 0xf4, 0xf6, 0xf9, 0xff, b'"', b'.', b'#', b':', b'=', b'z', b'\\', b'{', b'}',
];

/// Longest mutant.
const MAX_INPUT: usize = 64 * 1024;

/// Makes inputs out of seeds and of what was accepted so far.
pub struct Mutator {
    rng: Rng,
    seeds: Vec<Vec<u8>>,
}

impl Mutator {
    pub fn new(rng: Rng, seeds: Vec<Vec<u8>>) -> Self {
        Self { rng, seeds }
    }

    /// The next input: three times in four a mutant of an accepted one, else of any seed.
    pub fn next(&mut self, accepted: &[Vec<u8>]) -> Vec<u8> {
        let pool =
            if self.rng.below(4) > 0 && !accepted.is_empty() { accepted } else { &self.seeds };
        let mut input = pool[self.rng.below(pool.len())].clone();
        let other = &pool[self.rng.below(pool.len())];
        // Mostly one change: two independent ones are rarely both survivable.
        let changes = 1 + self.rng.below(8) / 5;
        for _ in 0..changes {
            change(&mut self.rng, &mut input, other);
        }
        input.truncate(MAX_INPUT);
        input
    }
}

fn change(rng: &mut Rng, input: &mut Vec<u8>, other: &[u8]) {
    let at = rng.below(input.len());
    let run = 1 + rng.below(8);
    let end = (at + run).min(input.len());
    let telling = TELLING[rng.below(TELLING.len())];
    match rng.below(9) {
        0 | 1 if !input.is_empty() => input[at] ^= 1 << rng.below(8),
        2 if !input.is_empty() => input[at] = telling,
        3 if !input.is_empty() => input[at] = input[at].wrapping_add(1),
        4 => input.truncate(at),
        5 => input.insert(at, telling),
        6 => drop(input.drain(at..end)),
        7 => {
            let copy = input[at..end].to_vec();
            input.splice(at..at, copy);
        }
        // A splice: our head, the other's tail.
        _ => {
            input.truncate(at);
            input.extend_from_slice(&other[rng.below(other.len())..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_inputs() {
        let seeds = || vec![Vec::new(), b"did:muster:zQm".to_vec(), vec![0xa1, 1, 2]];
        let inputs = |seed, target| {
            let mut mutator = Mutator::new(Rng::new(seed, target), seeds());
            (0..2000).map(|_| mutator.next(&[])).collect::<Vec<_>>()
        };
        assert_eq!(inputs(1, "did"), inputs(1, "did"));
        assert_ne!(inputs(1, "did"), inputs(2, "did"));
        assert_ne!(inputs(1, "did"), inputs(1, "inception"));
    }
}
