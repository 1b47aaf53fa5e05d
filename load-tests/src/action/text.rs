//! What a bot says: a text that names (run, room, sender, n) and the instant it was meant to be sent, filled up to a length.

use std::time::Duration;

/// The beginning of every text of a swarm.
const MARK: &[u8] = b"hs1 ";

/// What a text says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Which run of the tool; another run's texts are not this ledger's business.
    pub run: u32,
    /// The room's place in the cast.
    pub room: u32,
    /// The sender's place in the cast.
    pub sender: u32,
    /// Counts this sender's posts to this room from 0.
    pub n: u32,
    /// When it was meant to be sent, since the run began. Latency counts from here, so that a post that waited behind a stalled
    /// server is charged its wait (no coordinated omission).
    pub meant: Duration,
}

impl Stamp {
    /// The text, filled with dots up to `length` bytes.
    pub fn write(&self, length: usize) -> String {
        self.written(length, String::new())
    }

    /// The text that takes its place with the `edit`-th edit.
    pub fn edited(&self, edit: u32, length: usize) -> String {
        self.written(length, format!("e{edit} "))
    }

    fn written(&self, length: usize, more: String) -> String {
        let Self { run, room, sender, n, meant } = self;
        let mut text = format!("hs1 {run:08x} {room} {sender} {n} {} {more}", meant.as_nanos());
        while text.len() < length {
            text.push('.');
        }
        text
    }

    /// Reads the stamp at the start of `text`; `None` for what no swarm wrote.
    pub fn read(text: &[u8]) -> Option<Self> {
        let (run, rest) = text.strip_prefix(MARK)?.split_at_checked(8)?;
        let run = u32::from_str_radix(std::str::from_utf8(run).ok()?, 16).ok()?;
        let (room, rest) = number(rest.strip_prefix(b" ")?)?;
        let (sender, rest) = number(rest.strip_prefix(b" ")?)?;
        let (n, rest) = number(rest.strip_prefix(b" ")?)?;
        let (meant, _) = number(rest.strip_prefix(b" ")?)?;
        let narrow = |wide: u64| u32::try_from(wide).ok();
        Some(Self { run, room: narrow(room)?, sender: narrow(sender)?, n: narrow(n)?, meant: Duration::from_nanos(meant) })
    }
}

/// Which edit made this text of a swarm; 0: it is as it was posted.
pub fn edit_of(text: &[u8]) -> u32 {
    let edit = text.split(|byte| *byte == b' ').nth(6).and_then(|word| number(word.strip_prefix(b"e")?));
    edit.and_then(|(edit, _)| u32::try_from(edit).ok()).unwrap_or(0)
}

/// The decimal number at the start of `bytes`, and what comes after it.
pub fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    let mut digits = 0;
    for byte in bytes {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
        digits += 1;
    }
    if digits == 0 { None } else { Some((value, bytes.get(digits..)?)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_read_back_and_fills_the_length() {
        let stamp = Stamp { run: 0xA1, room: 499, sender: 1999, n: 1_234_567, meant: Duration::from_nanos(30_000_000_001) };
        let text = stamp.write(64);
        assert_eq!(text.len(), 64);
        assert_eq!(Stamp::read(text.as_bytes()), Some(stamp));
        assert_eq!(Stamp::read(stamp.write(0).as_bytes()), Some(stamp));
    }

    #[test]
    fn an_edited_text_names_its_post_and_its_edit() {
        let stamp = Stamp { run: 1, room: 2, sender: 3, n: 4, meant: Duration::from_nanos(5) };
        let edited = stamp.edited(17, 64);
        assert_eq!((Stamp::read(edited.as_bytes()), edit_of(edited.as_bytes())), (Some(stamp), 17));
        assert_eq!((edit_of(stamp.write(64).as_bytes()), edit_of(stamp.write(0).as_bytes()), edit_of(b"")), (0, 0, 0));
    }

    #[test]
    fn texts_of_others_have_no_stamp() {
        for text in ["", "hello", "hs1 ", "hs1 0000000g 1 2 3 4 ", "hs1 00000001 1 2 3", "hs1 00000001 1 2 99999999999 4 "] {
            assert_eq!(Stamp::read(text.as_bytes()), None, "{text}");
        }
    }
}
