//! Whatever comes over the wire ends in an answer, a clear error or a close code; never in a panic, and never at another's cost.

mod bytes;
mod commands;
mod tokens;

use crate::support::calm::Calm;
use crate::support::scene::Scene;

/// Numbers without a pattern, the same in every run (xorshift, Marsaglia 2003).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % below as u64).expect("small")
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| u8::try_from(self.roll(256)).expect("a byte")).collect()
    }
}

/// The server still does for others what it did before.
async fn goes_on(scene: &Scene, calm: &Calm) {
    let talk = scene.pipeline(&scene.bob, 3).await;
    assert!(talk.answers.iter().all(|(_, answer)| answer["seq"].is_u64()), "{:?}", talk.answers);
    calm.check(&scene.ann).await;
}
