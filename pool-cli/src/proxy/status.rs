//! The status page: plain text, for whoever wonders.

use std::fmt::Write;

use super::Proxy;
use crate::output::bytes;
use crate::source::Kind;

impl Proxy {
    /// What this is, how the judge fares, and what became of asking each source.
    pub(super) fn status(&self) -> String {
        let mut page = format!(
            "narpool proxy {}\n\nstore  {}\nkey    {}\n\n",
            env!("CARGO_PKG_VERSION"),
            self.store_dir,
            self.key.public()
        );
        for line in self.judge.status() {
            let _ = writeln!(page, "{line}");
        }
        let _ = writeln!(page, "\nsources of NARs, which are checked and not believed:");
        for source in self.sources.all() {
            let record = source.record();
            let kind = if source.kind() == Kind::Mirror { " (mirror)" } else { "" };
            let _ = write!(page, "  {}{kind}: {} given", source.address(), record.given);
            if let Some(time) = record.answers_in {
                let _ = write!(page, ", answers in {} ms", time.as_millis());
            }
            for (code, count) in &record.faults {
                let _ = write!(page, ", {code} {count}");
            }
            if let Some(last) = &record.last_fault {
                let _ = write!(page, "\n    last: {last}");
            }
            page.push('\n');
        }
        let stock = self.prefetch.stock();
        let _ = writeln!(
            page,
            "\nfetched ahead: {} in memory; {} files taken, {} dropped",
            bytes(stock.bytes),
            stock.taken,
            stock.dropped
        );
        page
    }
}
