//! What a script says, step by step.

/// One step: its line, and what is said of the answer.
#[derive(Debug)]
pub struct Step<'a> {
    /// As it stands there; headings and remarks as well.
    pub line: &'a str,
    /// The number of the line.
    pub number: usize,
    /// Nothing: any success.
    pub expected: Vec<Expected<'a>>,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Expected<'a> {
    /// A success that has this.
    Has(&'a str),
    /// A success that does not have this.
    Lacks(&'a str),
    Refused(&'a str),
}

impl Step<'_> {
    /// The code with which it is to be refused.
    pub fn refusal(&self) -> Option<&str> {
        self.expected.iter().find_map(|expected| if let Expected::Refused(code) = expected { Some(*code) } else { None })
    }

    /// Who does what with what.
    pub fn words(&self) -> [&str; 3] {
        let (who, rest) = self.line.split_once(' ').unwrap_or((self.line, ""));
        let (word, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        [who, word, rest]
    }
}

/// The steps of a script.
pub fn parse(script: &str) -> Vec<Step<'_>> {
    let mut steps: Vec<Step<'_>> = Vec::new();
    for (number, line) in script.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let of_before = line.trim().split_once(' ').filter(|_| line.starts_with(' '));
        match of_before {
            None => steps.push(Step { line, number: number + 1, expected: Vec::new() }),
            Some((sign, said)) => {
                let step = steps.last_mut().expect("an answer belongs to a step");
                step.expected.push(match sign {
                    "=" => Expected::Has(said),
                    "-" => Expected::Lacks(said),
                    "!" => Expected::Refused(said),
                    other => panic!("line {}: {other}", number + 1),
                });
            }
        }
    }
    steps
}
