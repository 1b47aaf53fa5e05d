//! What a script says, step by step.

/// One step: its line, and what is said of the answer.
#[derive(Debug)]
pub struct Step<'a> {
    /// As it stands there; headings and remarks as well.
    pub line: &'a str,
    /// The number of the line.
    pub number: usize,
    pub expected: Expected<'a>,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Expected<'a> {
    /// Any success.
    Success,
    /// One that has this.
    Has(&'a str),
    Refused(&'a str),
}

/// The steps of a script.
pub fn parse(script: &str) -> Vec<Step<'_>> {
    let mut steps: Vec<Step<'_>> = Vec::new();
    for (number, line) in script.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let of_before = line.trim().split_once(' ').filter(|_| line.starts_with(' '));
        match of_before {
            None => steps.push(Step { line, number: number + 1, expected: Expected::Success }),
            Some((sign, said)) => {
                let step = steps.last_mut().expect("an answer belongs to a step");
                step.expected = match sign {
                    "=" => Expected::Has(said),
                    "!" => Expected::Refused(said),
                    other => panic!("line {}: {other}", number + 1),
                };
            }
        }
    }
    steps
}
