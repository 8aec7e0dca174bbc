//! What is counted of the logs of others.

use metrics::{Key, Label, Recorder};
use metrics_exporter_prometheus::PrometheusRecorder;

use super::{Metrics, WHO};

pub(super) const ENTRIES: &str = "narpool_mirror_entries";
pub(super) const LAG: &str = "narpool_mirror_lag_entries";
pub(super) const FORKED: &str = "narpool_mirror_forked";
pub(super) const DELAY: &str = "narpool_mirror_delay_seconds";

impl Metrics {
    /// A mirrored log shows so many entries, and its newest checkpoint has `lag` more. Logs are those
    /// that an admin registered: no text of a stranger's becomes a label.
    pub fn mirrored(&self, log: &str, entries: u64, lag: u64, forked: bool) {
        for (name, value) in [(ENTRIES, entries), (LAG, lag), (FORKED, u64::from(forked))] {
            let key = Key::from_parts(name, vec![Label::new("log", log.to_owned())]);
            self.recorder.register_gauge(&key, &WHO).set(value as f64);
        }
    }

    /// An attestation came to the readers of this mirror so many seconds after its ledger took it.
    pub fn mirror_delay(&self, seconds: u64) {
        self.recorder
            .register_histogram(&Key::from_static_name(DELAY), &WHO)
            .record(seconds as f64);
    }
}

pub(super) fn describe(recorder: &PrometheusRecorder) {
    for (name, meaning) in [
        (ENTRIES, "Entries of mirrored logs that are shown here."),
        (LAG, "Entries of mirrored logs that are known of and not shown here yet."),
        (FORKED, "1 if a mirrored log has signed two histories."),
    ] {
        recorder.describe_gauge(name.into(), None, meaning.into());
    }
    let meaning = "Seconds from an attestation's entry in its ledger to its being shown here.";
    recorder.describe_histogram(DELAY.into(), None, meaning.into());
}
