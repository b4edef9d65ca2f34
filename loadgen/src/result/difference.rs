//! In which fields two parts of result files differ.

use serde::Serialize;
use serde_json::Value;

/// A field that is not the same in two files.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Difference {
    /// Its name, from the outermost part to the innermost.
    pub field: String,
    /// What it is in one file.
    pub one: String,
    /// What it is in the other.
    pub other: String,
}

/// All fields of `one` and `other` that differ, as parts of `field`.
pub fn differences(field: &str, one: &impl Serialize, other: &impl Serialize) -> Vec<Difference> {
    // What cannot be written as JSON has no fields to differ in.
    let value = |part: Result<Value, _>| part.unwrap_or_default();
    let (one, other) = (value(serde_json::to_value(one)), value(serde_json::to_value(other)));
    let mut found = Vec::new();
    walk(field, &one, &other, &mut found);
    found
}

fn walk(field: &str, one: &Value, other: &Value, found: &mut Vec<Difference>) {
    if one == other {
        return;
    }
    let (Value::Object(left), Value::Object(right)) = (one, other) else {
        let field = field.to_owned();
        return found.push(Difference { field, one: one.to_string(), other: other.to_string() });
    };
    let names = left.keys().chain(right.keys().filter(|name| !left.contains_key(*name)));
    for name in names {
        let of = |object: &serde_json::Map<_, Value>| object.get(name).cloned().unwrap_or_default();
        walk(&format!("{field}.{name}"), &of(left), &of(right), found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_innermost_field_that_differs_is_named() {
        let one = json!({"a": {"b": 1, "same": [1]}, "only": true});
        let other = json!({"a": {"b": 2, "same": [1]}});
        let found = differences("plan", &one, &other);
        let found: Vec<_> = found
            .iter()
            .map(|it| (it.field.as_str(), it.one.as_str(), it.other.as_str()))
            .collect();
        assert_eq!(found, [("plan.a.b", "1", "2"), ("plan.only", "true", "null")]);
        assert_eq!(differences("plan", &one, &one), []);
    }
}
