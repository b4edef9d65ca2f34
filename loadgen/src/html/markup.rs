//! Text that others wrote, made harmless: nothing of a document is put into a page but through
//! here.

use serde::Serialize;

/// `text` as the content of an element or of an attribute between double quotes.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // What no page may contain, and what would turn its text around (U+202A and the like).
            '\0'..='\u{8}'
            | '\u{b}'..='\u{1f}'
            | '\u{7f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

/// `value` as JSON inside an element `script`, which ends where `</script` stands and nowhere else.
pub fn data(value: &impl Serialize) -> String {
    let text = serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned());
    // Outside of strings JSON has none of these, and inside they may be written so.
    text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_breaks_out_of_an_element_an_attribute_or_a_script() {
        assert_eq!(
            escaped("<script>alert('1')</script>&\"\0\u{202e}"),
            "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;&quot;\u{fffd}\u{fffd}"
        );
        let data = data(&"</script><!-- & -->");
        assert!(!data.contains(['<', '>', '&']));
        assert_eq!(serde_json::from_str::<String>(&data).unwrap(), "</script><!-- & -->");
    }
}
