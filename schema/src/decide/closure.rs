//! Decides of paths together with everything that they refer to.

use std::collections::HashMap;

use super::decision::Decision;
use super::outcome::{DenyCode, Outcome, UnknownCode};
use crate::store_path::StorePath;

/// The most paths that are named as those because of which another is not allowed.
pub const MAX_CULPRITS: usize = 3;

/// Paths and everything that they refer to, decided of as a whole.
#[derive(Debug, Clone)]
pub struct Closure {
    by_path: HashMap<StorePath, usize>,
    reached: Vec<Reached>,
}

impl Closure {
    /// What became of a path; none of one that nothing led to.
    #[must_use]
    pub fn of(&self, path: &StorePath) -> Option<&Reached> {
        self.by_path.get(path).map(|&number| &self.reached[number])
    }

    /// Every path that something led to, as they were met: first those that were asked for.
    #[must_use]
    pub fn reached(&self) -> &[Reached] {
        &self.reached
    }
}

/// One path of a closure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// The path.
    pub path: StorePath,
    /// What its own decision says, unless that is to allow it and something that it leads to is not.
    pub outcome: Outcome,
    /// Then, the first few of the paths because of which it is not allowed.
    pub culprits: Vec<StorePath>,
}

/// Decides of `roots` and all that they lead to. A path is allowed only if everything is that the
/// allowed claims refer to, and so on. `decision` tells what is decided of one path by itself; it is
/// asked once of each, and may not know.
///
/// Takes time in proportion to the paths and their references, and no more stack for deep ones.
#[must_use]
pub fn closure<'d>(
    roots: impl IntoIterator<Item = StorePath>,
    decision: impl FnMut(&StorePath) -> Option<&'d Decision>,
) -> Closure {
    let mut graph = Graph { by_path: HashMap::new(), nodes: Vec::new() };
    for root in roots {
        graph.number(root);
    }
    graph.grow(decision);
    graph.settle();
    let reached = graph.nodes.into_iter().map(|node| node.reached).collect();
    Closure { by_path: graph.by_path, reached }
}

struct Graph {
    by_path: HashMap<StorePath, usize>,
    nodes: Vec<Node>,
}

struct Node {
    reached: Reached,
    /// What the allowed claim refers to, the path itself left out.
    references: Vec<usize>,
    /// When the walk came here, counted from 1; 0 before it did.
    met: usize,
    /// The earliest of those on the walk's stack that this leads back to.
    low: usize,
    is_stacked: bool,
}

impl Graph {
    fn number(&mut self, path: StorePath) -> usize {
        *self.by_path.entry(path).or_insert_with_key(|path| {
            let outcome = Outcome::Unknown(UnknownCode::Unheard);
            let reached = Reached { path: path.clone(), outcome, culprits: Vec::new() };
            self.nodes.push(Node {
                reached,
                references: vec![],
                met: 0,
                low: 0,
                is_stacked: false,
            });
            self.nodes.len() - 1
        })
    }

    /// Follows the references of allowed claims.
    fn grow<'d>(&mut self, mut decision: impl FnMut(&StorePath) -> Option<&'d Decision>) {
        let mut next = 0;
        while next < self.nodes.len() {
            let path = self.nodes[next].reached.path.clone();
            if let Some(decision) = decision(&path) {
                self.nodes[next].reached.outcome = decision.outcome().clone();
                let references = decision.outcome().claim().map_or(&[][..], |it| it.references());
                let others = references.iter().filter(|base| *base != path.base());
                let numbers: Vec<usize> = others
                    .map(|base| self.number(StorePath::new(path.dir().clone(), base.clone())))
                    .collect();
                self.nodes[next].references = numbers;
            }
            next += 1;
        }
    }

    /// Settles every path after those that it leads to. Source: R. Tarjan, "Depth-first search and
    /// linear graph algorithms", 1972: the strongly connected components come out in that order.
    fn settle(&mut self) {
        let (mut time, mut stack) = (0, Vec::new());
        for start in 0..self.nodes.len() {
            if self.nodes[start].met > 0 {
                continue;
            }
            // Where the walk is, and which reference it follows next there.
            let mut walk = vec![(start, 0)];
            while let Some((at, next)) = walk.last_mut() {
                let (at, followed) = (*at, *next);
                if followed == 0 && self.nodes[at].met == 0 {
                    time += 1;
                    let node = &mut self.nodes[at];
                    (node.met, node.low, node.is_stacked) = (time, time, true);
                    stack.push(at);
                }
                *next += 1;
                if let Some(&reference) = self.nodes[at].references.get(followed) {
                    if self.nodes[reference].met == 0 {
                        walk.push((reference, 0));
                    } else if self.nodes[reference].is_stacked {
                        self.nodes[at].low = self.nodes[at].low.min(self.nodes[reference].met);
                    }
                    continue;
                }
                walk.pop();
                if let Some(&(above, _)) = walk.last() {
                    self.nodes[above].low = self.nodes[above].low.min(self.nodes[at].low);
                }
                if self.nodes[at].low == self.nodes[at].met {
                    let from = stack.iter().rposition(|&it| it == at).unwrap_or_default();
                    self.settle_component(&stack.split_off(from));
                }
            }
        }
    }

    /// Settles paths that all lead to one another: one alone, or a cycle.
    fn settle_component(&mut self, component: &[usize]) {
        for &at in component {
            self.nodes[at].is_stacked = false;
        }
        if let [alone] = component {
            return self.settle_alone(*alone);
        }
        let mut culprits: Vec<StorePath> =
            component.iter().map(|&at| self.nodes[at].reached.path.clone()).collect();
        culprits.sort_unstable();
        culprits.truncate(MAX_CULPRITS);
        for &at in component {
            let reached = &mut self.nodes[at].reached;
            reached.outcome = Outcome::Deny(DenyCode::Cycle);
            reached.culprits.clone_from(&culprits);
        }
    }

    fn settle_alone(&mut self, at: usize) {
        let (mut denied, mut unknown) = (Vec::new(), Vec::new());
        for &reference in &self.nodes[at].references {
            let reached = &self.nodes[reference].reached;
            let culprits = match reached.outcome {
                Outcome::Allow(..) => continue,
                Outcome::Deny(_) => &mut denied,
                Outcome::Unknown(_) => &mut unknown,
            };
            let inner = match reached.outcome {
                Outcome::Deny(DenyCode::Dependency) | Outcome::Unknown(UnknownCode::Dependency) => {
                    &*reached.culprits
                }
                _ => std::slice::from_ref(&reached.path),
            };
            for culprit in inner {
                if culprits.len() < MAX_CULPRITS && !culprits.contains(culprit) {
                    culprits.push(culprit.clone());
                }
            }
        }
        let reached = &mut self.nodes[at].reached;
        if !denied.is_empty() {
            reached.outcome = Outcome::Deny(DenyCode::Dependency);
            reached.culprits = denied;
        } else if !unknown.is_empty() {
            reached.outcome = Outcome::Unknown(UnknownCode::Dependency);
            reached.culprits = unknown;
        }
    }
}
