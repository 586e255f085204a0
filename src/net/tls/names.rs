//! The names that Go's TLS has for versions, cipher suites, curves and ways to ask for certificates.
//!
//! Invariant: a name that is refused is answered with those that are not, and with the reason.

use std::str::FromStr;

use rustls::crypto::SupportedKxGroup;
use rustls::crypto::ring::cipher_suite as suites;
use rustls::crypto::ring::kx_group;
use rustls::{SupportedCipherSuite, SupportedProtocolVersion};

/// Why a name is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{name}' is not {what}; {advice}")]
pub struct TlsNameError {
    name: String,
    what: &'static str,
    advice: String,
}

/// A version of TLS that is still considered safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

impl TlsVersion {
    pub(super) fn of_rustls(self) -> &'static SupportedProtocolVersion {
        match self {
            Self::Tls12 => &rustls::version::TLS12,
            Self::Tls13 => &rustls::version::TLS13,
        }
    }
}

impl FromStr for TlsVersion {
    type Err = TlsNameError;

    fn from_str(name: &str) -> Result<Self, TlsNameError> {
        match name {
            "TLS12" => Ok(Self::Tls12),
            "TLS13" => Ok(Self::Tls13),
            _ => {
                let advice = match name {
                    "TLS10" | "TLS11" => "it is not safe (RFC 8996), use TLS12 or TLS13",
                    _ => "TLS12 and TLS13 are",
                };
                let advice = advice.to_owned();
                Err(TlsNameError { name: name.to_owned(), what: "a supported version", advice })
            }
        }
    }
}

/// A cipher suite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CipherSuite(pub(super) SupportedCipherSuite);

/// All that there are, by Go's names. Those of TLS 1.3 come first.
static SUITES: [(&str, SupportedCipherSuite); 9] = [
    ("TLS_AES_128_GCM_SHA256", suites::TLS13_AES_128_GCM_SHA256),
    ("TLS_AES_256_GCM_SHA384", suites::TLS13_AES_256_GCM_SHA384),
    ("TLS_CHACHA20_POLY1305_SHA256", suites::TLS13_CHACHA20_POLY1305_SHA256),
    ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", suites::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
    ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", suites::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
    ("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", suites::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256),
    ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", suites::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
    ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", suites::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384),
    ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", suites::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256),
];

impl FromStr for CipherSuite {
    type Err = TlsNameError;

    fn from_str(name: &str) -> Result<Self, TlsNameError> {
        if let Some((_, suite)) = SUITES.iter().find(|(own, _)| *own == name) {
            return Ok(Self(*suite));
        }
        let is_unsafe = name.starts_with("TLS_RSA_") || name.contains("_CBC_") || name.contains("RC4");
        let reason = if is_unsafe { "it is not safe, use some of " } else { "supported are " };
        let advice = format!("{reason}{}", SUITES.map(|(name, _)| name).join(", "));
        Err(TlsNameError { name: name.to_owned(), what: "a supported cipher suite", advice })
    }
}

/// A curve to agree on a key with.
#[derive(Clone, Copy, Debug)]
pub struct Curve(pub(super) &'static dyn SupportedKxGroup);

impl FromStr for Curve {
    type Err = TlsNameError;

    fn from_str(name: &str) -> Result<Self, TlsNameError> {
        match name {
            "X25519" => Ok(Self(kx_group::X25519)),
            "CurveP256" => Ok(Self(kx_group::SECP256R1)),
            "CurveP384" => Ok(Self(kx_group::SECP384R1)),
            _ => Err(TlsNameError {
                name: name.to_owned(),
                what: "a supported curve",
                advice: "X25519, CurveP256 and CurveP384 are".to_owned(),
            }),
        }
    }
}

/// Whether clients are asked for a certificate, and what one must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// Not asked.
    #[default]
    NoClientCert,
    /// Asked; whatever they show is taken, and nothing is too.
    RequestClientCert,
    /// They must show one, whoever has signed it.
    RequireAnyClientCert,
    /// They may show one, which must then be signed by a known authority.
    VerifyClientCertIfGiven,
    /// They must show one that is signed by a known authority.
    RequireAndVerifyClientCert,
}

impl ClientAuth {
    /// Whether a client without a certificate is turned away.
    pub fn requires(self) -> bool {
        matches!(self, Self::RequireAnyClientCert | Self::RequireAndVerifyClientCert)
    }

    /// Whether certificates are checked against authorities.
    pub fn verifies(self) -> bool {
        matches!(self, Self::VerifyClientCertIfGiven | Self::RequireAndVerifyClientCert)
    }
}

impl FromStr for ClientAuth {
    type Err = TlsNameError;

    fn from_str(name: &str) -> Result<Self, TlsNameError> {
        Ok(match name {
            "" | "NoClientCert" => Self::NoClientCert,
            "RequestClientCert" => Self::RequestClientCert,
            // The second name is the one that the documentation of Prometheus's programs has.
            "RequireAnyClientCert" | "RequireClientCert" => Self::RequireAnyClientCert,
            "VerifyClientCertIfGiven" => Self::VerifyClientCertIfGiven,
            "RequireAndVerifyClientCert" => Self::RequireAndVerifyClientCert,
            _ => {
                return Err(TlsNameError {
                    name: name.to_owned(),
                    what: "a way to ask for client certificates",
                    advice:
                        "NoClientCert, RequestClientCert, RequireAnyClientCert, VerifyClientCertIfGiven and \
                             RequireAndVerifyClientCert are"
                            .to_owned(),
                });
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_suite_has_its_own_name() {
        for (name, suite) in SUITES {
            let own = format!("{:?}", suite.suite()).replace("TLS13_", "TLS_");
            assert_eq!(own, name);
            assert_eq!(name.parse(), Ok(CipherSuite(suite)));
        }
        assert_eq!(SUITES.len(), rustls::crypto::ring::ALL_CIPHER_SUITES.len());
    }

    #[test]
    fn what_is_refused_says_what_to_use() {
        let refused = |error: TlsNameError| error.to_string();
        assert!(refused("TLS11".parse::<TlsVersion>().unwrap_err()).contains("not safe"));
        assert!(refused("TLS14".parse::<TlsVersion>().unwrap_err()).contains("TLS12 and TLS13 are"));
        let cbc = "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA".parse::<CipherSuite>().unwrap_err();
        assert!(refused(cbc).contains("it is not safe, use some of TLS_AES_128_GCM_SHA256, "));
        assert!(refused("AES".parse::<CipherSuite>().unwrap_err()).contains("supported are"));
        assert!(refused("CurveP521".parse::<Curve>().unwrap_err()).contains("X25519"));
        assert!(refused("Always".parse::<ClientAuth>().unwrap_err()).contains("RequireAndVerifyClientCert"));
    }
}
