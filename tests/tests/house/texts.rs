//! What no text of the project says.

use super::project::Project;

pub(super) fn breaches(project: &Project) -> Vec<String> {
    // Put together here, or this file would be the first to say them.
    let ignored = format!("#[{}]", "ignore");
    let with_reason = format!("#[{} =", "ignore");
    let homes = ["root", "work", "Users"].map(|home| format!("/{home}/"));
    let mut breaches = Vec::new();
    for file in &project.files {
        for (at, line) in file.text.lines().enumerate() {
            let place = format!("{}:{}", file.name, at + 1);
            if file.name.ends_with(".rs")
                && (line.contains(&ignored) || line.contains(&with_reason))
            {
                breaches.push(format!("{place}: a test that does not run tests nothing"));
            }
            if homes.iter().any(|home| names_a_machine(line, home)) {
                breaches.push(format!("{place}: a path of one machine"));
            }
        }
    }
    breaches
}

/// Whether a path that begins with `home` stands in the line, rather than one that contains it.
fn names_a_machine(line: &str, home: &str) -> bool {
    let goes_on = |char: char| char.is_alphanumeric() || "._-~}*/)".contains(char);
    line.match_indices(home).any(|(at, _)| {
        let before = &line[..at];
        // As in "$1"/root.
        !before.strip_suffix('"').unwrap_or(before).ends_with(goes_on)
    })
}
