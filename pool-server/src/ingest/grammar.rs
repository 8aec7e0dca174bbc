//! The grammar of a NAR, and the outline of its files that reading it gives.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{self, BufReader, Read};

use nix_archive::nar::{Error, Event, decode_events_reader};
use schema::listing::{Listing, Node};

/// The outline of a NAR, as long as it stays within its bound.
pub(super) struct Outline {
    open: Vec<(String, BTreeMap<String, Node>)>,
    root: Option<Node>,
    budget: usize,
    usable: bool,
}

/// Reads a NAR to its end.
///
/// # Errors
/// When it is not one, or what it is read from fails; with the offset of what was read last.
pub(super) fn read(
    nar: &mut impl Read,
    buffer_len: usize,
    max_listing: usize,
) -> Result<Outline, (Error, u64)> {
    let place = Place::default();
    let mut reader =
        Positioned { reader: BufReader::with_capacity(buffer_len, nar), place: &place };
    let mut outline = Outline { open: Vec::new(), root: None, budget: max_listing, usable: true };
    let read = decode_events_reader(&mut reader, |event| {
        match event {
            Event::DirectoryStart { name } => outline.enter(name),
            Event::DirectoryEnd { .. } => outline.leave(),
            Event::Symlink { name, target } => {
                let target = outline.text(target);
                outline.add(name, Node::Symlink { target });
            }
            Event::Regular { name, executable, mut contents } => {
                let (size, nar_offset) = (contents.size(), Some(place.next.get()));
                outline.add(name, Node::Regular { size, executable, nar_offset });
                contents.copy_to(&mut io::sink())?;
            }
        }
        Ok(())
    });
    read.map(|()| outline).map_err(|error| (error, place.last.get()))
}

impl Outline {
    /// The JSON, unless the outline was too long or holds names that JSON cannot.
    pub(super) fn into_json(self) -> Option<Vec<u8>> {
        let root = self.root.filter(|_| self.usable)?;
        serde_json::to_vec(&Listing { version: 1, root }).ok()
    }

    fn enter(&mut self, name: Option<&[u8]>) {
        let name = self.text(name.unwrap_or_default());
        self.open.push((name, BTreeMap::new()));
    }

    fn leave(&mut self) {
        if let Some((name, entries)) = self.open.pop() {
            self.place(name, Node::Directory { entries });
        }
    }

    fn add(&mut self, name: Option<&[u8]>, node: Node) {
        let name = self.text(name.unwrap_or_default());
        self.place(name, node);
    }

    fn place(&mut self, name: String, node: Node) {
        match self.open.last_mut() {
            Some((_, siblings)) if self.usable => {
                siblings.insert(name, node);
            }
            Some((_, siblings)) => siblings.clear(),
            None => self.root = Some(node),
        }
    }

    fn text(&mut self, bytes: &[u8]) -> String {
        // Every node costs about so much besides its text.
        const NODE: usize = 64;
        let cost = bytes.len() + NODE;
        self.usable = self.usable && cost <= self.budget;
        self.budget = self.budget.saturating_sub(cost);
        match std::str::from_utf8(bytes) {
            Ok(text) if self.usable => text.to_owned(),
            _ => {
                self.usable = false;
                String::new()
            }
        }
    }
}

/// How far the NAR has been read: by the grammar, which the buffer runs ahead of.
#[derive(Default)]
struct Place {
    /// Where the last piece that was read begins.
    last: Cell<u64>,
    /// Where it ends.
    next: Cell<u64>,
}

/// Keeps track of the place, so that the offset of a file, or of a mistake, is known.
struct Positioned<'p, R> {
    reader: BufReader<R>,
    place: &'p Place,
}

impl<R: Read> Read for Positioned<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let start = self.place.next.get();
        self.place.last.set(start);
        let read = self.reader.read(buffer)?;
        self.place.next.set(start + read as u64);
        Ok(read)
    }
}
