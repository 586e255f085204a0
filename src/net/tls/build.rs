//! From settings to a configuration that can serve.
//!
//! Invariant: every error says which of the settings is to blame.

use std::ops::RangeInclusive;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig, version};

use super::clients;
use super::names::{CipherSuite, ClientAuth, Curve, TlsVersion};
use super::{TlsConfig, TlsGuards};

/// What can be set about TLS. Certificates and keys are the bytes of PEM files.
#[derive(Clone)]
pub struct TlsOptions {
    /// The server's certificate and those between it and its authority, in that order.
    pub certificate: Vec<u8>,
    /// The key of the first certificate.
    pub key: Vec<u8>,
    /// Whether and how clients show certificates.
    pub client_auth: ClientAuth,
    /// The authorities that may sign certificates of clients.
    pub client_ca: Option<Vec<u8>>,
    /// Subject alternative names of which a client's certificate must have one; all will do if there are none.
    pub client_allowed_sans: Vec<String>,
    /// The versions spoken.
    pub versions: RangeInclusive<TlsVersion>,
    /// The suites of TLS 1.2, the most wanted first; all that there are if empty. Those of TLS 1.3 are always on, as
    /// with Go.
    pub cipher_suites: Vec<CipherSuite>,
    /// The curves, the most wanted first; all that there are if empty.
    pub curves: Vec<Curve>,
    /// Whether our order of suites counts, and not the client's.
    pub prefers_own_order: bool,
    /// Whether HTTP/2 is offered.
    pub http2: bool,
}

/// What is wrong with settings that each look right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// The certificate, or the chain.
    #[error("{0}")]
    Certificate(String),
    /// The key.
    #[error("{0}")]
    Key(String),
    /// The authorities of clients.
    #[error("{0}")]
    ClientCa(String),
    /// The versions, suites and curves together leave nothing.
    #[error(
        "min_version, max_version, cipher_suites and curve_preferences together leave nothing to speak: {0}"
    )]
    Nothing(String),
}

impl TlsOptions {
    /// Makes a configuration of it.
    pub fn build(&self) -> Result<TlsConfig, TlsError> {
        let chain = certificates(&self.certificate).map_err(TlsError::Certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|error| {
            let reason = match error {
                pem::Error::NoItemsFound => {
                    "there is no private key in it (one that is encrypted is not read)".to_owned()
                }
                other => format!("it is not PEM: {other}"),
            };
            TlsError::Key(reason)
        })?;
        let provider = Arc::new(self.provider());
        let versions: Vec<_> = [TlsVersion::Tls12, TlsVersion::Tls13]
            .into_iter()
            .filter(|version| self.versions.contains(version))
            .map(TlsVersion::of_rustls)
            .collect();
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions)
            .map_err(|error| TlsError::Nothing(error.to_string()))?;
        let client_authorities = self.client_authorities()?;
        let builder = match self.verifier(&provider, &client_authorities)? {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut server = builder.with_single_cert(chain, key).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                TlsError::Key("it is not the key of the certificate".to_owned())
            }
            rustls::Error::InvalidCertificate(reason) => {
                TlsError::Certificate(format!("the certificate is malformed: {reason}"))
            }
            other => TlsError::Key(format!("the key cannot be used: {other}")),
        })?;
        server.ignore_client_order = self.prefers_own_order;
        let protocols = [&b"h2"[..], b"http/1.1"];
        let spoken = if self.http2 { &protocols[..] } else { &protocols[1..] };
        server.alpn_protocols = spoken.iter().map(|protocol| protocol.to_vec()).collect();
        let guards = TlsGuards {
            client_auth: self.client_auth,
            client_authorities,
            client_allowed_sans: self.client_allowed_sans.clone(),
            min_version: *self.versions.start(),
        };
        Ok(TlsConfig { server: Arc::new(server), guards: Arc::new(guards) })
    }

    fn provider(&self) -> CryptoProvider {
        let mut provider = rustls::crypto::ring::default_provider();
        if !self.cipher_suites.is_empty() {
            provider.cipher_suites.retain(|suite| suite.version() == &version::TLS13);
            let chosen = self.cipher_suites.iter().map(|suite| suite.0);
            provider.cipher_suites.extend(chosen.filter(|suite| suite.version() == &version::TLS12));
        }
        if !self.curves.is_empty() {
            provider.kx_groups = self.curves.iter().map(|curve| curve.0).collect();
        }
        provider
    }

    fn verifier(
        &self,
        provider: &Arc<CryptoProvider>,
        authorities: &[CertificateDer<'static>],
    ) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
        let unverified = |mandatory| clients::unverified(Arc::clone(provider), mandatory);
        Ok(match self.client_auth {
            ClientAuth::NoClientCert => None,
            ClientAuth::RequestClientCert => Some(unverified(false)),
            ClientAuth::RequireAnyClientCert => Some(unverified(true)),
            ClientAuth::VerifyClientCertIfGiven | ClientAuth::RequireAndVerifyClientCert => {
                let mandatory = self.client_auth == ClientAuth::RequireAndVerifyClientCert;
                let roots = roots(authorities)?;
                let sans = &self.client_allowed_sans;
                let verifier = clients::verified(provider, roots, mandatory, sans);
                Some(verifier.map_err(|error| TlsError::ClientCa(error.to_string()))?)
            }
        })
    }

    /// Those that are asked; none where certificates of clients are not verified.
    fn client_authorities(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        if !self.client_auth.verifies() {
            return Ok(Vec::new());
        }
        certificates(self.client_ca.as_deref().unwrap_or_default()).map_err(TlsError::ClientCa)
    }
}

fn roots(authorities: &[CertificateDer<'static>]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in authorities {
        roots.add(certificate.clone()).map_err(|error| {
            TlsError::ClientCa(format!("an authority's certificate is malformed: {error}"))
        })?;
    }
    Ok(roots)
}

/// The certificates in a PEM file; at least one.
fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Vec<_> = CertificateDer::pem_slice_iter(text)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("it is not PEM: {error}"))?;
    if all.is_empty() { Err("there is no certificate in it".to_owned()) } else { Ok(all) }
}
