//! Prints policies: the one canonical text of each.

use std::fmt::{self, Display};

use super::{Policy, Quorum, Terms, Threshold, Veto, time};
use crate::store_path::StoreDir;

/// Its canonical text, which parses back equal. The order in which a file lists things, its comments
/// and what it leaves to be understood are not kept.
impl Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "format = \"narpool-policy/1\"\nname = \"{}\"", self.name)?;
        writeln!(f, "version = {}", self.version)?;
        if let Some(expires) = self.expires {
            writeln!(f, "expires = {}", time::text(expires))?;
        }
        writeln!(f, "store_dir = {}", quoted(StoreDir::as_str(&self.store_dir)))?;
        self.print_ledger(f)?;
        for principal in &self.principals {
            writeln!(f, "\n[principal.{}]\nkeys = {}", principal.name, list(&principal.keys))?;
            if principal.delegates {
                writeln!(f, "delegates = true")?;
            }
            if let Some(not_after) = principal.not_after {
                writeln!(f, "not_after = {}", time::text(not_after))?;
            }
        }
        for group in &self.groups {
            writeln!(f, "\n[group.{}]", group.name)?;
            match group.threshold {
                Threshold::Count(k) => writeln!(f, "k = {k}")?,
                Threshold::All => writeln!(f, "k = \"all\"")?,
            }
            let members = group.members.iter().map(|member| self.party_text(*member));
            writeln!(f, "members = {}", list(members))?;
        }
        for rule in &self.rules {
            let pattern = quoted(rule.pattern.as_str());
            writeln!(f, "\n[[rule]]\nmatch = {{ name = {pattern} }}")?;
            self.print_terms(f, &rule.terms)?;
        }
        writeln!(f, "\n[default]")?;
        self.print_terms(f, &self.default)
    }
}

impl Policy {
    fn print_ledger(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n[ledger]")?;
        match &*self.ledger.logs {
            [] => {}
            [log] => writeln!(f, "log = {}", quoted(&log.to_string()))?,
            logs => writeln!(f, "log = {}", list(logs))?,
        }
        writeln!(f, "max_checkpoint_age = \"{}\"", self.ledger.max_checkpoint_age)?;
        if let Some(Quorum { k, members }) = &self.ledger.witnesses {
            writeln!(f, "witnesses = {{ k = {k}, members = {} }}", list(members))?;
        }
        Ok(())
    }

    fn print_terms(&self, f: &mut fmt::Formatter<'_>, terms: &Terms) -> fmt::Result {
        let (party, veto) = match terms {
            Terms::Deny => return writeln!(f, "require = \"deny\""),
            Terms::Require { party, veto } => (party, veto),
        };
        writeln!(f, "require = \"{}\"", self.party_text(*party))?;
        match veto {
            Veto::Nobody => writeln!(f, "disagree = \"ignore\""),
            Veto::Required => writeln!(f, "disagree = \"deny\""),
            Veto::Watched(watched) => {
                let names = watched.iter().map(|&index| &self.principals[index].name);
                writeln!(f, "disagree = \"deny\"\nwatch = {}", list(names))
            }
        }
    }
}

fn list(items: impl IntoIterator<Item: Display>) -> String {
    let quoted = items.into_iter().map(|item| quoted(&item.to_string()));
    format!("[{}]", quoted.collect::<Vec<_>>().join(", "))
}

/// A TOML string, with escapes where it needs some.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}
