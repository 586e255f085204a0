//! Certificates of clients: those that must be signed by a known authority, and those that are only asked for.
//!
//! Invariant: whatever is asked for, a client must hold the key of the certificate that it shows.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// Asks for certificates of these authorities, with one of these names if there are any.
pub(super) fn verified(
    provider: &Arc<CryptoProvider>,
    roots: RootCertStore,
    mandatory: bool,
    allowed_names: &[String],
) -> Result<Arc<dyn ClientCertVerifier>, VerifierBuilderError> {
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let builder = if mandatory { builder } else { builder.allow_unauthenticated() };
    let authorities = builder.build()?;
    if allowed_names.is_empty() {
        return Ok(authorities);
    }
    Ok(Arc::new(Named { authorities, allowed: allowed_names.to_vec() }))
}

/// Asks for certificates, whoever has signed them.
pub(super) fn unverified(provider: Arc<CryptoProvider>, mandatory: bool) -> Arc<dyn ClientCertVerifier> {
    Arc::new(Any { provider, mandatory })
}

/// A subject alternative name.
#[derive(Debug, PartialEq, Eq)]
enum Name {
    Ip(IpAddr),
    /// Its letter case does not matter.
    Dns(String),
    /// An e-mail address or a URI.
    Other(String),
}

impl Name {
    fn of(name: &GeneralName) -> Option<Self> {
        match name {
            GeneralName::DnsName(name) => Some(Self::Dns(name.as_str().to_owned())),
            GeneralName::Rfc822Name(text) | GeneralName::UniformResourceIdentifier(text) => {
                Some(Self::Other(text.as_str().to_owned()))
            }
            GeneralName::IpAddress(octets) => {
                let four = <[u8; 4]>::try_from(octets.as_bytes()).map(IpAddr::from);
                let sixteen = <[u8; 16]>::try_from(octets.as_bytes()).map(IpAddr::from);
                four.or(sixteen).ok().map(Self::Ip)
            }
            _ => None,
        }
    }

    /// Whether a name in the settings means this one.
    fn is(&self, allowed: &str) -> bool {
        match self {
            Self::Ip(ip) => allowed.parse() == Ok(*ip),
            Self::Dns(name) => name.eq_ignore_ascii_case(allowed),
            Self::Other(text) => text == allowed,
        }
    }
}

/// The names in a certificate.
fn names(certificate: &CertificateDer<'_>) -> Result<Vec<Name>, Error> {
    let malformed = |_| Error::InvalidCertificate(CertificateError::BadEncoding);
    let certificate = Certificate::from_der(certificate).map_err(malformed)?;
    let found = certificate.tbs_certificate().get_extension::<SubjectAltName>().map_err(malformed)?;
    Ok(found
        .map(|(_, SubjectAltName(names))| names.iter().filter_map(Name::of).collect())
        .unwrap_or_default())
}

/// Lets in who has a certificate of a known authority with an allowed name.
#[derive(Debug)]
struct Named {
    authorities: Arc<dyn ClientCertVerifier>,
    allowed: Vec<String>,
}

impl ClientCertVerifier for Named {
    fn client_auth_mandatory(&self) -> bool {
        self.authorities.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.authorities.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.authorities.verify_client_cert(certificate, intermediates, now)?;
        let names = names(certificate)?;
        let is_allowed = names.iter().any(|name| self.allowed.iter().any(|allowed| name.is(allowed)));
        if is_allowed {
            Ok(verified)
        } else {
            Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }
}

/// Takes any certificate.
#[derive(Debug)]
struct Any {
    provider: Arc<CryptoProvider>,
    mandatory: bool,
}

impl ClientCertVerifier for Any {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
