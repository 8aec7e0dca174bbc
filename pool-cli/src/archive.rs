//! The streams that `guix archive` and `nix-store` export and import: see [`schema::export`].

mod read;
mod write;

pub(crate) use self::read::{Item, Reader};
pub(crate) use self::write::Writer;

#[cfg(test)]
mod tests;
