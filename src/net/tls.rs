//! Stage `net`: TLS towards clients. In: PEM files. Out: encrypted streams. Invariant: a certificate that cannot be
//! loaded anew leaves the last good one in force.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwapOption;
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::ByteStream;
use crate::config::{ServerTlsConfig, ServerTlsMode};

/// The ALPN protocol name of PostgreSQL 17.
/// <https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL>
pub const ALPN: &[u8] = b"postgresql";

/// Why TLS towards clients cannot be set up. `Display` says which file and how to mend it.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// `tls.cert` or `tls.key` is missing although the mode needs it.
    #[error("tls.mode needs `cert` and `key` in `[tls]`")]
    Missing,
    /// A file cannot be read, or holds no PEM of the right kind.
    #[error("could not read {what} from {}: {reason} (check `[tls]`)", .path.display())]
    File {
        /// `the certificate chain` or `the private key`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Certificate and key do not fit.
    #[error("certificate {} and its key cannot be used: {source} (do they belong together?)", .path.display())]
    Unusable {
        /// The certificate.
        path: PathBuf,
        /// What rustls said.
        source: rustls::Error,
    },
}

/// The certificate in force; replaced by [`Certificates::reload`].
#[derive(Debug)]
pub struct Certificates {
    config: ServerTlsConfig,
    current: ArcSwapOption<ServerConfig>,
}

impl Certificates {
    /// Loads what the configuration names; nothing when TLS is off.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn load(config: &ServerTlsConfig) -> Result<Self, TlsError> {
        let made = Self { config: config.clone(), current: ArcSwapOption::empty() };
        made.reload()?;
        Ok(made)
    }

    /// Reads the files again. Sessions that are open keep what they have.
    ///
    /// # Errors
    /// See [`TlsError`]; the last good certificate then stays in force.
    pub fn reload(&self) -> Result<(), TlsError> {
        if self.config.mode == ServerTlsMode::Off {
            return Ok(());
        }
        let (Some(cert), Some(key)) = (&self.config.cert, &self.config.key) else { return Err(TlsError::Missing) };
        self.current.store(Some(Arc::new(server_config(cert, key)?)));
        Ok(())
    }

    /// Whether clients may or must encrypt.
    pub fn mode(&self) -> ServerTlsMode {
        self.config.mode
    }

    /// Shakes hands on `stream`. None when TLS is off.
    ///
    /// # Errors
    /// What went wrong with the handshake.
    pub async fn accept<S: ByteStream>(&self, stream: S) -> Option<io::Result<TlsStream<S>>> {
        let config = self.current.load_full()?;
        Some(TlsAcceptor::from(config).accept(stream).await)
    }
}

fn server_config(cert: &Path, key: &Path) -> Result<ServerConfig, TlsError> {
    let what = "the certificate chain";
    let failed = |what, path: &Path, reason: String| TlsError::File { what, path: path.to_owned(), reason };
    let chain = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| failed(what, cert, error.to_string()))?;
    if chain.is_empty() {
        return Err(failed(what, cert, "it holds no certificate".to_owned()));
    }
    let private =
        PrivateKeyDer::from_pem_file(key).map_err(|error| failed("the private key", key, error.to_string()))?;
    let unusable = |source| TlsError::Unusable { path: cert.to_owned(), source };
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(unusable)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(config)
}
