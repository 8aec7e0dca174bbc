//! Which task is let on next: first the one that runs, then, run by run, all others.

/// What is tried.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// How often a task may be left for another although it could go on.
    pub(super) preemptions: usize,
    /// Whether a crash comes at each step, too.
    pub(super) crashes: bool,
    /// Only so many runs, taken by chance.
    pub(super) sample: Option<usize>,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Move {
    LetOn(usize),
    Crash,
}

/// Goes through all runs, depth first.
pub(super) struct Explorer {
    bounds: Bounds,
    /// Which of how many moves were taken at each step of this run.
    taken: Vec<(usize, usize)>,
    step: usize,
    last: Option<usize>,
    preempted: usize,
    runs: usize,
    chance: u64,
}

impl Explorer {
    /// Chance is the same each time.
    pub(super) fn new(bounds: Bounds) -> Self {
        let (taken, step, last, preempted) = (Vec::new(), 0, None, 0);
        Self { bounds, taken, step, last, preempted, runs: 1, chance: 1 }
    }

    /// What comes next in this run, when these tasks can go on.
    pub(super) fn choose(&mut self, ready: &[usize]) -> Move {
        let goes_on = self.last.filter(|last| ready.contains(last));
        let others = ready.iter().copied().filter(|number| Some(*number) != goes_on);
        let may_leave = goes_on.is_none() || self.preempted < self.bounds.preemptions;
        let mut moves: Vec<Move> = goes_on.into_iter().map(Move::LetOn).collect();
        if may_leave {
            moves.extend(others.map(Move::LetOn));
        }
        if self.bounds.crashes {
            moves.push(Move::Crash);
        }
        if self.step == self.taken.len() {
            let first = if self.bounds.sample.is_some() { self.any(moves.len()) } else { 0 };
            self.taken.push((first, moves.len()));
        }
        let (at, count) = self.taken[self.step];
        assert_eq!(count, moves.len(), "the same run is not the same twice");
        self.step += 1;
        let chosen = moves[at];
        if let Move::LetOn(number) = chosen {
            self.preempted += usize::from(goes_on.is_some_and(|last| last != number));
            self.last = Some(number);
        }
        chosen
    }

    /// Goes on to the next run. Answers with whether there is one.
    pub(super) fn next(&mut self) -> bool {
        assert_eq!(self.step, self.taken.len(), "the same run is not the same twice");
        (self.step, self.last, self.preempted) = (0, None, 0);
        if let Some(most) = self.bounds.sample {
            self.taken.clear();
            self.runs += 1;
            return self.runs <= most;
        }
        while let Some((at, count)) = self.taken.pop() {
            if at + 1 < count {
                self.taken.push((at + 1, count));
                return true;
            }
        }
        false
    }

    /// Xorshift, by Marsaglia.
    fn any(&mut self, of: usize) -> usize {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        (self.chance >> 20) as usize % of
    }
}

#[test]
fn every_order_is_tried_once() {
    let orders = |bounds: Bounds, steps: &[usize]| {
        let mut explorer = Explorer::new(bounds);
        let mut seen = std::collections::BTreeSet::new();
        loop {
            let mut left = steps.to_vec();
            let mut order = Vec::new();
            loop {
                let ready: Vec<usize> = (0..left.len()).filter(|at| left[*at] > 0).collect();
                if ready.is_empty() {
                    break;
                }
                let chosen = explorer.choose(&ready);
                order.push(format!("{chosen:?}"));
                let Move::LetOn(number) = chosen else { break };
                left[number] -= 1;
            }
            assert!(seen.insert(order), "tried twice");
            if !explorer.next() {
                return seen.len();
            }
        }
    };
    let all = Bounds { preemptions: usize::MAX, crashes: false, sample: None };
    // 7! / (3! 4!) and 6! / (2! 2! 2!)
    assert_eq!(orders(all, &[3, 4]), 35);
    assert_eq!(orders(all, &[2, 2, 2]), 90);
    assert_eq!(orders(Bounds { preemptions: 0, ..all }, &[3, 4, 2]), 6);
    assert_eq!(orders(Bounds { preemptions: 1, ..all }, &[2, 2]), 2 + 2);
    // Before each of the steps of each order, and at its end: of `aabb` and its like.
    assert!(orders(Bounds { crashes: true, ..all }, &[1, 1]) == 2 + 3);
}
