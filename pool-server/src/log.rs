//! Structured logs, to standard error.

use std::io;

use tracing_subscriber::EnvFilter;

use crate::config::{Config, LogFormat};

/// Starts to log as configured. A second call in one process changes nothing.
pub fn start(config: &Config) {
    let filter = EnvFilter::builder().parse_lossy(&config.log_level);
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    // Standard error may be a file on a full disk. To tell of that there, too, is to panic.
    let builder = builder.log_internal_errors(false);
    let _ = match config.log_format {
        LogFormat::Text => builder.with_ansi(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}

/// Whether a text says what to log; the error says why not.
pub(crate) fn check_filter(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("write a level, or `off`".into());
    }
    EnvFilter::builder().parse(text).map(|_| ()).map_err(|why| why.to_string())
}
