//! TLS: the pool's certificate and its key, which may change while it runs.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum_server::tls_rustls::RustlsConfig;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::signal::unix::{SignalKind, signal};

use crate::rejected::Error;

/// What the pool shows of itself to TLS clients.
pub(super) struct Identity {
    certificate: PathBuf,
    key: PathBuf,
    config: RustlsConfig,
}

impl Identity {
    pub(super) fn load(certificate: &Path, key: &Path) -> Result<Self, Error> {
        let config = RustlsConfig::from_config(read(certificate, key)?);
        Ok(Self { certificate: certificate.to_owned(), key: key.to_owned(), config })
    }

    /// Shared with whoever accepts connections: they use what was loaded last.
    pub(super) fn config(&self) -> RustlsConfig {
        self.config.clone()
    }

    /// Never returns. A certificate that cannot be used is logged, and the last one stays.
    pub(super) async fn reload_on_hangup<T>(&self) -> T {
        let Ok(mut hangups) = signal(SignalKind::hangup()) else {
            tracing::warn!("SIGHUP cannot be listened for: a new certificate needs a restart");
            return std::future::pending().await;
        };
        loop {
            hangups.recv().await;
            match read(&self.certificate, &self.key) {
                Ok(config) => {
                    self.config.reload_from_config(config);
                    tracing::info!("read the certificate again");
                }
                Err(error) => tracing::error!(%error, "the certificate stays as it was"),
            }
        }
    }
}

fn read(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, Error> {
    let unusable = |path: &Path, why: String| Error::Setup {
        detail: format!("{}: {why}", path.display()),
        hint: "tls-cert is a PEM file with the certificate and those above it, tls-key one with \
               its private key"
            .to_owned(),
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|why| unusable(certificate, why.to_string()))?;
    if chain.is_empty() {
        return Err(unusable(certificate, "no certificate is in it".to_owned()));
    }
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|why| unusable(key, why.to_string()))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|why| Error::io("set up TLS")(io::Error::other(why)))?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(|why| unusable(certificate, why.to_string()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
