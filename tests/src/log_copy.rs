//! A copy of everything that a C2SP tlog-tiles log serves, to be damaged and served again.

mod made;
mod served;

use std::collections::BTreeMap;

use tlog_tiles::Tile;

pub use made::made;
pub use served::Served;

use crate::client::Client;

/// Hashes in a full tile, and entries in a full bundle.
pub const WIDTH: u64 = 256;

/// The objects of one log by their paths, such as `tile/entries/000`.
#[derive(Debug, Clone, Default)]
pub struct LogCopy {
    objects: BTreeMap<String, Vec<u8>>,
}

impl LogCopy {
    /// Fetches every object of the log under `prefix`, such as `/ledger/keys`.
    ///
    /// # Panics
    /// When one of them is not served.
    pub async fn fetch(client: &Client, prefix: &str) -> Self {
        let mut copy = Self::default();
        copy.fetch_object(client, prefix, "checkpoint").await;
        for path in paths(copy.size()) {
            copy.fetch_object(client, prefix, &path).await;
        }
        copy
    }

    async fn fetch_object(&mut self, client: &Client, prefix: &str, path: &str) {
        let answer = client.get(&format!("{prefix}/{path}")).await;
        assert_eq!(answer.status, 200, "{prefix}/{path}: {}", answer.text());
        self.objects.insert(path.to_owned(), answer.body.to_vec());
    }

    /// The size that the checkpoint tells, whoever signed it.
    ///
    /// # Panics
    /// When there is no checkpoint with a size.
    #[must_use]
    pub fn size(&self) -> u64 {
        let checkpoint = String::from_utf8_lossy(&self.objects["checkpoint"]);
        let size = checkpoint.lines().nth(1).and_then(|line| line.parse().ok());
        size.unwrap_or_else(|| panic!("no size in {checkpoint}"))
    }

    /// Every path, in order.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.objects.keys().map(String::as_str)
    }

    /// One object.
    #[must_use]
    pub fn object(&self, path: &str) -> Option<&[u8]> {
        self.objects.get(path).map(Vec::as_slice)
    }

    /// The same with one bit of one object flipped.
    ///
    /// # Panics
    /// When there is no such bit.
    #[must_use]
    pub fn flipped(&self, path: &str, bit: usize) -> Self {
        let mut copy = self.clone();
        let object = copy.objects.get_mut(path).unwrap_or_else(|| panic!("there is no {path}"));
        object[bit / 8] ^= 1 << (bit % 8);
        copy
    }

    /// Serves it on a port of its own.
    ///
    /// # Panics
    /// When there is no port.
    #[must_use]
    pub fn serve(&self) -> Served {
        Served::start(self.objects.clone())
    }
}

/// Where a log of this size has its tiles and bundles.
fn paths(size: u64) -> impl Iterator<Item = String> {
    let hashes = Tile::new_tiles(8, 0, size);
    let bundles = hashes.clone().into_iter().filter(|tile| tile.level() == 0).map(|mut tile| {
        tile.set_is_data();
        tile
    });
    hashes.into_iter().chain(bundles).map(|tile| tile_path(&tile))
}

/// Where C2SP has a tile: without a height, and with another name for the entries than sumdb's.
#[must_use]
pub fn tile_path(tile: &Tile) -> String {
    tile.path().replacen("tile/8/", "tile/", 1).replacen("/data/", "/entries/", 1)
}
