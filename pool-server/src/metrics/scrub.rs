//! What is counted of reading all NARs in the background.

use metrics::{Counter, Gauge, Key, Recorder};
use metrics_exporter_prometheus::PrometheusRecorder;

use super::WHO;

const BYTES: &str = "narpool_scrub_bytes_total";
const NARS: &str = "narpool_scrub_nars_total";
const DAMAGED: &str = "narpool_scrub_damaged_total";
const FINDINGS: &str = "narpool_scrub_findings_total";
const LAST_PASS: &str = "narpool_scrub_last_pass_timestamp_seconds";
const WAITING: &str = "narpool_nars_quarantined";

/// Handles, as those of [`Metrics`](super::Metrics).
pub struct Scrub {
    /// Bytes of files that were read.
    pub bytes: Counter,
    /// NARs that were read to their end.
    pub nars: Counter,
    /// NARs that were found damaged, here or when somebody asked for them, and withdrawn.
    pub damaged: Counter,
    /// Other things that were found to contradict one another.
    pub findings: Counter,
    /// When the last pass over all NARs came to its end, POSIX seconds.
    pub last_pass: Gauge,
    /// NARs that were damaged and wait to be brought again.
    pub waiting: Gauge,
}

impl Scrub {
    pub(super) fn register(recorder: &PrometheusRecorder) -> Self {
        let counter = |name| recorder.register_counter(&Key::from_static_name(name), &WHO);
        let gauge = |name| recorder.register_gauge(&Key::from_static_name(name), &WHO);
        Self {
            bytes: counter(BYTES),
            nars: counter(NARS),
            damaged: counter(DAMAGED),
            findings: counter(FINDINGS),
            last_pass: gauge(LAST_PASS),
            waiting: gauge(WAITING),
        }
    }
}

pub(super) fn describe(recorder: &PrometheusRecorder) {
    for (name, meaning) in [
        (BYTES, "Bytes of NARs' files that were read to see whether they are whole."),
        (NARS, "NARs that were read to see whether they are whole."),
        (DAMAGED, "NARs that were found damaged, and withdrawn."),
        (FINDINGS, "Other things that were found to contradict one another."),
    ] {
        recorder.describe_counter(name.into(), None, meaning.into());
    }
    let meaning = "When every NAR had been read once more; 0 before the first time.";
    recorder.describe_gauge(LAST_PASS.into(), None, meaning.into());
    let meaning = "NARs that were damaged and wait to be brought again.";
    recorder.describe_gauge(WAITING.into(), None, meaning.into());
}
