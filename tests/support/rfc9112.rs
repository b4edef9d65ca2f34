//! The head of a request, read slowly and word for word from RFC 9112 and RFC 9110, for the fast
//! reader of the library to be held against. Nothing here is shared with it.

/// Which rule a head breaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Rule {
    /// `request-line = method SP request-target SP HTTP-version` (RFC 9112 §3).
    RequestLine,
    /// `method = token` (RFC 9110 §9.1).
    Method,
    /// One of the four forms of a target (RFC 9112 §3.2).
    Target,
    /// `HTTP-version`, of a major version that is known (RFC 9112 §2.3).
    Version,
    /// A bare CR or LF (RFC 9112 §2.2).
    LineEnd,
    /// `obs-fold` (RFC 9112 §5.2).
    Folding,
    /// `field-name = token`, with no blanks before the colon (RFC 9112 §5.1).
    FieldName,
    /// `field-value` (RFC 9110 §5.5).
    FieldValue,
    /// One `Host = uri-host [ ":" port ]` (RFC 9112 §3.2, RFC 9110 §7.2).
    Host,
    /// A length that is certain (RFC 9112 §6.3).
    Length,
}

/// What a head says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Head {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) minor_version: u8,
    pub(crate) fields: Vec<(String, Vec<u8>)>,
    /// `None` for a body in chunks.
    pub(crate) body_len: Option<u128>,
    /// How many bytes it takes, with what may stand before it.
    pub(crate) len: usize,
}

/// Reads the head that `bytes` begin with; `None` while its end has not come.
pub(crate) fn head(bytes: &[u8]) -> Option<Result<Head, Rule>> {
    let mut rest = bytes;
    // "SHOULD ignore at least one empty line (CRLF) received prior to the request-line" (§2.2).
    while let Some(after) = rest.strip_prefix(b"\r\n") {
        rest = after;
    }
    let mut lines = Vec::new();
    loop {
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        let line = &rest[..end];
        rest = &rest[end + 2..];
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    Some(lines_of_head(&lines, bytes.len() - rest.len()))
}

fn lines_of_head(lines: &[&[u8]], len: usize) -> Result<Head, Rule> {
    if lines.iter().any(|line| line.contains(&b'\r') || line.contains(&b'\n')) {
        return Err(Rule::LineEnd);
    }
    let (request_line, field_lines) = lines.split_first().ok_or(Rule::RequestLine)?;
    let parts: Vec<&[u8]> = request_line.split(|byte| *byte == b' ').collect();
    let [method, target, version] = parts[..] else { return Err(Rule::RequestLine) };
    if !is_token(method) {
        return Err(Rule::Method);
    }
    let minor_version = minor_version(version)?;
    if !is_target(method, target) {
        return Err(Rule::Target);
    }
    let mut fields = Vec::new();
    for line in field_lines {
        fields.push(field(line)?);
    }
    check_host(&fields, minor_version)?;
    let body_len = body_len(&fields, minor_version)?;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Ok(Head { method: text(method), target: text(target), minor_version, fields, body_len, len })
}

/// `HTTP-version = HTTP-name "/" DIGIT "." DIGIT`; a minor version that is not known is to be read
/// as the highest that is (RFC 9110 §2.5).
fn minor_version(version: &[u8]) -> Result<u8, Rule> {
    match version {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor] if minor.is_ascii_digit() => {
            Ok((minor - b'0').min(1))
        }
        _ => Err(Rule::Version),
    }
}

fn field(line: &[u8]) -> Result<(String, Vec<u8>), Rule> {
    if line.starts_with(b" ") || line.starts_with(b"\t") {
        return Err(Rule::Folding);
    }
    let colon = line.iter().position(|byte| *byte == b':').ok_or(Rule::FieldName)?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if !is_token(name) {
        return Err(Rule::FieldName);
    }
    let is_blank = |byte: &u8| *byte == b' ' || *byte == b'\t';
    let first = value.iter().position(|byte| !is_blank(byte)).unwrap_or(value.len());
    let last = value.iter().rposition(|byte| !is_blank(byte)).map_or(first, |last| last + 1);
    let value = &value[first..last];
    // `field-vchar = VCHAR / obs-text`, and blanks between them.
    if !value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~' | 0x80..=0xFF)) {
        return Err(Rule::FieldValue);
    }
    Ok((String::from_utf8(name.to_vec()).unwrap(), value.to_vec()))
}

/// `token = 1*tchar` (RFC 9110 §5.6.2).
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && bytes.iter().all(|byte| match byte {
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_'
            | b'`' | b'|' | b'~' => true,
            byte => byte.is_ascii_alphanumeric(),
        })
}

fn is_target(method: &[u8], target: &[u8]) -> bool {
    match method {
        b"CONNECT" => is_host_and_port(target, true),
        _ if target == b"*" => method == b"OPTIONS",
        _ if target.starts_with(b"/") => is_path_and_query(target),
        _ => is_absolute(target),
    }
}

/// `scheme "://" authority path-abempty [ "?" query ]`, which is the only kind of `absolute-URI`
/// that names something on the Web (RFC 9110 §4.2).
fn is_absolute(target: &[u8]) -> bool {
    let Some(at) = target.windows(3).position(|three| three == b"://") else { return false };
    let (scheme, rest) = (&target[..at], &target[at + 3..]);
    let is_scheme = scheme.first().is_some_and(u8::is_ascii_alphabetic)
        && scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte));
    let end = rest.iter().position(|byte| b"/?".contains(byte)).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    is_scheme && !authority.is_empty() && is_host_and_port(authority, false) && {
        is_path_and_query(path)
    }
}

/// `*( "/" segment ) [ "?" query ]`, each byte a `pchar`, a slash or, in the query, a `?`.
fn is_path_and_query(target: &[u8]) -> bool {
    let question = target.iter().position(|byte| *byte == b'?').unwrap_or(target.len());
    let (path, query) = target.split_at(question);
    is_made_of(path, b":@/") && is_made_of(query, b":@/?")
}

/// Whether `bytes` are `unreserved / pct-encoded / sub-delims` and `more` (RFC 3986 §2).
fn is_made_of(bytes: &[u8], more: &[u8]) -> bool {
    let mut rest = bytes;
    loop {
        rest = match rest {
            [] => return true,
            [b'%', high, low, after @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                after
            }
            [byte, after @ ..]
                if byte.is_ascii_alphanumeric()
                    || b"-._~!$&'()*+,;=".contains(byte)
                    || more.contains(byte) =>
            {
                after
            }
            _ => return false,
        }
    }
}

/// `uri-host [ ":" port ]`
fn is_host_and_port(bytes: &[u8], needs_port: bool) -> bool {
    let end = if bytes.starts_with(b"[") {
        let Some(end) = bytes.iter().position(|byte| *byte == b']') else { return false };
        end + 1
    } else {
        bytes.iter().position(|byte| *byte == b':').unwrap_or(bytes.len())
    };
    let (host, port) = bytes.split_at(end);
    let is_host = match host {
        // IPv6, or an address of the future: both of these bytes.
        [b'[', inner @ .., b']'] => !inner.is_empty() && is_made_of(inner, b":"),
        host => is_made_of(host, b""),
    };
    let is_port = match port {
        [] => !needs_port,
        [b':', digits @ ..] => digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    is_host && is_port
}

/// "A server MUST respond with a 400 to any HTTP/1.1 request message that lacks a Host header field
/// and to any request message that contains more than one" (RFC 9112 §3.2).
fn check_host(fields: &[(String, Vec<u8>)], minor_version: u8) -> Result<(), Rule> {
    match &values(fields, "host")[..] {
        [] if minor_version == 0 => Ok(()),
        [host] if is_host_and_port(host, false) => Ok(()),
        _ => Err(Rule::Host),
    }
}

/// RFC 9112 §6.3, where both fields are an error and repeated lengths may be one.
fn body_len(fields: &[(String, Vec<u8>)], minor_version: u8) -> Result<Option<u128>, Rule> {
    let codings = values(fields, "transfer-encoding");
    let lengths = values(fields, "content-length");
    match (&codings[..], &lengths[..]) {
        ([], []) => Ok(Some(0)),
        ([], [digits]) if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) => {
            let digit = |sum: u128, byte: &u8| {
                sum.saturating_mul(10).saturating_add(u128::from(byte - b'0'))
            };
            Ok(Some(digits.iter().fold(0, digit)))
        }
        ([.., last], []) if minor_version == 1 => {
            let final_coding = last.rsplit(|byte| *byte == b',').next().unwrap_or(last);
            let is_chunked = final_coding.trim_ascii().eq_ignore_ascii_case(b"chunked");
            if is_chunked { Ok(None) } else { Err(Rule::Length) }
        }
        _ => Err(Rule::Length),
    }
}

/// The values of every field of that name.
pub(crate) fn values<'f>(fields: &'f [(String, Vec<u8>)], name: &str) -> Vec<&'f [u8]> {
    let mut found = Vec::new();
    for (field, value) in fields {
        if field.eq_ignore_ascii_case(name) {
            found.push(&value[..]);
        }
    }
    found
}

/// Whether the list `name` has `token`, without regard to case (RFC 9110 §5.6.1).
pub(crate) fn lists(head: &Head, name: &str, token: &str) -> bool {
    let joined = values(&head.fields, name).join(&b","[..]);
    let mut members = joined.split(|byte| *byte == b',');
    members.any(|member| member.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}
