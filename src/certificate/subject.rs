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
            let (_serial, _algorithm, _issuer) = (skip(reader.next())?, skip(reader.next())?, skip(reader.next())?);
            let ends = reader.next().read_sequence(|reader| {
                skip(reader.next())?;
                time(reader.next())
            })?;
            let common_name = common_name(&reader.next().read_der()?);
            while reader.read_optional(skip)?.is_some() {}
            Ok(Subject { common_name, ends })
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
    (kind == ObjectIdentifier::from_slice(&[2, 5, 4, 3])).then_some(text)
}
