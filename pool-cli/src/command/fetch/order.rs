//! What is referred to before what refers to it: no store takes a path before those.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Result;
use schema::store_path::StorePath;

use crate::exit::Failure;
use crate::judge::Allowed;

/// How far one path is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Visit {
    /// What it refers to is being placed.
    Begun,
    Done,
}

/// What `roots` lead to among `allowed`, each once, after all that it refers to. Deep closures take no
/// more stack than others.
///
/// # Errors
/// Paths that refer to each other, of which none can be first, or to one that is not allowed.
pub(super) fn in_order(
    allowed: &[Arc<Allowed>],
    roots: impl Iterator<Item = StorePath>,
) -> Result<Vec<Arc<Allowed>>> {
    let by_path: HashMap<&StorePath, &Arc<Allowed>> =
        allowed.iter().map(|it| (it.claim.path(), it)).collect();
    let mut visits: HashMap<StorePath, Visit> = HashMap::new();
    let mut ordered = Vec::new();
    let mut waiting: Vec<StorePath> = roots.collect();
    waiting.reverse();
    while let Some(path) = waiting.last().cloned() {
        let it = by_path.get(&path).ok_or_else(|| absent(&path))?;
        match visits.get(&path) {
            Some(Visit::Done) => drop(waiting.pop()),
            Some(Visit::Begun) => {
                waiting.pop();
                visits.insert(path, Visit::Done);
                ordered.push(Arc::clone(it));
            }
            None => {
                for reference in it.claim.references() {
                    let reference = StorePath::new(path.dir().clone(), reference.clone());
                    match visits.get(&reference) {
                        Some(Visit::Done) => {}
                        Some(Visit::Begun) => return Err(circle(&path, &reference).into()),
                        None if reference == path => {}
                        None => waiting.push(reference),
                    }
                }
                visits.insert(path, Visit::Begun);
            }
        }
    }
    Ok(ordered)
}

fn absent(path: &StorePath) -> Failure {
    Failure::could_not_tell(format!("{path} is referred to, and was not decided of"))
}

fn circle(path: &StorePath, other: &StorePath) -> Failure {
    Failure::no(format!("{path} and {other} refer to each other"))
        .hint("no store takes either before the other; who claims this is mistaken")
}

#[cfg(test)]
mod tests {
    use schema::claim::Claim;
    use schema::hash::NarHash;

    use super::*;

    fn path(name: &str) -> StorePath {
        format!("/gnu/store/7h7qgvs4kgzsn8a6rb273saxyqh4jxlz-{name}").parse().unwrap()
    }

    fn closure(edges: &[(&str, &[&str])]) -> Vec<Arc<Allowed>> {
        let allowed = |(name, references): &(&str, &[&str])| {
            let references = references.iter().map(|it| path(it).base().clone()).collect();
            let claim = Claim::new(path(name), NarHash::of(b""), 1, references).unwrap();
            Arc::new(Allowed { claim: Arc::new(claim), content_address: None, files: Vec::new() })
        };
        edges.iter().map(allowed).collect()
    }

    fn order(edges: &[(&str, &[&str])], roots: &[&str]) -> Result<Vec<String>> {
        let roots = roots.iter().map(|root| path(root));
        let ordered = in_order(&closure(edges), roots)?;
        Ok(ordered.iter().map(|it| it.claim.path().base().name().to_owned()).collect())
    }

    #[test]
    fn each_comes_once_and_after_all_that_it_refers_to() {
        // Met breadth first, c comes before b, which refers to it.
        let edges: [(&str, &[&str]); 5] =
            [("a", &["a", "b", "c"]), ("c", &[]), ("b", &["c", "d"]), ("d", &["d"]), ("e", &["a"])];
        assert_eq!(order(&edges, &["a"]).unwrap(), ["c", "d", "b", "a"]);
        assert_eq!(order(&edges, &["c", "a", "c"]).unwrap(), ["c", "d", "b", "a"]);
        assert_eq!(order(&edges, &["e", "b"]).unwrap(), ["c", "d", "b", "a", "e"]);
    }

    #[test]
    fn a_diamond_is_no_circle() {
        let edges: [(&str, &[&str]); 4] =
            [("a", &["b", "c"]), ("b", &["d"]), ("c", &["b", "d"]), ("d", &[])];
        assert_eq!(order(&edges, &["a"]).unwrap(), ["d", "b", "c", "a"]);
    }

    #[test]
    fn what_cannot_be_ordered_is_refused() {
        let circle: [(&str, &[&str]); 3] = [("a", &["b"]), ("b", &["c"]), ("c", &["a"])];
        let error = order(&circle, &["a"]).unwrap_err();
        assert!(error.to_string().ends_with("refer to each other"), "{error}");
        assert!(order(&[("a", &["b"])], &["a"]).is_err());
    }

    #[test]
    fn a_long_chain_takes_no_stack() {
        let names: Vec<String> = (0..20_000).map(|at| format!("n{at}")).collect();
        let next: Vec<[&str; 1]> = names.iter().skip(1).map(|it| [it.as_str()]).collect();
        let mut edges: Vec<(&str, &[&str])> =
            names.iter().zip(&next).map(|(name, next)| (name.as_str(), &next[..])).collect();
        edges.push(("n19999", &[]));
        let ordered = order(&edges, &["n0"]).unwrap();
        assert_eq!((ordered.len(), ordered[0].as_str()), (20_000, "n19999"));
    }
}
