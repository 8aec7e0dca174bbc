//! The column families, in one table.

use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, ColumnFamilyDescriptor, DBCompressionType,
    Options,
};

/// A column family: its name, and how it is read.
pub(super) struct Family {
    pub(super) name: &'static str,
    /// Mostly asked for keys that may not be there: a Bloom filter pays.
    point_reads: bool,
    /// Text that zstd shrinks well; hashes and signatures do not shrink.
    compress: bool,
}

/// HashPart (20) -> `PathRecord`.
pub(super) const PATHS: Family = Family { name: "paths", point_reads: true, compress: true };
/// NarHash (32) -> `BlobRecord`.
pub(super) const BLOBS: Family = Family { name: "blobs", point_reads: true, compress: false };
/// FileHash (32) -> NarHash: every file that was ever uploaded for a NAR.
pub(super) const ALIASES: Family = Family { name: "aliases", point_reads: true, compress: false };
/// NarHash (32) -> the JSON of its listing.
pub(super) const LISTINGS: Family = Family { name: "listings", point_reads: true, compress: true };
/// NarHash (32) ‖ HashPart (20) -> nothing: which paths are said to have a NAR.
pub(super) const NAR_PATHS: Family =
    Family { name: "nar_paths", point_reads: false, compress: false };
/// ClaimId (32) -> the signed bytes.
pub(super) const CLAIMS: Family = Family { name: "claims", point_reads: true, compress: true };
/// Index (u64, big-endian) -> the 210 bytes of the entry.
pub(super) const ENTRIES: Family = Family { name: "entries", point_reads: false, compress: false };
/// ClaimId (32) ‖ KeyId (32) -> index (u64, big-endian) of the entry.
pub(super) const LOGGED: Family = Family { name: "logged", point_reads: true, compress: false };
/// Index (u64, big-endian) -> the canonical JSON of an entry of the keys log.
pub(super) const KEY_ENTRIES: Family =
    Family { name: "key_entries", point_reads: false, compress: false };
/// Index (u64, big-endian) -> leaf of the index log.
pub(super) const INDEX_LEAVES: Family =
    Family { name: "index_leaves", point_reads: false, compress: false };
/// Log (u8) ‖ level (u8) ‖ number (u64, big-endian) -> the 256 hashes of a full tile.
pub(super) const TILES: Family = Family { name: "tiles", point_reads: false, compress: false };
/// Ledger (u32) ‖ log (u8) ‖ index (u64), all big-endian -> an entry of a log that is mirrored.
pub(super) const MIRRORED_ENTRIES: Family =
    Family { name: "mirrored_entries", point_reads: false, compress: false };
/// Ledger (u32) ‖ log (u8) ‖ level (u8) ‖ number (u64), all big-endian -> the 256 hashes of a full
/// tile of a log that is mirrored.
pub(super) const MIRRORED_TILES: Family =
    Family { name: "mirrored_tiles", point_reads: false, compress: false };
/// ClaimId (32) ‖ ledger (u32, big-endian) ‖ KeyId (32) -> index (u64, big-endian) of the entry.
pub(super) const MIRRORED_WORDS: Family =
    Family { name: "mirrored_words", point_reads: true, compress: false };
/// PathKey (32) ‖ ledger (u32, big-endian) ‖ index (u64, big-endian) of an entry whose claim is not
/// known, or that is one too many -> nothing.
pub(super) const MIRRORED_UNHEARD: Family =
    Family { name: "mirrored_unheard", point_reads: false, compress: false };
/// Name of a key (text) -> ledger (u32, big-endian): whose it is, of names that no own signer has.
pub(super) const MIRRORED_NAMES: Family =
    Family { name: "mirrored_names", point_reads: false, compress: false };
/// Ledger (u32, big-endian) -> the JSON of what is mirrored.
pub(super) const MIRRORED_LEDGERS: Family =
    Family { name: "mirrored_ledgers", point_reads: false, compress: false };
/// Ledger (u32, big-endian) ‖ log (u8) ‖ 1 ‖ size (u64, big-endian) -> a checkpoint up to which
/// entries may be added; … ‖ 2 -> the one up to which the log is mirrored; … ‖ 3 -> the JSON of a
/// `ForkRecord`.
pub(super) const MIRRORED_CHECKPOINTS: Family =
    Family { name: "mirrored_checkpoints", point_reads: false, compress: false };
/// Ledger (u32, big-endian) ‖ log (u8) ‖ address (text) -> the JSON of a `SourceRecord`.
pub(super) const MIRRORED_SOURCES: Family =
    Family { name: "mirrored_sources", point_reads: false, compress: false };
/// 0 if it is wanted, else 1 (u8) ‖ NarHash (32) -> the rest of an `ElsewhereRecord`.
pub(super) const ELSEWHERE: Family =
    Family { name: "elsewhere", point_reads: true, compress: true };
/// Origin of another's log (text) -> the checkpoint that this pool cosigned last.
pub(super) const WITNESSED: Family =
    Family { name: "witnessed", point_reads: false, compress: false };
/// Index (u64, big-endian) of an entry about a path of which different things are claimed ->
/// HashPart (20). And one zero byte, once every path that was there before has its rows.
pub(super) const DIVERGENCES: Family =
    Family { name: "divergences", point_reads: false, compress: false };
/// Depth (u8) ‖ prefix of a `MapKey` -> a bucket or a page of the verifiable map.
pub(super) const MAP_NODES: Family =
    Family { name: "map_nodes", point_reads: true, compress: false };
/// `MapKey` (32) ‖ number (u64, big-endian) -> 256 indices of a long list of the verifiable map.
pub(super) const MAP_CHUNKS: Family =
    Family { name: "map_chunks", point_reads: false, compress: false };
/// Name of a blob's file -> nothing: files that are being put in place.
pub(super) const PENDING: Family = Family { name: "pending", point_reads: false, compress: false };

/// Build id (hex) -> `DebugInfoRecord`.
pub(super) const DEBUG_INFO: Family =
    Family { name: "debuginfo", point_reads: true, compress: true };
/// Id of a derivation's output (text) -> `RealisationRecord`.
pub(super) const REALISATIONS: Family =
    Family { name: "realisations", point_reads: true, compress: true };

/// NarHash (32) -> until when it is promised (u64, POSIX seconds) ‖ FileHash (32) of what is promised.
pub(super) const LEASES: Family = Family { name: "leases", point_reads: true, compress: false };
/// 0 while its bytes are here, else 1 (u8) ‖ NarHash (32) -> the JSON of an `UnlistedRecord`.
pub(super) const UNLISTED: Family = Family { name: "unlisted", point_reads: true, compress: false };
/// HashPart (20) -> the JSON of a `DeletionRecord`.
pub(super) const DELETIONS: Family =
    Family { name: "deletions", point_reads: true, compress: false };
/// Name of a pin (text) ‖ 0 ‖ revision (u64, big-endian) -> the JSON of a `PinRecord`.
pub(super) const PINS: Family = Family { name: "pins", point_reads: false, compress: false };
/// What one collection has found out so far. Nothing of it outlives that.
pub(super) const MARKS: Family = Family { name: "marks", point_reads: true, compress: false };
/// What is known of the state of all the rest: see `index/rocks/checks.rs`.
pub(super) const CHECKS: Family = Family { name: "checks", point_reads: false, compress: false };

pub(super) const ALL: [&Family; 33] = [
    &PATHS,
    &BLOBS,
    &ALIASES,
    &LISTINGS,
    &NAR_PATHS,
    &CLAIMS,
    &ENTRIES,
    &LOGGED,
    &KEY_ENTRIES,
    &INDEX_LEAVES,
    &TILES,
    &MIRRORED_ENTRIES,
    &MIRRORED_TILES,
    &MIRRORED_WORDS,
    &MIRRORED_UNHEARD,
    &MIRRORED_NAMES,
    &MIRRORED_LEDGERS,
    &MIRRORED_CHECKPOINTS,
    &MIRRORED_SOURCES,
    &ELSEWHERE,
    &WITNESSED,
    &DIVERGENCES,
    &MAP_NODES,
    &MAP_CHUNKS,
    &PENDING,
    &DEBUG_INFO,
    &REALISATIONS,
    &CHECKS,
    &LEASES,
    &UNLISTED,
    &DELETIONS,
    &PINS,
    &MARKS,
];

/// Memory for blocks of all families together, in bytes.
const BLOCK_CACHE: usize = 32 << 20;
/// Memory for unwritten changes of all families together, in bytes.
const WRITE_BUFFERS: usize = 32 << 20;
/// The write-ahead log is cut at this size, in bytes, so that a start replays little.
const MAX_WAL: u64 = 64 << 20;

pub(super) fn database_options() -> Result<Options, rocksdb::Error> {
    // After a failure it does not go on by itself: see `rocks::writes`.
    let mut options = Options::default().get_options_from_string("max_bgerror_resume_count=0")?;
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_db_write_buffer_size(WRITE_BUFFERS);
    options.set_max_total_wal_size(MAX_WAL);
    options.set_max_background_jobs(2);
    options.set_keep_log_file_num(2);
    options.set_max_log_file_size(1 << 20);
    options.set_max_open_files(512);
    Ok(options)
}

pub(super) fn descriptors() -> Vec<ColumnFamilyDescriptor> {
    let cache = Cache::new_lru_cache(BLOCK_CACHE);
    ALL.iter()
        .map(|family| ColumnFamilyDescriptor::new(family.name, family.options(&cache)))
        .collect()
}

impl Family {
    fn options(&self, cache: &Cache) -> Options {
        let mut blocks = BlockBasedOptions::default();
        blocks.set_block_cache(cache);
        // Index and filter blocks of a large pool must not grow outside the cache.
        blocks.set_cache_index_and_filter_blocks(true);
        blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
        // In parts of a few kilobytes: whole, those of a million paths are larger than the cache, and each
        // read would read them again.
        blocks.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
        blocks.set_partition_filters(true);
        blocks.set_format_version(6);
        if self.point_reads {
            blocks.set_ribbon_filter(10.0);
        }
        let mut options = Options::default();
        options.set_block_based_table_factory(&blocks);
        options.set_compression_type(if self.compress {
            DBCompressionType::Zstd
        } else {
            DBCompressionType::None
        });
        options.set_write_buffer_size(WRITE_BUFFERS / 4);
        options
    }
}
