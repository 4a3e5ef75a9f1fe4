//! A serde serializer into JSON values that refuses what canonical JSON cannot hold, and says where it was.
//!
//! serde_json turns NaN into null, and a null would later read as "absent". Each container puts its key in front of an
//! error that comes out of it, so the pointer costs nothing until there is one.

use serde::Serialize;
use serde::ser::{self, Error as _};
use serde_json::{Map, Number, Value};

use crate::canonical::{JsonError, check_number, pointer_push};

/// The serializer; it carries nothing.
#[derive(Clone, Copy, Default)]
pub(crate) struct Finite;

impl ser::Error for JsonError {
    fn custom<T: std::fmt::Display>(reason: T) -> Self {
        Self { pointer: String::new(), reason: reason.to_string() }
    }
}

fn at(key: &str, error: JsonError) -> JsonError {
    JsonError { pointer: pointer_push("", key) + &error.pointer, reason: error.reason }
}

fn number(number: impl Into<Number>) -> Result<Value, JsonError> {
    let number = number.into();
    check_number(&number).map_err(JsonError::custom)?;
    Ok(Value::Number(number))
}

/// An array or tuple being collected, with the name of the enum variant around it, if any.
pub(crate) struct Items(Vec<Value>, Option<&'static str>);

/// An object being collected: the entries, the key that waits for its value, the variant around it, if any.
pub(crate) struct Entries(Map<String, Value>, Option<String>, Option<&'static str>);

fn wrap(value: Value, variant: Option<&'static str>) -> Value {
    match variant {
        Some(name) => Value::Object(Map::from_iter([(name.to_owned(), value)])),
        None => value,
    }
}

impl Items {
    fn push<T: ?Sized + Serialize>(&mut self, item: &T) -> Result<(), JsonError> {
        let index = self.0.len().to_string();
        self.0.push(item.serialize(Finite).map_err(|error| at(&index, error))?);
        Ok(())
    }

    fn finish(self) -> Value {
        wrap(Value::Array(self.0), self.1)
    }
}

impl Entries {
    fn put<T: ?Sized + Serialize>(&mut self, key: &str, value: &T) -> Result<(), JsonError> {
        let value = value.serialize(Finite).map_err(|error| at(key, error))?;
        if self.0.insert(key.to_owned(), value).is_some() {
            return Err(at(key, JsonError::custom("duplicate key")));
        }
        Ok(())
    }

    fn finish(self) -> Value {
        wrap(Value::Object(self.0), self.2)
    }
}

macro_rules! numbers {
    ($($method:ident: $type:ty),*) => {
        $(fn $method(self, value: $type) -> Result<Value, JsonError> { number(value) })*
    };
}

impl ser::Serializer for Finite {
    type Ok = Value;
    type Error = JsonError;
    type SerializeSeq = Items;
    type SerializeTuple = Items;
    type SerializeTupleStruct = Items;
    type SerializeTupleVariant = Items;
    type SerializeMap = Entries;
    type SerializeStruct = Entries;
    type SerializeStructVariant = Entries;

    numbers!(serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
             serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64);

    fn serialize_bool(self, value: bool) -> Result<Value, JsonError> {
        Ok(Value::Bool(value))
    }

    fn serialize_f32(self, value: f32) -> Result<Value, JsonError> {
        self.serialize_f64(f64::from(value))
    }

    fn serialize_f64(self, value: f64) -> Result<Value, JsonError> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| JsonError::custom(format!("{value} is not a finite number")))
    }

    fn serialize_char(self, value: char) -> Result<Value, JsonError> {
        Ok(Value::String(value.to_string()))
    }

    fn serialize_str(self, value: &str) -> Result<Value, JsonError> {
        Ok(Value::String(value.to_owned()))
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<Value, JsonError> {
        Ok(Value::Array(value.iter().map(|byte| Value::from(*byte)).collect()))
    }

    fn serialize_none(self) -> Result<Value, JsonError> {
        Ok(Value::Null)
    }

    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result<Value, JsonError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Value, JsonError> {
        Ok(Value::Null)
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<Value, JsonError> {
        Ok(Value::Null)
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<Value, JsonError> {
        Ok(Value::String(variant.to_owned()))
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<Value, JsonError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Value, JsonError> {
        Ok(wrap(value.serialize(self).map_err(|error| at(variant, error))?, Some(variant)))
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Items, JsonError> {
        Ok(Items(Vec::with_capacity(length.unwrap_or(0)), None))
    }

    fn serialize_tuple(self, length: usize) -> Result<Items, JsonError> {
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_struct(self, _name: &'static str, length: usize) -> Result<Items, JsonError> {
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Items, JsonError> {
        Ok(Items(Vec::with_capacity(length), Some(variant)))
    }

    fn serialize_map(self, _length: Option<usize>) -> Result<Entries, JsonError> {
        Ok(Entries(Map::new(), None, None))
    }

    fn serialize_struct(self, _name: &'static str, _length: usize) -> Result<Entries, JsonError> {
        self.serialize_map(None)
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _length: usize,
    ) -> Result<Entries, JsonError> {
        Ok(Entries(Map::new(), None, Some(variant)))
    }
}

macro_rules! collects_items {
    ($($trait:ident::$method:ident),*) => {
        $(impl ser::$trait for Items {
            type Ok = Value;
            type Error = JsonError;
            fn $method<T: ?Sized + Serialize>(&mut self, item: &T) -> Result<(), JsonError> { self.push(item) }
            fn end(self) -> Result<Value, JsonError> { Ok(self.finish()) }
        })*
    };
}
collects_items!(
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field
);

macro_rules! collects_fields {
    ($($trait:ident),*) => {
        $(impl ser::$trait for Entries {
            type Ok = Value;
            type Error = JsonError;
            fn serialize_field<T: ?Sized + Serialize>(&mut self, key: &'static str, value: &T) -> Result<(), JsonError> {
                self.put(key, value)
            }
            fn end(self) -> Result<Value, JsonError> { Ok(self.finish()) }
        })*
    };
}
collects_fields!(SerializeStruct, SerializeStructVariant);

impl ser::SerializeMap for Entries {
    type Ok = Value;
    type Error = JsonError;

    fn serialize_key<T: ?Sized + Serialize>(&mut self, key: &T) -> Result<(), JsonError> {
        match key.serialize(Finite)? {
            Value::String(key) => self.1 = Some(key),
            Value::Number(key) => self.1 = Some(key.to_string()),
            other => return Err(JsonError::custom(format!("{other} cannot be a key"))),
        }
        Ok(())
    }

    fn serialize_value<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), JsonError> {
        let key = self.1.take().ok_or_else(|| JsonError::custom("a value came without its key"))?;
        self.put(&key, value)
    }

    fn end(self) -> Result<Value, JsonError> {
        Ok(self.finish())
    }
}
