//! What webpki does not tell of a certificate: whose it is by its own words, and how long it is good.

use std::time::SystemTime;

use rustls::pki_types::CertificateDer;
use yasna::models::ObjectIdentifier;
use yasna::tags::{TAG_GENERALIZEDTIME, TAG_UTCTIME};
use yasna::{ASN1Error, ASN1ErrorKind, ASN1Result, BERReader, Tag};

/// The subject of a certificate (RFC 5280, 4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    /// The common name, where that is all that its name has.
    pub(crate) common_name: Option<String>,
    /// What people call whoever has signed it: the common name, or else the organization; `None` if it has neither.
    pub(crate) issuer: Option<String>,
    /// When the certificate begins.
    pub(crate) begins: SystemTime,
    /// When the certificate ends.
    pub(crate) ends: SystemTime,
}

impl Subject {
    /// Reads it; `None` for what is no certificate.
    pub(crate) fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        yasna::parse_der(certificate, certified).ok()
    }
}

/// The signed part, the algorithm and the signature.
fn certified(reader: BERReader<'_, '_>) -> ASN1Result<Subject> {
    reader.read_sequence(|reader| {
        let subject = reader.next().read_sequence(|reader| {
            // The version, which the oldest certificates do not tell.
            reader.read_optional(|reader| reader.read_tagged(Tag::context(0), |reader| reader.read_i64()))?;
            let (_serial, _algorithm) = (skip(reader.next())?, skip(reader.next())?);
            let issuer = called(&reader.next().read_der()?);
            let (begins, ends) =
                reader.next().read_sequence(|reader| Ok((time(reader.next())?, time(reader.next())?)))?;
            let common_name = common_name(&reader.next().read_der()?);
            while reader.read_optional(skip)?.is_some() {}
            Ok(Subject { common_name, issuer, begins, ends })
        })?;
        let (_algorithm, _signature) = (skip(reader.next())?, skip(reader.next())?);
        Ok(subject)
    })
}

fn skip(reader: BERReader<'_, '_>) -> ASN1Result<()> {
    reader.read_der().map(drop)
}

fn time(reader: BERReader<'_, '_>) -> ASN1Result<SystemTime> {
    let time = match reader.lookahead_tag()? {
        TAG_UTCTIME => *reader.read_utctime()?.datetime(),
        TAG_GENERALIZEDTIME => *reader.read_generalized_time()?.datetime(),
        _ => return Err(ASN1Error::new(ASN1ErrorKind::Invalid)),
    };
    Ok(time.into())
}

/// Of a name that is a common name, in UTF-8, and nothing else.
fn common_name(name: &[u8]) -> Option<String> {
    let alone = yasna::parse_der(name, |reader| {
        reader.read_sequence(|reader| {
            reader.next().read_set(|reader| {
                reader.next(&[yasna::tags::TAG_SEQUENCE])?.read_sequence(|reader| {
                    let kind = reader.next().read_oid()?;
                    let text = reader.next().read_utf8string()?;
                    Ok((kind, text))
                })
            })
        })
    });
    let (kind, text) = alone.ok()?;
    (kind == ObjectIdentifier::from_slice(COMMON_NAME)).then_some(text)
}

const COMMON_NAME: &[u64] = &[2, 5, 4, 3];
const ORGANIZATION: &[u64] = &[2, 5, 4, 10];

/// What people call the bearer of a name that may have many parts.
fn called(name: &[u8]) -> Option<String> {
    let parts = yasna::parse_der(name, |reader| {
        reader.collect_sequence_of(|reader| {
            reader.collect_set_of(|reader| {
                reader.read_sequence(|reader| Ok((reader.next().read_oid()?, reader.next().read_tagged_der()?)))
            })
        })
    });
    let parts: Vec<_> = parts.ok()?.into_iter().flatten().collect();
    let part = |kind: &[u64]| {
        let kind = ObjectIdentifier::from_slice(kind);
        let (_, text) = parts.iter().find(|(of, _)| *of == kind)?;
        // Whichever of the many kinds of text it is: those that are in use are ASCII or UTF-8.
        let text = String::from_utf8_lossy(text.value());
        let text: String = text.chars().filter(|c| !c.is_control()).collect();
        Some(text).filter(|text| !text.is_empty())
    };
    part(COMMON_NAME).or_else(|| part(ORGANIZATION))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_called_by_the_name_that_people_know() {
        let name = |parts: &[(rcgen::DnType, &str)]| {
            let mut name = rcgen::DistinguishedName::new();
            parts.iter().for_each(|(kind, text)| name.push(kind.clone(), *text));
            let mut parameters = rcgen::CertificateParams::default();
            parameters.distinguished_name = name;
            let key = rcgen::KeyPair::generate().unwrap();
            Subject::of(parameters.self_signed(&key).unwrap().der()).unwrap().issuer
        };
        let (country, organization) = (rcgen::DnType::CountryName, rcgen::DnType::OrganizationName);
        let corp = [(country, "US"), (organization, "Corp"), (rcgen::DnType::CommonName, "Corp CA 04")];
        assert_eq!(name(&corp).as_deref(), Some("Corp CA 04"));
        assert_eq!(name(&corp[..2]).as_deref(), Some("Corp"));
        assert_eq!(name(&corp[..1]), None);
    }
}
