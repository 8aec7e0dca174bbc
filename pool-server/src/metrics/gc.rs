//! What is counted of collections.

use metrics::{Key, Label, Recorder};
use metrics_exporter_prometheus::PrometheusRecorder;
use schema::api::GcSummary;

use super::{Metrics, WHO};

const COLLECTIONS: &str = "narpool_collections_total";
const SECONDS: &str = "narpool_collection_seconds";
const SWEPT: &str = "narpool_nars_swept_total";
const SWEPT_BYTES: &str = "narpool_nars_swept_bytes_total";
const NARS: &str = "narpool_nars";
const BYTES: &str = "narpool_nars_bytes";

impl Metrics {
    /// A collection has ended.
    pub fn collected(&self, summary: &GcSummary) {
        let counter = |name| self.recorder.register_counter(&Key::from_static_name(name), &WHO);
        counter(COLLECTIONS).increment(1);
        counter(SWEPT).increment(summary.swept);
        counter(SWEPT_BYTES).increment(summary.swept_bytes);
        let gauge = |name, state| {
            let key = Key::from_parts(name, vec![Label::new("state", state)]);
            self.recorder.register_gauge(&key, &WHO)
        };
        gauge(NARS, "shown").set(summary.kept as f64);
        gauge(BYTES, "shown").set(summary.kept_bytes as f64);
        gauge(NARS, "promised").set(summary.waiting as f64);
        gauge(BYTES, "promised").set(summary.waiting_bytes as f64);
        let seconds = self.recorder.register_gauge(&Key::from_static_name(SECONDS), &WHO);
        seconds.set(summary.millis as f64 / 1000.0);
    }
}

pub(super) fn describe(recorder: &PrometheusRecorder) {
    for (name, meaning) in [
        (COLLECTIONS, "Collections that came to their end."),
        (SWEPT, "NARs that collections removed."),
        (SWEPT_BYTES, "Bytes of files that collections removed."),
    ] {
        recorder.describe_counter(name.into(), None, meaning.into());
    }
    for (name, meaning) in [
        (SECONDS, "How long the last collection took."),
        (NARS, "NARs that are here as of the last collection: shown, or only promised still."),
        (BYTES, "Bytes of their files."),
    ] {
        recorder.describe_gauge(name.into(), None, meaning.into());
    }
}
