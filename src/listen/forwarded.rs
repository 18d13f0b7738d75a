//! The headers in which proxies tell of a request's way, and whom they received it from.
//!
//! They stay here. Azure has no use for them, and they tell of the client's network.

use http::header::{FORWARDED, HeaderMap, HeaderName, HeaderValue};

use super::origin::ClientAddress;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Other names for what `Forwarded` and the headers that begin with `x-forwarded-` say, of one product or another.
const KIN: [&str; 9] = [
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-original-host",
    "x-azure-clientip",
    "x-azure-socketip",
    "x-envoy-external-address",
    "true-client-ip",
    "cf-connecting-ip",
];

/// Takes all of them out of a request.
pub(crate) fn strip_forwarded(headers: &mut HeaderMap) {
    let tells = |name: &&HeaderName| {
        let name = name.as_str();
        name.starts_with("x-forwarded-") || name == FORWARDED.as_str() || KIN.contains(&name)
    };
    let telling: Vec<_> = headers.keys().filter(tells).cloned().collect();
    for name in telling {
        headers.remove(name);
    }
}

/// Whom `X-Forwarded-For` names, nearest first; `None` for what is no address.
pub(super) fn x_forwarded_for(headers: &HeaderMap) -> impl Iterator<Item = Option<ClientAddress>> {
    let lines = headers.get_all(X_FORWARDED_FOR).iter().rev().map(HeaderValue::as_bytes);
    let hops = lines.flat_map(|line| line.rsplit(|byte| *byte == b','));
    hops.map(|hop| ClientAddress::parse(str::from_utf8(hop).ok()?.trim()))
}

/// Whom `Forwarded` names, nearest first; `None` for what is no address, such as `unknown`.
pub(super) fn forwarded(headers: &HeaderMap) -> impl Iterator<Item = Option<ClientAddress>> {
    elements(headers).map(|element| ClientAddress::parse(parameter(element?, "for")?))
}

/// The elements of `Forwarded`, like `for="[2001:db8::1]:4711";proto=https`, nearest first; `None` for a line that cannot
/// be read.
pub(super) fn elements(headers: &HeaderMap) -> impl Iterator<Item = Option<&str>> {
    let lines = headers.get_all(FORWARDED).iter().rev();
    lines.flat_map(|line| {
        let elements = line.to_str().ok().and_then(|line| outside_quotes(line, ','));
        // A line whose quotes are open could be cut wherever a client wishes.
        elements.map_or(vec![None], |elements| elements.into_iter().rev().map(Some).collect())
    })
}

/// What an element says of this name, without quotes; `None` also where it says two things.
pub(super) fn parameter<'e>(element: &'e str, name: &str) -> Option<&'e str> {
    let pairs = outside_quotes(element, ';')?;
    let mut values = pairs.into_iter().filter_map(|pair| {
        let (found, value) = pair.trim().split_once('=')?;
        found.eq_ignore_ascii_case(name).then_some(value)
    });
    let value = values.next().filter(|_| values.next().is_none())?;
    let quoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    Some(quoted.unwrap_or(value))
}

/// The parts of a text between these marks, where a mark in quotes is none; `None` if a quote is left open.
fn outside_quotes(text: &str, mark: char) -> Option<Vec<&str>> {
    let (mut quoted, mut escaped) = (false, false);
    let parts = text
        .split(|c| {
            quoted ^= c == '"' && !escaped;
            escaped = quoted && !escaped && c == '\\';
            c == mark && !quoted
        })
        .collect();
    (!quoted).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &'static str, lines: &[&str]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(name, line.parse().unwrap());
        }
        let show = |hop: Option<ClientAddress>| hop.map_or("?".to_owned(), |hop| hop.to_string());
        if name == "forwarded" {
            forwarded(&headers).map(show).collect()
        } else {
            x_forwarded_for(&headers).map(show).collect()
        }
    }

    #[test]
    fn hops_are_told_from_the_nearest_to_the_farthest() {
        for (lines, hops) in [
            (&["192.0.2.1"][..], &["192.0.2.1"][..]),
            (&["192.0.2.1, 192.0.2.2", "192.0.2.3"], &["192.0.2.3", "192.0.2.2", "192.0.2.1"]),
            // Azure's Application Gateway adds the port.
            (
                &["192.0.2.1:4711,2001:db8::1 , [2001:db8::2]:4711"],
                &["[2001:db8::2]:4711", "2001:db8::1", "192.0.2.1:4711"],
            ),
            (&["[2001:db8::1]", "::ffff:192.0.2.1"], &["192.0.2.1", "2001:db8::1"]),
            (&["unknown, 192.0.2.1,"], &["?", "192.0.2.1", "?"]),
            (&[], &[]),
        ] {
            assert_eq!(told("x-forwarded-for", lines), hops, "{lines:?}");
        }
    }

    #[test]
    fn forwarded_is_read_as_its_rfc_has_it() {
        for (lines, hops) in [
            (&["for=192.0.2.1"][..], &["192.0.2.1"][..]),
            (
                &["For=\"[2001:db8::1]:4711\";proto=https, for=192.0.2.2;by=203.0.113.43"],
                &["192.0.2.2", "[2001:db8::1]:4711"],
            ),
            (&["proto=http; for=\"192.0.2.1:4711\"", "for=\"[2001:db8::1]\""], &["2001:db8::1", "192.0.2.1:4711"]),
            (&["for=unknown, for=_hidden, for=\"_SEVKISEK\""], &["?", "?", "?"]),
            (&["for=192.0.2.1;for=192.0.2.2"], &["?"]),
            (&["proto=https"], &["?"]),
            // What a client writes into a text in quotes is no element.
            (&["for=192.0.2.1;host=\"a, for=192.0.2.9;x=\\\"\""], &["192.0.2.1"]),
            (&["for=192.0.2.1;host=\"a\\\", for=192.0.2.9\""], &["192.0.2.1"]),
            // Nor does a quote that it leaves open make one of what the proxy adds.
            (&["for=\"192.0.2.9, for=192.0.2.1"], &["?"]),
            (&["for=\"192.0.2.9", "for=192.0.2.1"], &["192.0.2.1", "?"]),
        ] {
            assert_eq!(told("forwarded", lines), hops, "{lines:?}");
        }
    }

    #[test]
    fn what_tells_of_the_way_stays_here() {
        let mut headers = HeaderMap::new();
        for name in ["forwarded", "x-forwarded-for", "x-forwarded-anything", "x-real-ip", "true-client-ip", "x-forward"]
        {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static("a"));
            headers.append(HeaderName::from_static(name), HeaderValue::from_static("b"));
        }
        strip_forwarded(&mut headers);
        assert!(headers.keys().eq(["x-forward"]), "{headers:?}");
    }
}
