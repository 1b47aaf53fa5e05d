//! When to come back after a connection ended (docs/PROTOCOL.md, close codes). Pure.

use std::time::Duration;

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// The server closed with this code.
    Closed(u16),
    /// The server said before when to come back.
    Told(Duration),
    /// The handshake was refused with this status, and perhaps with a time to wait.
    Refused(u16, Option<Duration>),
    /// No word: reset, end of stream, connection refused.
    Broken,
    /// Nothing was heard for too long.
    Silent,
    /// The server sent what the protocol does not have.
    Nonsense,
}

/// What to do then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ComeBack {
    /// Connect again after this pause.
    After(Duration),
    /// Get a new access token, then connect.
    WithToken,
    /// Stay away: the protocol says that only a person can help.
    Never,
}

/// The first pause after a broken connection, doubled with each further failure.
const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(2);
/// Failures in a row after which a code that asks for a new token is taken for a refusal for good.
const TOKENS: u32 = 5;

/// Decides. `later` is the span for codes that ask to come back "later", `random` is in [0, 1): everybody's pauses differ, so that a
/// restarted server is not met by all at once.
pub fn decide(gone: Gone, failures: u32, later: Duration, random: f64) -> ComeBack {
    let backoff = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(6)).min(LONGEST);
    let soon = ComeBack::After(backoff.mul_f64(random));
    match gone {
        Gone::Told(pause) => ComeBack::After(pause + FIRST.mul_f64(random)),
        Gone::Refused(401, _) => with_token(failures),
        Gone::Refused(_, Some(pause)) => ComeBack::After(pause + later.mul_f64(random)),
        Gone::Refused(429 | 503, None) => ComeBack::After(backoff + backoff.mul_f64(random)),
        Gone::Closed(1001 | 4003 | 4004) => ComeBack::After(later.mul_f64(random)),
        Gone::Closed(1006 | 1011 | 4000..=4099) | Gone::Broken | Gone::Silent => soon,
        Gone::Closed(4100..=4199) => with_token(failures),
        Gone::Closed(_) | Gone::Refused(..) | Gone::Nonsense => ComeBack::Never,
    }
}

fn with_token(failures: u32) -> ComeBack {
    if failures <= TOKENS { ComeBack::WithToken } else { ComeBack::Never }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATER: Duration = Duration::from_secs(60);

    #[test]
    fn the_code_decides_whether_and_when_to_come_back() {
        let cases = [
            (Gone::Closed(4000), ComeBack::After(FIRST / 2)),
            (Gone::Closed(1011), ComeBack::After(FIRST / 2)),
            (Gone::Broken, ComeBack::After(FIRST / 2)),
            (Gone::Closed(1001), ComeBack::After(LATER / 2)),
            (Gone::Closed(4004), ComeBack::After(LATER / 2)),
            (Gone::Closed(4100), ComeBack::WithToken),
            (Gone::Closed(4200), ComeBack::Never),
            (Gone::Closed(1007), ComeBack::Never),
            (Gone::Nonsense, ComeBack::Never),
            (Gone::Refused(404, None), ComeBack::Never),
            (Gone::Refused(401, None), ComeBack::WithToken),
            (Gone::Told(Duration::from_secs(3)), ComeBack::After(Duration::from_secs(3) + FIRST / 2)),
        ];
        for (gone, expected) in cases {
            assert_eq!(decide(gone, 1, LATER, 0.5), expected, "{gone:?}");
        }
    }

    #[test]
    fn pauses_grow_to_a_bound_and_no_token_is_asked_for_for_ever() {
        let pause = |failures| match decide(Gone::Broken, failures, LATER, 0.999_999) {
            ComeBack::After(pause) => pause,
            other => panic!("{other:?}"),
        };
        assert!(pause(2) > pause(1) && pause(4) > pause(3));
        assert!(pause(40) <= LONGEST);
        assert_eq!(decide(Gone::Closed(4101), TOKENS + 1, LATER, 0.5), ComeBack::Never);
    }
}
