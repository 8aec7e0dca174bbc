//! What the proxy counts, in Prometheus' words.

use metrics::{Counter, Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use crate::source::{Prefetch, Sources};

const NARINFOS: &str = "narpool_proxy_narinfos_total";
const NARS: &str = "narpool_proxy_nars_total";
const NAR_BYTES: &str = "narpool_proxy_nar_bytes_total";
const SOURCE_NARS: &str = "narpool_proxy_source_nars_total";
const SOURCE_FAULTS: &str = "narpool_proxy_source_faults_total";
const FETCHED_AHEAD: &str = "narpool_proxy_fetched_ahead_total";
const FETCHED_AHEAD_BYTES: &str = "narpool_proxy_fetched_ahead_bytes";

/// One proxy's metrics.
pub(super) struct Metrics {
    /// Narinfos shown.
    pub(super) narinfos_shown: Counter,
    /// NARs sent whole.
    pub(super) nars_sent: Counter,
    /// NARs that nobody gave.
    pub(super) nars_undeliverable: Counter,
    /// NARs of which a client got a part: there was no going on, or it went away.
    pub(super) nars_broken_off: Counter,
    /// Bytes of NARs sent, unpacked.
    pub(super) nar_bytes: Counter,
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

impl Metrics {
    /// Starts to count, from zero. Two in one process do not meet.
    pub(super) fn install() -> Self {
        let recorder = recorder();
        let counter = |name, result| {
            let key = Key::from_parts(name, vec![Label::new("result", result)]);
            recorder.register_counter(&key, &WHO)
        };
        Self {
            narinfos_shown: counter(NARINFOS, "shown"),
            nars_sent: counter(NARS, "sent"),
            nars_undeliverable: counter(NARS, "undeliverable"),
            nars_broken_off: counter(NARS, "broken_off"),
            nar_bytes: recorder.register_counter(&Key::from_static_name(NAR_BYTES), &WHO),
            handle: recorder.handle(),
            recorder,
        }
    }

    /// No narinfo was shown, for the reason with this code.
    pub(super) fn narinfo_refused(&self, code: &'static str) {
        self.counter(NARINFOS, vec![Label::new("result", code)]).increment(1);
    }

    /// All of it, in Prometheus' text format.
    pub(super) fn render(&self, sources: &Sources, prefetch: &Prefetch) -> String {
        for source in sources.all() {
            let record = source.record();
            let label = || Label::new("source", source.address().to_owned());
            self.counter(SOURCE_NARS, vec![label()]).absolute(record.given);
            for (code, count) in record.faults {
                self.counter(SOURCE_FAULTS, vec![label(), Label::new("code", code)])
                    .absolute(count);
            }
        }
        let stock = prefetch.stock();
        for (result, count) in [("taken", stock.taken), ("dropped", stock.dropped)] {
            self.counter(FETCHED_AHEAD, vec![Label::new("result", result)]).absolute(count);
        }
        let bytes = Key::from_static_name(FETCHED_AHEAD_BYTES);
        self.recorder.register_gauge(&bytes, &WHO).set(stock.bytes as f64);
        self.handle.render()
    }

    fn counter(&self, name: &'static str, labels: Vec<Label>) -> Counter {
        self.recorder.register_counter(&Key::from_parts(name, labels), &WHO)
    }
}

/// The recorder asks by whom a metric is kept; Prometheus does not.
static WHO: Metadata<'static> = Metadata::new("narpool", Level::INFO, None);

fn recorder() -> PrometheusRecorder {
    let recorder = PrometheusBuilder::new().build_recorder();
    for (name, meaning) in [
        (NARINFOS, "Narinfos asked for, by whether they were shown, or why not."),
        (NARS, "NARs asked for, by what became of them."),
        (NAR_BYTES, "Bytes of NARs sent, unpacked."),
        (SOURCE_NARS, "NARs that a source gave, whole and right."),
        (SOURCE_FAULTS, "NARs that a source did not give as it should, by what was wrong."),
        (FETCHED_AHEAD, "Files fetched ahead, by whether anybody asked for them."),
    ] {
        recorder.describe_counter(name.into(), None, meaning.into());
    }
    let meaning = "Bytes of files fetched ahead, or set aside for those.";
    recorder.describe_gauge(FETCHED_AHEAD_BYTES.into(), None, meaning.into());
    recorder
}
