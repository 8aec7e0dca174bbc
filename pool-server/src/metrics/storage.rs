//! What is counted of the disk.

use metrics::{Key, Recorder};
use metrics_exporter_prometheus::PrometheusRecorder;

use super::{Metrics, WHO};

const FREE: &str = "narpool_storage_free_bytes";
const WRITABLE: &str = "narpool_storage_writable";

impl Metrics {
    /// So many bytes are free where the pool keeps things; and whether the database takes anything.
    pub fn storage(&self, free: u64, writable: bool) {
        for (name, value) in [(FREE, free), (WRITABLE, u64::from(writable))] {
            self.recorder.register_gauge(&Key::from_static_name(name), &WHO).set(value as f64);
        }
    }
}

pub(super) fn describe(recorder: &PrometheusRecorder) {
    for (name, meaning) in [
        (FREE, "Bytes that are free on the fullest disk that the pool keeps things on."),
        (WRITABLE, "0 after a write has failed, until the pool has opened its database anew."),
    ] {
        recorder.describe_gauge(name.into(), None, meaning.into());
    }
}
