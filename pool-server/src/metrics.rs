//! What the pool counts, in Prometheus' words: the fields of [`Metrics`] are the list.

mod gc;
mod mirror;
mod quota;
mod scrub;
mod storage;

use std::sync::{Arc, Weak};
use std::time::Duration;

use http::StatusCode;
use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};
use schema::api::RefusedCode;

pub use scrub::Scrub;

const REQUESTS: &str = "narpool_requests_total";
const REQUEST_SECONDS: &str = "narpool_request_seconds";
const NARINFOS: &str = "narpool_narinfos_total";
const NARS: &str = "narpool_nars_received_total";
const NARS_REFUSED: &str = "narpool_nars_refused_total";
const NAR_BYTES: &str = "narpool_nar_bytes_total";
const ATTESTATIONS: &str = "narpool_attestations_received_total";
const ATTESTATIONS_REFUSED: &str = "narpool_attestations_refused_total";
const UPLOADS: &str = "narpool_uploads_in_flight";
const LEDGER_SIZE: &str = "narpool_ledger_entries";
const SEQUENCER_BATCH: &str = "narpool_sequencer_batch_entries";

const WITNESS_COSIGNED: &str = "narpool_witness_cosigned_entries";
const WITNESS_FAILURES: &str = "narpool_witness_failures_total";
const MIRROR_BEHIND: &str = "narpool_mirror_behind_entries";

/// Until this is done, every observed second is kept one by one.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// One pool's metrics. Each field is a handle that costs an atomic operation or two.
pub struct Metrics {
    /// Narinfos served.
    pub narinfos_served: Counter,
    /// Bytes of NARs served, as compressed.
    pub nar_bytes_out: Counter,
    /// Bytes of NARs received, as compressed.
    pub nar_bytes_in: Counter,
    /// Uploads being received.
    pub uploads_in_flight: Gauge,
    /// Entries of the ledger.
    pub ledger_size: Gauge,
    /// Entries that the sequencer wrote with one sync.
    pub sequencer_batch_size: Histogram,
    /// What reading all NARs in the background came to.
    pub scrub: Scrub,
    narinfos_refused: [Counter; REFUSED_CODES.len()],
    nars_stored: Counter,
    nars_known: Counter,
    attestations_new: Counter,
    attestations_known: Counter,
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

impl Metrics {
    /// Starts to count, from zero. Two in one process do not meet.
    #[must_use]
    pub fn install() -> Self {
        let recorder = recorder();
        let counter = |name, label, value| {
            recorder.register_counter(&Key::from_parts(name, vec![Label::new(label, value)]), &WHO)
        };
        let gauge = |name| recorder.register_gauge(&Key::from_static_name(name), &WHO);
        let batch = Key::from_static_name(SEQUENCER_BATCH);
        Self {
            narinfos_served: counter(NARINFOS, "result", "served"),
            nar_bytes_out: counter(NAR_BYTES, "direction", "out"),
            nar_bytes_in: counter(NAR_BYTES, "direction", "in"),
            uploads_in_flight: gauge(UPLOADS),
            ledger_size: gauge(LEDGER_SIZE),
            sequencer_batch_size: recorder.register_histogram(&batch, &WHO),
            scrub: Scrub::register(&recorder),
            narinfos_refused: REFUSED_CODES.map(|code| counter(NARINFOS, "result", code.as_str())),
            nars_stored: counter(NARS, "result", "stored"),
            nars_known: counter(NARS, "result", "known"),
            attestations_new: counter(ATTESTATIONS, "result", "new"),
            attestations_known: counter(ATTESTATIONS, "result", "known"),
            handle: recorder.handle(),
            recorder,
        }
    }

    /// The handles of one route, to be asked for once, when the router is made. The name is the
    /// route's pattern: never text that a client chose.
    #[must_use]
    pub fn route(&self, route: &'static str) -> Route {
        let by_class = ["1xx", "2xx", "3xx", "4xx", "5xx"].map(|class| {
            let labels = vec![Label::new("route", route), Label::new("status", class)];
            self.recorder.register_counter(&Key::from_parts(REQUESTS, labels), &WHO)
        });
        let seconds = Key::from_parts(REQUEST_SECONDS, vec![Label::new("route", route)]);
        let seconds = self.recorder.register_histogram(&seconds, &WHO);
        Route(Arc::new(Handles { by_class, seconds }))
    }

    /// A view showed no narinfo.
    pub fn narinfo_refused(&self, code: RefusedCode) {
        self.narinfos_refused[place_of(code)].increment(1);
    }

    /// A NAR was received whole and holds; `new` if it is kept, otherwise the pool had it.
    pub fn nar_kept(&self, new: bool) {
        if new { &self.nars_stored } else { &self.nars_known }.increment(1);
    }

    /// A NAR was refused, for the reason with this code.
    pub fn nar_refused(&self, code: &'static str) {
        self.refused(NARS_REFUSED, code);
    }

    /// One request's attestations were taken: so many are in the ledger now, so many were before.
    pub fn attested(&self, new: usize, known: usize) {
        self.attestations_new.increment(new as u64);
        self.attestations_known.increment(known as u64);
    }

    /// A request's attestations were refused, for the reason with this code.
    pub fn attestations_refused(&self, code: &'static str) {
        self.refused(ATTESTATIONS_REFUSED, code);
    }

    /// Counts an upload in flight until what is returned is dropped.
    #[must_use]
    pub fn upload_started(&self) -> UploadInFlight {
        self.uploads_in_flight.increment(1);
        UploadInFlight(self.uploads_in_flight.clone())
    }

    /// A witness cosigned a log's checkpoint of this size.
    pub fn witness_cosigned(&self, witness: &str, log: &'static str, size: u64) {
        let key = Key::from_parts(WITNESS_COSIGNED, witness_labels(witness, log));
        self.recorder.register_gauge(&key, &WHO).set(size as f64);
    }

    /// A witness did not cosign when it was asked to.
    pub fn witness_failed(&self, witness: &str, log: &'static str) {
        let key = Key::from_parts(WITNESS_FAILURES, witness_labels(witness, log));
        self.recorder.register_counter(&key, &WHO).increment(1);
    }

    /// A mirror lacks so many entries of the ledger. Mirrors are those in the configuration.
    pub fn mirror_behind(&self, mirror: &str, entries: u64) {
        let key = Key::from_parts(MIRROR_BEHIND, vec![Label::new("mirror", mirror.to_owned())]);
        self.recorder.register_gauge(&key, &WHO).set(entries as f64);
    }

    /// All of it, in Prometheus' text format.
    #[must_use]
    pub fn render(&self) -> String {
        self.handle.render()
    }

    /// Looked up each time: refusing is not the fast path, and the codes are listed elsewhere.
    fn refused(&self, name: &'static str, code: &'static str) {
        let key = Key::from_parts(name, vec![Label::new("code", code)]);
        self.recorder.register_counter(&key, &WHO).increment(1);
    }
}

/// Witnesses are those in the operator's policy: no text of a stranger's becomes a label.
fn witness_labels(witness: &str, log: &'static str) -> Vec<Label> {
    vec![Label::new("witness", witness.to_owned()), Label::new("log", log)]
}

/// Sums up what was observed, for as long as the pool runs.
pub async fn run(metrics: Weak<Metrics>) {
    let mut ticks = tokio::time::interval(UPKEEP_INTERVAL);
    while let Some(metrics) = metrics.upgrade() {
        metrics.handle.run_upkeep();
        drop(metrics);
        ticks.tick().await;
    }
}

/// What is counted of one route. It is cloned for every request, so that must cost next to nothing.
#[derive(Clone)]
pub struct Route(Arc<Handles>);

struct Handles {
    by_class: [Counter; 5],
    seconds: Histogram,
}

impl Route {
    /// A request was answered with `status`, `elapsed` after its header was read.
    pub fn answered(&self, status: StatusCode, elapsed: Duration) {
        if let Some(class) = self.0.by_class.get(usize::from(status.as_u16() / 100).wrapping_sub(1))
        {
            class.increment(1);
        }
        self.0.seconds.record(elapsed);
    }
}

/// See [`Metrics::upload_started`].
pub struct UploadInFlight(Gauge);

impl Drop for UploadInFlight {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

/// The recorder asks by whom a metric is kept; Prometheus does not.
static WHO: Metadata<'static> = Metadata::new("narpool", Level::INFO, None);

fn recorder() -> PrometheusRecorder {
    let seconds = [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 60.0];
    let entries = [1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10_000.0];
    let exact = |name: &str| Matcher::Full(name.to_owned());
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(exact(REQUEST_SECONDS), &seconds)
        .and_then(|builder| builder.set_buckets_for_metric(exact(mirror::DELAY), &seconds))
        .and_then(|builder| builder.set_buckets_for_metric(exact(SEQUENCER_BATCH), &entries))
        .unwrap_or_else(|_| unreachable!("neither list is empty"))
        .build_recorder();
    for (name, meaning) in [
        (REQUESTS, "Requests answered, by route and class of status."),
        (NARINFOS, "Narinfos asked for, by whether they were served, or why not."),
        (NARS, "NARs received whole, by whether they were new."),
        (NARS_REFUSED, "NARs refused, by reason."),
        (NAR_BYTES, "Bytes of NARs, as compressed, by direction."),
        (ATTESTATIONS, "Attestations received, by whether they were new."),
        (ATTESTATIONS_REFUSED, "Requests whose attestations were refused, by reason."),
    ] {
        recorder.describe_counter(name.into(), None, meaning.into());
    }
    recorder.describe_gauge(UPLOADS.into(), None, "Uploads being received.".into());
    recorder.describe_gauge(LEDGER_SIZE.into(), None, "Entries of the ledger.".into());
    let meaning = "Entries of the ledger that a mirror lacks, as far as it has told.";
    recorder.describe_gauge(MIRROR_BEHIND.into(), None, meaning.into());
    let meaning = "Seconds from a request's header to its answer's, by route.";
    recorder.describe_histogram(REQUEST_SECONDS.into(), None, meaning.into());
    mirror::describe(&recorder);
    scrub::describe(&recorder);
    gc::describe(&recorder);
    quota::describe(&recorder);
    storage::describe(&recorder);
    let meaning = "Ledger entries written with one sync.";
    recorder.describe_histogram(SEQUENCER_BATCH.into(), None, meaning.into());
    recorder
}

const REFUSED_CODES: [RefusedCode; 11] = [
    RefusedCode::NeverSeen,
    RefusedCode::NoNar,
    RefusedCode::Collected,
    RefusedCode::Deleted,
    RefusedCode::Damaged,
    RefusedCode::NotEnoughSigners,
    RefusedCode::SignersDisagree,
    RefusedCode::UnknownSigner,
    RefusedCode::PolicyDenies,
    RefusedCode::PolicyUndecided,
    RefusedCode::UnknownPolicy,
];

/// Where a code stands in [`REFUSED_CODES`]; a new one does not compile until it has a place.
fn place_of(code: RefusedCode) -> usize {
    match code {
        RefusedCode::NeverSeen => 0,
        RefusedCode::NoNar => 1,
        RefusedCode::Collected => 2,
        RefusedCode::Deleted => 3,
        RefusedCode::Damaged => 4,
        RefusedCode::NotEnoughSigners => 5,
        RefusedCode::SignersDisagree => 6,
        RefusedCode::UnknownSigner => 7,
        RefusedCode::PolicyDenies => 8,
        RefusedCode::PolicyUndecided => 9,
        RefusedCode::UnknownPolicy => 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_is_rendered() {
        let metrics = Metrics::install();
        let route = metrics.route("/{hash}.narinfo");
        route.answered(StatusCode::OK, Duration::from_millis(2));
        route.answered(StatusCode::NOT_FOUND, Duration::from_micros(50));
        metrics.narinfo_refused(RefusedCode::SignersDisagree);
        metrics.nar_refused("hash_mismatch");
        metrics.nar_kept(true);
        metrics.attested(7, 2);
        metrics.sequencer_batch_size.record(7.0);
        let upload = metrics.upload_started();
        for line in [
            "narpool_requests_total{route=\"/{hash}.narinfo\",status=\"2xx\"} 1",
            "narpool_requests_total{route=\"/{hash}.narinfo\",status=\"4xx\"} 1",
            "narpool_request_seconds_bucket{route=\"/{hash}.narinfo\",le=\"0.0001\"} 1",
            "narpool_request_seconds_bucket{route=\"/{hash}.narinfo\",le=\"0.003\"} 2",
            "narpool_narinfos_total{result=\"signers_disagree\"} 1",
            "narpool_narinfos_total{result=\"served\"} 0",
            "narpool_nars_refused_total{code=\"hash_mismatch\"} 1",
            "narpool_nars_received_total{result=\"stored\"} 1",
            "narpool_attestations_received_total{result=\"new\"} 7",
            "narpool_sequencer_batch_entries_bucket{le=\"10\"} 1",
            "narpool_uploads_in_flight 1",
            "# TYPE narpool_ledger_entries gauge",
        ] {
            let text = metrics.render();
            assert!(text.lines().any(|it| it == line), "{line}\n{text}");
        }
        drop(upload);
        assert!(metrics.render().contains("narpool_uploads_in_flight 0\n"));
    }

    #[test]
    fn two_do_not_meet() {
        let (one, other) = (Metrics::install(), Metrics::install());
        one.narinfos_served.increment(3);
        assert!(one.render().contains("narpool_narinfos_total{result=\"served\"} 3\n"));
        assert!(other.render().contains("narpool_narinfos_total{result=\"served\"} 0\n"));
    }

    #[test]
    fn each_code_has_its_place() {
        for (at, code) in REFUSED_CODES.into_iter().enumerate() {
            assert_eq!(place_of(code), at);
        }
    }
}
