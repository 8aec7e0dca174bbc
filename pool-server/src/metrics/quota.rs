//! What is counted of those who want too much.

use metrics::{Key, Label, Recorder};
use metrics_exporter_prometheus::PrometheusRecorder;

use super::{Metrics, WHO};

const OVER_QUOTA: &str = "narpool_over_quota_total";
const OVER_SHARE: &str = "narpool_connections_refused_total";

impl Metrics {
    /// A request was refused because of this limit.
    pub fn over_quota(&self, limit: &'static str) {
        let key = Key::from_parts(OVER_QUOTA, vec![Label::new("limit", limit)]);
        self.recorder.register_counter(&key, &WHO).increment(1);
    }

    /// A connection was closed because its address has too many.
    pub fn connection_refused(&self) {
        self.recorder.register_counter(&Key::from_static_name(OVER_SHARE), &WHO).increment(1);
    }
}

pub(super) fn describe(recorder: &PrometheusRecorder) {
    let meaning = "Requests refused because of a limit, by limit. They are in no other count.";
    recorder.describe_counter(OVER_QUOTA.into(), None, meaning.into());
    let meaning = "Connections closed because their address has its share.";
    recorder.describe_counter(OVER_SHARE.into(), None, meaning.into());
}
