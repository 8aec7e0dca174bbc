//! What an operator may set: one table of keys, from which the fields of [`Config`], the keys of
//! the file, the environment's variables, the flags, `--help` and the manual are all made.
//!
//! Later wins: default, file, environment, flag.

mod settings;
mod value;

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use schema::base_url::BaseUrl;
use schema::key::KeyName;
use schema::name_pattern::NamePattern;
use schema::store_path::StoreDir;
use schema::tlog::note::{NoteName, VerifierKey};
use thiserror::Error;

use crate::assemble::view::View;

pub use settings::Settings;
pub use value::{
    AbsentNars, Limit, LogFormat, Measure, Mirror, Quota, Rate, ViewLease, parse_size, parse_span,
};
use value::{Form, Kind};

/// What the names of the environment's variables begin with.
pub const VARIABLE_PREFIX: &str = "NARPOOL_";

/// A client that has just read a narinfo has so long to begin with its NAR.
const LEASE_MARGIN: Duration = Duration::from_secs(10);

/// One line of the table: `field: Type = Kind("default")`, where a default `=other-key` means
/// whatever that key has.
macro_rules! keys {
    ($($(#[doc = $doc:literal])+ $field:ident: $type:ty = $kind:ident($default:literal),)+) => {
        /// How this pool is set up. Every field is an operator's key, with dashes for underscores.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Config {
            $($(#[doc = $doc])+ pub $field: $type,)+
        }

        /// Every key there is.
        pub static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| vec![
            $(Key {
                name: stringify!($field).replace('_', "-"),
                holder: value::$kind::HOLDER,
                default: $default,
                help: concat!($($doc),+).trim_ascii(),
                form: value::$kind::FORM,
                normal: |text| value::$kind::parse(text).map(|it| value::$kind::print(&it)),
            },)+
        ]);

        impl Config {
            /// `text` gives each key's value.
            fn read<'a>(text: impl Fn(&str) -> &'a str) -> Result<Self, Invalid> {
                let config = Self {
                    $($field: value::$kind::parse(text(&stringify!($field).replace('_', "-")))
                        .map_err(|why| Invalid::at(stringify!($field), why))?,)+
                };
                config.check()?;
                Ok(config)
            }
        }
    };
}

keys! {
    /// Directory that holds everything the pool keeps.
    data: PathBuf = Directory("./narpool-data"),
    /// Address to listen on. Port 0 lets the kernel choose; the choice is printed and written to
    /// `address` in the data directory. A socket handed over by systemd goes before it.
    listen: SocketAddr = Address("127.0.0.1:8484"),
    /// Name of this pool in its logs: a host of yours that stays, such as `pool.example.org`. Without
    /// one it is called like its key. It cannot change once there are entries.
    origin: Option<NoteName> = OptionalNoteName(""),
    /// Certificate chain, PEM. With it the pool speaks TLS only; SIGHUP reads it again.
    tls_cert: Option<PathBuf> = OptionalFile(""),
    /// The certificate's private key, PEM.
    tls_key: Option<PathBuf> = OptionalFile(""),
    /// Store directory that the pool serves.
    store_dir: StoreDir = Store("/nix/store"),
    /// Priority that clients are told: lower is asked first, cache.nixos.org has 40.
    priority: u32 = Number("30"),
    /// Reading needs a token with the scope `read`.
    private: bool = Flag("false"),
    /// Anybody who proves possession of a key may enrol it as a signer.
    open_enrolment: bool = Flag("false"),
    /// Signers whom the default view shows; none means every enrolled signer.
    view_signers: Vec<KeyName> = Names(""),
    /// How many of those signers must agree before the default view shows a path.
    view_k: NonZeroUsize = Count("1"),
    /// Policy files; what each allows is shown under `/policy/` and its name.
    policies: Vec<PathBuf> = Files(""),
    /// How long clients may cache a narinfo.
    narinfo_max_age: Duration = Span("1m"),
    /// How long clients may cache that there is no narinfo.
    missing_max_age: Duration = Span("10s"),
    /// How long a NAR stays after a narinfo named it: no less than clients remember narinfos, which
    /// Nix does for 30 days.
    lease: Duration = Span("30d"),
    /// The same for single views, as in `policy/ci=2d` or `as/alice=12h`.
    view_leases: Vec<ViewLease> = ViewLeases(""),
    /// How long a NAR stays after it was uploaded, even if nobody attests it or asks for it.
    upload_grace: Duration = Span("1d"),
    /// Most bytes of NARs to keep. Beyond that those go that nobody has asked for longest, once they are
    /// promised to nobody. Without it, and without `collect-after`, everything stays.
    max_stored: Option<u64> = OptionalSize(""),
    /// NARs go that nobody has asked for so long after their lease ended.
    collect_after: Option<Duration> = OptionalSpan(""),
    /// What these signers have attested stays, with all that it refers to.
    keep_signers: Vec<KeyName> = Names(""),
    /// Paths stay that have such names, with all that they refer to; `*` stands for anything.
    keep_names: Vec<NamePattern> = NamePatterns(""),
    /// Paths stay for so long after their NAR came, with all that they refer to.
    keep_for: Duration = Span("0s"),
    /// How often to look for NARs that may go. Zero: only when told to.
    gc_interval: Duration = Span("1h"),
    /// A file in C2SP's tlog-policy format: witnesses that are asked to cosign each checkpoint of the
    /// pool's logs, and the quorum without which none is published.
    witness_policy: Option<PathBuf> = OptionalFile(""),
    /// How long a witness may take to answer, and an attestation waits for its checkpoint.
    witness_timeout: Duration = Timeout("5s"),
    /// Keys of the logs whose checkpoints this pool cosigns, as their witness.
    witness_logs: Vec<VerifierKey> = VerifierKeys(""),
    /// Mirrors of this pool that clients are told of: the address of each, a space, and the key by
    /// which it cosigns what it has copied. At most 16.
    mirrors: Vec<Mirror> = Mirrors(""),
    /// Address that narinfos name for NARs, such as `https://b.example`: whoever is there must have
    /// all of this pool's. Without one, NARs are where the narinfo is.
    nar_url: Option<BaseUrl> = OptionalUrl(""),
    /// What a mirror does about NARs that it does not have and that are known to be elsewhere. `refuse`:
    /// their paths have no narinfo, and the reason says where they are. `redirect`: clients are sent
    /// there. `pull`: `pool mirror --pull` brings them while they are sent; when none runs, as
    /// `redirect`.
    absent_nars: AbsentNars = AbsentNarsName("refuse"),
    /// Refuse uploads that claim references which their NAR does not contain, or leave out some
    /// that it does contain.
    strict_references: bool = Flag("false"),
    /// Largest NAR, uncompressed.
    max_nar_size: u64 = Size("64GiB"),
    /// Largest upload of a NAR, as sent.
    max_upload_size: u64 = Size("=max-nar-size"),
    /// Largest build log, as sent.
    max_log_size: u64 = Size("64MiB"),
    /// Largest listing of a NAR that is kept.
    max_listing_size: u64 = Size("8MiB"),
    /// Memory that decompressing one upload may take: bounds zstd's window and xz's dictionary.
    max_decoder_memory: u64 = Size("256MiB"),
    /// Bytes of the disk that uploads may not take, so that the database and the ledger have room.
    /// Without a value 1GiB, or a twentieth of a disk that is small.
    min_free_space: Option<u64> = OptionalSize(""),
    /// Uploads at once; more wait for their turn.
    max_uploads: NonZeroUsize = Count("64"),
    /// Connections at once; more wait to be accepted.
    max_connections: NonZeroUsize = Count("4096"),
    /// The largest part of the uploads that one token may have of those that no other has, in percent:
    /// others always find some left.
    upload_share: u8 = Percent("75"),
    /// The same of the connections, for one client's address.
    connection_share: u8 = Percent("75"),
    /// Addresses of web servers in front of the pool, such as `127.0.0.1`: they may have all connections,
    /// and where a request comes from is what their `X-Forwarded-For` says.
    fronts: Vec<IpAddr> = Addresses(""),
    /// What each token may do that has no limit of its own and is no admin's, such as
    /// `bytes=50GiB/1d,nars=1000/1h`; `requests` and `attestations` can be limited, too.
    token_limits: Quota = Limits(""),
    /// Requests without a token from one client's address, such as `100/1s`.
    anonymous_requests: Option<Rate> = OptionalRate(""),
    /// New attestations by one signer, such as `10000/1h`.
    signer_attestations: Option<Rate> = OptionalRate(""),
    /// How long a connection may take to send a request's header, and stay idle between requests.
    header_timeout: Duration = Timeout("1m"),
    /// How long a body may pause, in either direction, before its connection is closed.
    body_idle_timeout: Duration = Timeout("1m"),
    /// Bytes a second that a body must make in the long run, in either direction. One that is slower is
    /// cut off as if it paused.
    min_body_rate: u64 = Size("1KiB"),
    /// How long a request other than an upload or a download may take.
    request_timeout: Duration = Timeout("1m"),
    /// How long requests in flight are waited for when the pool is told to stop.
    drain_timeout: Duration = Span("30s"),
    /// Within what time every NAR is read once and compared with its hash, in the background, as long
    /// as `scrub-rate` allows that. 0s: never.
    scrub_interval: Duration = Span("30d"),
    /// How many bytes are read for that in a second at most.
    scrub_rate: u64 = Size("10MiB"),
    /// What to log: a level (error, warn, info, debug, trace), or directives of the `tracing`
    /// crate such as `info,pool_server::ingest=debug`.
    log_level: String = LogFilter("info"),
    /// How to log, to standard error: `text` or `json`.
    log_format: LogFormat = LogFormatName("text"),
}

impl Config {
    /// Where the certificate chain and its key are, when the pool is to speak TLS.
    #[must_use]
    pub fn tls(&self) -> Option<(&Path, &Path)> {
        self.tls_cert.as_deref().zip(self.tls_key.as_deref())
    }

    /// How long NARs stay that narinfos of this view name.
    #[must_use]
    pub fn lease_of(&self, view: &View) -> Duration {
        let own = self.view_leases.iter().find(|it| it.view == *view);
        own.map_or(self.lease, |it| it.lease)
    }

    /// What no single key can check.
    fn check(&self) -> Result<(), Invalid> {
        if self.tls_cert.is_some() != self.tls_key.is_some() {
            let absent = if self.tls_cert.is_some() { "tls_key" } else { "tls_cert" };
            return Err(Invalid::at(absent, "missing: TLS needs a certificate and its key".into()));
        }
        let shortest = self.narinfo_max_age + LEASE_MARGIN;
        let leases = self.view_leases.iter().map(|it| ("view_leases", it.lease));
        for (field, lease) in leases.chain([("lease", self.lease)]) {
            if lease < shortest {
                let why = format!(
                    "clients may remember a narinfo for {}s (narinfo-max-age), and its NAR must \
                     outlive that: {}s at least",
                    self.narinfo_max_age.as_secs(),
                    shortest.as_secs()
                );
                return Err(Invalid::at(field, why));
            }
        }
        let signers = self.view_signers.len();
        if signers > 0 && self.view_k.get() > signers {
            let why = format!("{} of {signers} signers can never agree", self.view_k);
            return Err(Invalid::at("view_k", why));
        }
        Ok(())
    }
}

impl Default for Config {
    fn default() -> Self {
        Settings::default().config().unwrap_or_else(|_| unreachable!("a test reads the defaults"))
    }
}

/// What is to be known of a key.
#[derive(Debug)]
pub struct Key {
    /// As in the file and, after two dashes, on the command line.
    pub name: String,
    /// What stands for a value in usage texts.
    pub holder: &'static str,
    /// One or more sentences.
    pub help: &'static str,
    default: &'static str,
    form: Form,
    /// Checks a value, and spells it as we would.
    normal: fn(&str) -> Result<String, String>,
}

impl Key {
    /// The environment's variable.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("{VARIABLE_PREFIX}{}", self.name.to_uppercase().replace('-', "_"))
    }

    /// The default, for people.
    #[must_use]
    pub fn default_text(&self) -> String {
        match self.default.strip_prefix('=') {
            Some(other) => format!("that of {other}"),
            None if self.default.is_empty() => "none".to_owned(),
            None => self.default.to_owned(),
        }
    }

    /// Whether the flag may stand without a value, meaning `true`.
    #[must_use]
    pub fn is_flag(&self) -> bool {
        self.form == Form::Flag
    }
}

/// Every key as a table in Markdown, for the manual.
#[must_use]
pub fn manual() -> String {
    let mut out = String::from("| key | default | meaning |\n|---|---|---|\n");
    for key in KEYS.iter() {
        let default = match key.default_text() {
            text if key.default.is_empty() || key.default.starts_with('=') => text,
            text => format!("`{text}`"),
        };
        out += &format!("| `{}` = {} | {default} | {} |\n", key.name, key.holder, key.help);
    }
    out
}

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}{what}{}", place.as_ref().map(|it| format!("{it}: ")).unwrap_or_default(),
    hint.as_ref().map(|it| format!("\nhint: {it}")).unwrap_or_default())]
pub struct Invalid {
    /// File, line and column; variable; or flag. Absent when no single place is to blame.
    pub place: Option<String>,
    /// What is wrong there.
    pub what: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Invalid {
    fn at(field: &str, why: String) -> Self {
        Self { place: Some(field.replace('_', "-")), what: why, hint: None }
    }
}
