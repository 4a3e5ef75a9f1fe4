//! What strict, canonical and normalised JSON is, against serde_json as a second hand.

use super::*;
use proptest::prelude::*;
use serde_json::Value;

fn encode(text: &str, leave_out: &[&str]) -> Result<String, JsonFault> {
    let mut encoder = Encoder::default();
    let out = encoder.encode(text.as_bytes(), STRICT, leave_out)?;
    Ok(String::from_utf8(out.to_vec()).expect("the encoder copies UTF-8"))
}

#[test]
fn ppk_13_sorted_bare_numbers_unchanged() {
    for (text, expected) in [
        (
            r#" { "b" : 1.50 , "a" : [ 1e2 , -0.0 , 12345678901234567890 ] } "#,
            r#"{"a":[1e2,-0.0,12345678901234567890],"b":1.50}"#,
        ),
        (r#"{"b":{"d":1,"c":{}},"a":[]}"#, r#"{"a":[],"b":{"c":{},"d":1}}"#),
        (r#""\u0041\/\u00e9\ud83d\ude00\u000a\u001F\u0022""#, "\"A/\u{e9}\u{1f600}\\n\\u001f\\\"\""),
        // The key `"` (0x22) sorts before `#`, although its encoding starts with a backslash.
        (r##"{"#":1,"\"":2,"\u0001":3}"##, r##"{"\u0001":3,"\"":2,"#":1}"##),
        ("null", "null"),
    ] {
        assert_eq!(encode(text, &[]).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn ppk_13_leaves_members_out_at_any_depth() {
    for (text, expected) in [
        (r#"{"t":1,"a":2,"t2":3}"#, r#"{"a":2,"t2":3}"#),
        (r#"{"a":2,"t":1}"#, r#"{"a":2}"#),
        (r#"{"t":{"x":[1,2]}}"#, "{}"),
        (r#"{"z":[{"t":1,"b":{"t":2}}],"t":0,"a":"t"}"#, r#"{"a":"t","z":[{"b":{}}]}"#),
        (r#"{"\u0074":1,"b":1}"#, r#"{"b":1}"#),
    ] {
        assert_eq!(encode(text, &["t"]).as_deref(), Ok(expected), "{text}");
    }
    assert!(encode(r#"{"t":1,"t":2}"#, &["t"]).is_err(), "a duplicate is refused even where it is left out");
}

#[test]
fn ppk_3_strict_json_only() {
    for bad in [
        "",
        " ",
        "{",
        "}",
        "[1,]",
        "{\"a\":1,}",
        "{\"a\"}",
        "{a:1}",
        "01",
        "-",
        "1.",
        ".5",
        "1e",
        "+1",
        "NaN",
        "Infinity",
        "tru",
        "\"a",
        "\"\n\"",
        "\"\\x\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800\\u0041\"",
        "\"\\u12g4\"",
        "{} {}",
        "1 2",
        "{\"a\":1,\"a\":2}",
        "{\"a\":1,\"b\":0,\"\\u0061\":2}",
        "'a'",
        "[1 2]",
        "\u{feff}1",
    ] {
        assert!(encode(bad, &[]).is_err(), "{bad:?}");
    }
    let deep = |levels: usize| encode(&("[".repeat(levels) + &"]".repeat(levels)), &[]);
    assert!(deep(100).is_ok());
    assert_eq!(deep(101).map_err(|fault| fault.what), Err("nested too deep"));
    assert!(Encoder::default().encode(b"\"\xff\"", STRICT, &[]).is_err());
}

#[test]
fn ppk_3_canonical_is_one_spelling() {
    for good in ["{}\n", "{\"a\":-9007199254740991,\"b\":[\"\\\"\\\\~\"]}\n", "0\n"] {
        assert_eq!(check_canonical(good.as_bytes()), Ok(()), "{good:?}");
    }
    for bad in [
        "{}",
        "{}\n\n",
        "{} \n",
        "{ }\n",
        "{\"b\":1,\"a\":1}\n",
        "1.0\n",
        "1e3\n",
        "-0\n",
        "9007199254740992\n",
        "10000000000000000\n",
        "\"\u{e9}\"\n",
        "\"\\u0041\"\n",
        "\"\\/\"\n",
        "\"\\n\"\n",
        "\"\u{7f}\"\n",
        "{\"a\":1,\"a\":1}\n",
        "NaN\n",
        "{}\n{}\n",
    ] {
        assert!(check_canonical(bad.as_bytes()).is_err(), "{bad:?}");
    }
    let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels) + "\n";
    assert_eq!(check_canonical(deep(16).as_bytes()), Ok(()));
    assert!(check_canonical(deep(17).as_bytes()).is_err());
}

#[test]
fn schema_is_the_one_at_the_top() {
    let mut encoder = Encoder::default();
    for (text, schema) in [
        (r#"{"a":{"schema":"inner"},"schema":"outer/1"}"#, Some("outer/1")),
        (r#"{"a":{"schema":"inner"}}"#, None),
        (r#"{"schema":1}"#, None),
        ("[]", None),
    ] {
        encoder.encode(text.as_bytes(), STRICT, &[]).expect("strict JSON");
        assert_eq!(encoder.schema(), schema, "{text}");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::hash_map(any::<String>(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    /// serde_json writes a sorted map without spaces: an oracle of another hand.
    #[test]
    fn ppk_13_agrees_with_serde_json(value in any_json()) {
        let sorted = serde_json::to_string(&value).expect("a value serialises");
        let pretty = serde_json::to_string_pretty(&value).expect("a value serialises");
        prop_assert_eq!(encode(&pretty, &[]), Ok(sorted));
    }

    #[test]
    fn ppk_13_hostile_bytes_never_panic(text in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'"'), Just(b'{'), Just(b'\\'), Just(b'u'), Just(b',')], 0..64)) {
        // Numbers beyond what a reader keeps are a matter of the judge; tokens are only copied here.
        prop_assume!(text.iter().filter(|byte| byte.is_ascii_digit()).count() < 3);
        let strict = Encoder::default().encode(&text, STRICT, &[]).is_ok();
        prop_assert_eq!(strict, serde_json::from_slice::<Value>(&text).is_ok() && contract::canonical::parse_evidence(&text).is_ok());
    }
}
