//! Reads principals and groups, and finds what their names stand for.

use std::collections::{HashMap, HashSet};

use super::super::{Group, MAX_PARTS, Name, Party, PolicyError, Principal, Threshold};
use super::field::{Field, Fields};
use crate::hash::KeyId;
use crate::key::PublicKey;

/// What stands before the name of a group, where a principal's could stand.
const GROUP: &str = "group:";

/// Principals and groups by name, and how to find them.
pub(super) struct Parties {
    pub(super) principals: Vec<Principal>,
    pub(super) groups: Vec<Group>,
    pub(super) inner_first: Vec<usize>,
    pub(super) owners: HashMap<KeyId, usize>,
    /// The same by the bytes of a key: one secret may sign as Nix's keys do, and as Guix's.
    by_bytes: HashMap<[u8; 32], usize>,
    by_name: HashMap<Name, Party>,
}

impl Parties {
    /// What a text names: a principal, or with `group:` before it a group.
    pub(super) fn find(&self, field: &Field<'_>) -> Result<Party, PolicyError> {
        let text = field.text()?;
        let (kind, name) = match text.strip_prefix(GROUP) {
            Some(name) => ("group", name),
            None => ("principal", text),
        };
        let party = name.parse().ok().and_then(|name: Name| self.by_name.get(&name)).copied();
        match (party, kind) {
            (Some(party @ Party::Group(_)), "group")
            | (Some(party @ Party::Principal(_)), "principal") => Ok(party),
            (Some(Party::Group(_)), _) => {
                let what = format!("{name:?} is a group, not a principal");
                Err(field.refuse(&what, &format!("write \"{GROUP}{name}\" where a group may be")))
            }
            (Some(Party::Principal(_)), _) => {
                let what = format!("{name:?} is a principal, not a group");
                Err(field.refuse(&what, &format!("write {name:?}, without {GROUP}")))
            }
            (None, kind) => Err(field.refuse(
                &format!("there is no {kind} called {name:?}"),
                &format!("add a [{kind}.NAME] table, or correct the name"),
            )),
        }
    }
}

pub(super) fn read(top: &Fields<'_>) -> Result<Parties, PolicyError> {
    let mut parties = Parties {
        principals: Vec::new(),
        groups: Vec::new(),
        inner_first: Vec::new(),
        owners: HashMap::new(),
        by_bytes: HashMap::new(),
        by_name: HashMap::new(),
    };
    let principals = tables(top, "principal", &mut parties, Party::Principal)?;
    let groups = tables(top, "group", &mut parties, Party::Group)?;
    for (index, (name, table)) in principals.into_iter().enumerate() {
        let principal = principal(name, &table, index, &mut parties)?;
        parties.principals.push(principal);
    }
    let mut room = MAX_PARTS;
    for (name, table) in &groups {
        let group = group(name.clone(), table, &parties, &mut room)?;
        parties.groups.push(group);
    }
    match inner_first(&parties.groups) {
        Ok(order) => parties.inner_first = order,
        Err(cycle) => return Err(refuse_cycle(&cycle, &groups)),
    }
    Ok(parties)
}

/// The tables of one kind, by name; each name is noted.
fn tables<'t>(
    top: &Fields<'t>,
    kind: &str,
    parties: &mut Parties,
    party: fn(usize) -> Party,
) -> Result<Vec<(Name, Field<'t>)>, PolicyError> {
    let Some(all) = top.optional(kind) else { return Ok(Vec::new()) };
    let mut tables = Vec::new();
    for (written, table) in all.named()? {
        let hint = "such as [principal.farm-2] or [group.rebuilders]";
        let name: Name =
            written.parse().map_err(|why| table.refuse(&format!("{written:?}: {why}"), hint))?;
        if parties.by_name.contains_key(&name) {
            let why = "a principal is called so";
            return Err(table.refuse(why, "give the group another name"));
        }
        tables.push((name, table));
    }
    tables.sort_by(|(left, _), (right, _)| left.cmp(right));
    let named = tables.iter().enumerate().map(|(index, (name, _))| (name.clone(), party(index)));
    parties.by_name.extend(named);
    Ok(tables)
}

fn principal(
    name: Name,
    table: &Field<'_>,
    index: usize,
    parties: &mut Parties,
) -> Result<Principal, PolicyError> {
    let fields = table.fields(&["keys", "delegates", "not_after"])?;
    let mut keys: Vec<PublicKey> = Vec::new();
    for field in fields.required("keys", "list at least one public key")?.list()? {
        let key: PublicKey = field.parsed("such as cache.example.org-1:<base64 of 32 bytes>")?;
        if keys.contains(&key) {
            return Err(field.refuse("this key is listed before", "list it once"));
        }
        let owner = *parties.by_bytes.entry(*key.as_bytes()).or_insert(index);
        if owner != index {
            let what = format!("{} has this key, under any name", parties.principals[owner].name);
            return Err(field.refuse(&what, "a key speaks for one principal: list it under one"));
        }
        parties.owners.insert(key.id(), index);
        keys.push(key);
    }
    if parties.owners.len() > MAX_PARTS {
        return Err(table.refuse("too many keys", "at most 1024 keys are allowed in all"));
    }
    keys.sort_by_cached_key(ToString::to_string);
    let delegates = fields.optional("delegates").map_or(Ok(false), |field| field.flag())?;
    let not_after = fields.optional("not_after").map(|field| field.posix()).transpose()?;
    Ok(Principal { name, keys, delegates, not_after })
}

fn group(
    name: Name,
    table: &Field<'_>,
    parties: &Parties,
    room: &mut usize,
) -> Result<Group, PolicyError> {
    let fields = table.fields(&["k", "members"])?;
    let mut members = Vec::new();
    let mut seen = HashSet::new();
    for field in
        fields.required("members", "list principals, and groups as \"group:NAME\"")?.list()?
    {
        let member = parties.find(&field)?;
        if !seen.insert(member) {
            return Err(field.refuse("this member is listed before", "each member counts once"));
        }
        members.push(member);
    }
    *room = room.checked_sub(members.len()).ok_or_else(|| {
        table.refuse("too many members", "all groups together have at most 1024 members")
    })?;
    members.sort_unstable();
    let k = fields.required("k", "write k = 2, or k = \"all\": how many members must agree")?;
    let threshold = match k.text() {
        Ok("all") => Threshold::All,
        Ok(_) => return Err(k.refuse("not a number", "write a number, or \"all\"")),
        Err(_) => Threshold::Count(k.count(members.len())?),
    };
    Ok(Group { name, threshold, members })
}

/// An order in which every group stands after those in it, or groups each of which is in the one
/// before it, and the first in the last.
fn inner_first(groups: &[Group]) -> Result<Vec<usize>, Vec<usize>> {
    let inner = |index: usize| {
        groups[index].members.iter().filter_map(|member| match member {
            Party::Group(inner) => Some(*inner),
            Party::Principal(_) => None,
        })
    };
    let mut outer = vec![Vec::new(); groups.len()];
    let mut waits: Vec<usize> = (0..groups.len()).map(|index| inner(index).count()).collect();
    for index in 0..groups.len() {
        inner(index).for_each(|inner| outer[inner].push(index));
    }
    let mut order: Vec<usize> = (0..groups.len()).filter(|&index| waits[index] == 0).collect();
    let mut done = 0;
    while let Some(&index) = order.get(done) {
        done += 1;
        for &outer in &outer[index] {
            waits[outer] -= 1;
            if waits[outer] == 0 {
                order.push(outer);
            }
        }
    }
    let Some(start) = waits.iter().position(|&waits| waits > 0) else { return Ok(order) };
    // Whatever waits contains something that waits, so this walk comes back to where it was.
    let mut walk = vec![start];
    loop {
        let next = inner(walk[walk.len() - 1]).find(|&inner| waits[inner] > 0);
        let next = next.unwrap_or_else(|| unreachable!("a group waits for a group that waits"));
        if let Some(from) = walk.iter().position(|&index| index == next) {
            return Err(walk.split_off(from));
        }
        walk.push(next);
    }
}

fn refuse_cycle(cycle: &[usize], groups: &[(Name, Field<'_>)]) -> PolicyError {
    let named = cycle.iter().chain(&cycle[..1]).map(|&index| groups[index].0.as_str());
    let what = format!("a group contains itself: {}", named.collect::<Vec<_>>().join(", "));
    groups[cycle[0]].1.refuse(&what, "take one of them out of the next")
}
