//! A serializer around the codec's own, which sees every part of a value. It computes the
//! [`Fingerprint`], and refuses values that the codec would change silently.

use serde::ser::{
    Error as _, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::{
    fault::Fault,
    fingerprint::{Fingerprint, Kind},
};

/// What a codec cannot carry, and the fingerprint if the codec needs one.
#[derive(Debug)]
pub(super) struct Rules {
    /// Refuse NaN and infinities, which would become null.
    pub(super) finite: bool,
    /// Refuse `Some` of a null value, which would become `None`.
    pub(super) one_null: bool,
    /// Write numbers of `serde_json` as plain numbers, which are the same in every build. With
    /// arbitrary precision, they are structs with a magic name.
    pub(super) plain_numbers: bool,
    pub(super) fingerprint: Option<Fingerprint>,
}

/// The struct name of numbers of `serde_json` when its feature `arbitrary_precision` is on anywhere
/// in the build.
pub(super) const NUMBER: &str = "$serde_json::private::Number";

impl Rules {
    pub(super) fn kind(&self, kind: Kind) {
        if let Some(fingerprint) = &self.fingerprint {
            fingerprint.kind(kind);
        }
    }

    pub(super) fn name(&self, name: &str) {
        if let Some(fingerprint) = &self.fingerprint {
            fingerprint.name(name);
        }
    }

    fn names(&self, kind: Kind, name: &str) {
        self.kind(kind);
        self.name(name);
    }
}

/// The serializer `S`, restricted by these rules.
pub(super) struct Guard<'a, S> {
    inner: S,
    rules: &'a Rules,
    /// The value is the content of a `Some`.
    in_some: bool,
}

impl<'a, S> Guard<'a, S> {
    pub(super) fn new(inner: S, rules: &'a Rules) -> Self {
        Self { inner, rules, in_some: false }
    }
}

/// A part of a value, serialized under the rules of the whole.
struct WriteScope<'a, T: ?Sized> {
    value: &'a T,
    rules: &'a Rules,
    in_some: bool,
}

impl<T: Serialize + ?Sized> Serialize for WriteScope<'_, T> {
    fn serialize<S: Serializer>(&self, inner: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(Guard { inner, rules: self.rules, in_some: self.in_some })
    }
}

fn part<'a, T: ?Sized>(value: &'a T, rules: &'a Rules) -> WriteScope<'a, T> {
    WriteScope { value, rules, in_some: false }
}

macro_rules! plain {
    ($($method:ident($type:ty) $kind:ident),* $(,)?) => {
        $(fn $method(self, value: $type) -> Result<S::Ok, S::Error> {
            self.rules.kind(Kind::$kind);
            self.inner.$method(value)
        })*
    };
}

macro_rules! float {
    ($($method:ident($type:ty) $kind:ident),*) => {
        $(fn $method(self, value: $type) -> Result<S::Ok, S::Error> {
            if self.rules.finite && !value.is_finite() {
                return Err(S::Error::custom(Fault::NOT_FINITE.0));
            }
            self.rules.kind(Kind::$kind);
            self.inner.$method(value)
        })*
    };
}

impl<S: Serializer> Guard<'_, S> {
    fn null(&self) -> Result<(), S::Error> {
        if self.in_some && self.rules.one_null {
            return Err(S::Error::custom(Fault::SOME_OF_NULL.0));
        }
        Ok(())
    }
}

impl<'a, S: Serializer> Serializer for Guard<'a, S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Compound<'a, S::SerializeSeq>;
    type SerializeTuple = Compound<'a, S::SerializeTuple>;
    type SerializeTupleStruct = Compound<'a, S::SerializeTupleStruct>;
    type SerializeTupleVariant = Compound<'a, S::SerializeTupleVariant>;
    type SerializeMap = Compound<'a, S::SerializeMap>;
    type SerializeStruct = Struct<'a, S>;
    type SerializeStructVariant = Compound<'a, S::SerializeStructVariant>;

    plain! {
        serialize_bool(bool) Bool, serialize_i8(i8) I8, serialize_i16(i16) I16, serialize_i32(i32) I32,
        serialize_i64(i64) I64, serialize_i128(i128) I128, serialize_u8(u8) U8, serialize_u16(u16) U16,
        serialize_u32(u32) U32, serialize_u64(u64) U64, serialize_u128(u128) U128, serialize_char(char) Char,
        serialize_str(&str) Text, serialize_bytes(&[u8]) Bytes,
    }

    float! { serialize_f32(f32) F32, serialize_f64(f64) F64 }

    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.null()?;
        self.rules.kind(Kind::Option);
        self.inner.serialize_none()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.rules.kind(Kind::Option);
        self.inner.serialize_some(&WriteScope { value, rules: self.rules, in_some: true })
    }

    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.null()?;
        self.rules.kind(Kind::Unit);
        self.inner.serialize_unit()
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<S::Ok, S::Error> {
        self.null()?;
        self.rules.kind(Kind::Unit);
        self.inner.serialize_unit_struct(name)
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<S::Ok, S::Error> {
        self.rules.names(Kind::Enum, variant);
        self.inner.serialize_unit_variant(name, index, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        // The codecs treat a newtype as its content, too.
        self.inner
            .serialize_newtype_struct(name, &WriteScope { value, rules: self.rules, in_some: self.in_some })
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.rules.names(Kind::Enum, variant);
        self.inner.serialize_newtype_variant(name, index, variant, &part(value, self.rules))
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        self.rules.kind(Kind::Sequence);
        Ok(Compound { inner: self.inner.serialize_seq(len)?, rules: self.rules })
    }

    fn serialize_tuple(self, len: usize) -> Result<Self::SerializeTuple, S::Error> {
        self.rules.kind(Kind::Tuple);
        Ok(Compound { inner: self.inner.serialize_tuple(len)?, rules: self.rules })
    }

    fn serialize_tuple_struct(
        self,
        name: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleStruct, S::Error> {
        self.rules.kind(Kind::Tuple);
        Ok(Compound { inner: self.inner.serialize_tuple_struct(name, len)?, rules: self.rules })
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        self.rules.names(Kind::Enum, variant);
        Ok(Compound {
            inner: self.inner.serialize_tuple_variant(name, index, variant, len)?,
            rules: self.rules,
        })
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        self.rules.kind(Kind::Map);
        Ok(Compound { inner: self.inner.serialize_map(len)?, rules: self.rules })
    }

    fn serialize_struct(self, name: &'static str, len: usize) -> Result<Self::SerializeStruct, S::Error> {
        if self.rules.plain_numbers && name == NUMBER {
            return Ok(Struct::Number { inner: self.inner, text: String::new() });
        }
        self.rules.kind(Kind::Struct);
        Ok(Struct::Named(Compound { inner: self.inner.serialize_struct(name, len)?, rules: self.rules }))
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        self.rules.names(Kind::Enum, variant);
        Ok(Compound {
            inner: self.inner.serialize_struct_variant(name, index, variant, len)?,
            rules: self.rules,
        })
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

/// A value with parts.
pub(super) struct Compound<'a, C> {
    inner: C,
    rules: &'a Rules,
}

macro_rules! elements {
    ($($trait:ident $method:ident),* $(,)?) => {
        $(impl<C: $trait> $trait for Compound<'_, C> {
            type Ok = C::Ok;
            type Error = C::Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
                self.inner.$method(&part(value, self.rules))
            }

            fn end(self) -> Result<C::Ok, C::Error> {
                self.inner.end()
            }
        })*
    };
}

elements! {
    SerializeSeq serialize_element,
    SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field,
}

impl<C: SerializeMap> SerializeMap for Compound<'_, C> {
    type Ok = C::Ok;
    type Error = C::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), C::Error> {
        self.inner.serialize_key(&part(key, self.rules))
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
        self.inner.serialize_value(&part(value, self.rules))
    }

    fn end(self) -> Result<C::Ok, C::Error> {
        self.inner.end()
    }
}

impl<C: SerializeStructVariant> SerializeStructVariant for Compound<'_, C> {
    type Ok = C::Ok;
    type Error = C::Error;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), C::Error> {
        self.rules.name(key);
        self.inner.serialize_field(key, &part(value, self.rules))
    }

    fn skip_field(&mut self, key: &'static str) -> Result<(), C::Error> {
        self.inner.skip_field(key)
    }

    fn end(self) -> Result<C::Ok, C::Error> {
        self.inner.end()
    }
}

/// A struct, or a number that looks like one.
pub(super) enum Struct<'a, S: Serializer> {
    Named(Compound<'a, S::SerializeStruct>),
    Number { inner: S, text: String },
}

impl<S: Serializer> SerializeStruct for Struct<'_, S> {
    type Ok = S::Ok;
    type Error = S::Error;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), S::Error> {
        match self {
            Self::Named(named) => {
                named.rules.name(key);
                named.inner.serialize_field(key, &part(value, named.rules))
            }
            Self::Number { text, .. } => {
                *text = super::number::text_of(value).map_err(|fault| S::Error::custom(fault.0))?;
                Ok(())
            }
        }
    }

    fn skip_field(&mut self, key: &'static str) -> Result<(), S::Error> {
        match self {
            Self::Named(named) => named.inner.skip_field(key),
            Self::Number { .. } => Ok(()),
        }
    }

    fn end(self) -> Result<S::Ok, S::Error> {
        match self {
            Self::Named(named) => named.inner.end(),
            Self::Number { inner, text } => {
                match super::number::Plain::of(&text).map_err(|fault| S::Error::custom(fault.0))? {
                    super::number::Plain::Unsigned(number) => inner.serialize_u64(number),
                    super::number::Plain::Signed(number) => inner.serialize_i64(number),
                    super::number::Plain::Float(number) => inner.serialize_f64(number),
                }
            }
        }
    }
}
