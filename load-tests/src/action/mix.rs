//! What comes next: only posts, or all that people do in a conversation, by weights. Pure.

/// How a run mixes what its people do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Mix {
    /// Only posts: the workloads of docs/PERFORMANCE.md.
    #[default]
    Posts,
    /// Posts, replies, reactions, edits, deletions, read marks, typing, pins, blocks, leaving and being put out.
    Talk,
}

/// One thing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    Post,
    React,
    Edit,
    Reply,
    Read,
    Delete,
    Typing,
    Block,
    Pin,
    Leave,
    Kick,
}

/// Of a thousand turns so many are this.
const TALK: [(Turn, u32); 11] = [
    (Turn::Post, 600),
    (Turn::React, 150),
    (Turn::Edit, 80),
    (Turn::Reply, 70),
    (Turn::Read, 50),
    (Turn::Delete, 30),
    (Turn::Typing, 10),
    (Turn::Block, 5),
    (Turn::Pin, 2),
    (Turn::Leave, 2),
    (Turn::Kick, 1),
];

impl Mix {
    /// Whether anything but posts can come.
    pub fn converses(self) -> bool {
        self == Self::Talk
    }

    /// The turn that `random`, below 1,000, stands for.
    pub fn turn(self, random: u32) -> Turn {
        if self == Self::Posts {
            return Turn::Post;
        }
        let mut left = random;
        for (turn, weight) in TALK {
            match left.checked_sub(weight) {
                Some(rest) => left = rest,
                None => return turn,
            }
        }
        Turn::Post
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_turns_have_the_weights_that_are_told() {
        let turns: Vec<Turn> = (0..1000).map(|random| Mix::Talk.turn(random)).collect();
        let count = |turn| turns.iter().filter(|one| **one == turn).count();
        let told = [Turn::Post, Turn::React, Turn::Edit, Turn::Reply, Turn::Read, Turn::Delete].map(count);
        assert_eq!(told, [600, 150, 80, 70, 50, 30]);
        assert_eq!([Turn::Typing, Turn::Block, Turn::Pin, Turn::Leave, Turn::Kick].map(count), [10, 5, 2, 2, 1]);
    }

    #[test]
    fn who_only_posts_only_posts() {
        assert!((0..1000).all(|random| Mix::Posts.turn(random) == Turn::Post));
    }
}
