//! Inflating as RFC 1951 tells it, bit by bit: slow, and independent of the code it judges. It also
//! tells how far back a message points.

/// What a message says, and how far back it points at most.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Inflated {
    pub(super) bytes: Vec<u8>,
    pub(super) distance_max: usize,
}

/// Inflates blocks up to the end of `deflated`, behind what `before` said already. `None` if they
/// mean nothing.
pub(super) fn inflate(before: &[u8], deflated: &[u8]) -> Option<Inflated> {
    let mut bits = Bits { bytes: deflated, position: 0 };
    let mut out = Inflated { bytes: before.to_vec(), distance_max: 0 };
    while bits.left() >= 3 {
        let is_last = bits.take(1)? == 1;
        match bits.take(2)? {
            0 => stored(&mut bits, &mut out)?,
            1 => {
                let lens: Vec<u8> = (0..288)
                    .map(|symbol| match symbol {
                        0..144 | 280..288 => 8,
                        144..256 => 9,
                        _ => 7,
                    })
                    .collect();
                compressed(&mut bits, &mut out, &Code::new(&lens), &Code::new(&[5; 30]))?;
            }
            2 => {
                let (literals, distances) = codes(&mut bits)?;
                compressed(&mut bits, &mut out, &literals, &distances)?;
            }
            _ => return None,
        }
        if is_last {
            bits.align();
        }
    }
    out.bytes.drain(..before.len());
    Some(out)
}

/// Bits, the lowest of each byte first (RFC 1951 §3.1.1).
struct Bits<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl Bits<'_> {
    fn left(&self) -> usize {
        8 * self.bytes.len() - self.position
    }

    fn take(&mut self, count: usize) -> Option<usize> {
        let mut number = 0;
        for place in 0..count {
            let byte = self.bytes.get(self.position / 8)?;
            number |= usize::from(byte >> (self.position % 8) & 1) << place;
            self.position += 1;
        }
        Some(number)
    }

    fn align(&mut self) {
        self.position = self.position.next_multiple_of(8);
    }
}

/// A Huffman code, as the bits of each symbol with their number (RFC 1951 §3.2.2).
struct Code(Vec<(usize, usize, usize)>);

impl Code {
    fn new(lens: &[u8]) -> Self {
        let (mut code, mut symbols) = (0, Vec::new());
        for len in 1..=15usize {
            for (symbol, _) in lens.iter().enumerate().filter(|(_, of)| usize::from(**of) == len) {
                symbols.push((len, code, symbol));
                code += 1;
            }
            code <<= 1;
        }
        Self(symbols)
    }

    fn next(&self, bits: &mut Bits<'_>) -> Option<usize> {
        let (mut code, mut len) = (0, 0);
        while len < 15 {
            code = code << 1 | bits.take(1)?;
            len += 1;
            if let Some((.., symbol)) = self.0.iter().find(|(l, c, _)| (*l, *c) == (len, code)) {
                return Some(*symbol);
            }
        }
        None
    }
}

fn stored(bits: &mut Bits<'_>, out: &mut Inflated) -> Option<()> {
    bits.align();
    let (len, inverse) = (bits.take(16)?, bits.take(16)?);
    if len != !inverse & 0xFFFF {
        return None;
    }
    for _ in 0..len {
        out.bytes.push(u8::try_from(bits.take(8)?).ok()?);
    }
    Some(())
}

fn codes(bits: &mut Bits<'_>) -> Option<(Code, Code)> {
    const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
    let (literals, distances) = (bits.take(5)? + 257, bits.take(5)? + 1);
    let count = bits.take(4)? + 4;
    let mut lens = [0; 19];
    for place in ORDER.iter().take(count) {
        lens[*place] = u8::try_from(bits.take(3)?).ok()?;
    }
    let code = Code::new(&lens);
    let mut lens = Vec::new();
    while lens.len() < literals + distances {
        let (len, times) = match code.next(bits)? {
            16 => (*lens.last()?, 3 + bits.take(2)?),
            17 => (0, 3 + bits.take(3)?),
            18 => (0, 11 + bits.take(7)?),
            len => (u8::try_from(len).ok()?, 1),
        };
        lens.extend(std::iter::repeat_n(len, times));
    }
    let (literals, distances) = lens.split_at(literals);
    Some((Code::new(literals), Code::new(distances)))
}

fn compressed(
    bits: &mut Bits<'_>,
    out: &mut Inflated,
    literals: &Code,
    distances: &Code,
) -> Option<()> {
    loop {
        match literals.next(bits)? {
            256 => return Some(()),
            symbol @ 0..256 => out.bytes.push(u8::try_from(symbol).ok()?),
            symbol => {
                let len = length(symbol - 257, bits)?;
                let distance = distance(distances.next(bits)?, bits)?;
                let start = out.bytes.len().checked_sub(distance)?;
                (start..start + len).for_each(|at| out.bytes.push(out.bytes[at]));
                out.distance_max = out.distance_max.max(distance);
            }
        }
    }
}

/// The table of lengths of RFC 1951 §3.2.5, as a rule.
fn length(code: usize, bits: &mut Bits<'_>) -> Option<usize> {
    match code {
        0..8 => Some(3 + code),
        28 => Some(258),
        8..28 => {
            let extra = code / 4 - 1;
            Some(3 + ((4 + code % 4) << extra) + bits.take(extra)?)
        }
        _ => None,
    }
}

/// The table of distances of the same section.
fn distance(code: usize, bits: &mut Bits<'_>) -> Option<usize> {
    match code {
        0..4 => Some(1 + code),
        4..30 => {
            let extra = code / 2 - 1;
            Some(1 + ((2 + code % 2) << extra) + bits.take(extra)?)
        }
        _ => None,
    }
}
