//! A deserializer around the codec's own, which sees every part of a value: the counterpart of
//! [`Guard`](super::guard::Guard).

use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor, value::StringDeserializer,
};

use super::{
    fingerprint::Kind,
    guard::{NUMBER, Rules},
    number::Plain,
};

/// The deserializer, visitor, access or seed `T` of a codec, under these rules.
pub(super) struct Reader<'a, T> {
    inner: T,
    rules: &'a Rules,
    /// The names of the fields or variants that follow, for codecs that do not store names.
    names: &'static [&'static str],
    /// The codec decides the type of the value, so a number of `serde_json` may come as a magic
    /// map.
    any: bool,
}

impl<'a, T> Reader<'a, T> {
    pub(super) fn new(inner: T, rules: &'a Rules) -> Self {
        Self { inner, rules, names: &[], any: false }
    }

    fn named(inner: T, rules: &'a Rules, names: &'static [&'static str]) -> Self {
        Self { inner, rules, names, any: false }
    }
}

macro_rules! forward {
    ($($method:ident($($arg:ident: $type:ty),*) $($kind:ident)?),* $(,)?) => {
        $(fn $method<V: Visitor<'de>>(self, $($arg: $type,)* visitor: V) -> Result<V::Value, D::Error> {
            $(self.rules.kind(Kind::$kind);)?
            self.inner.$method($($arg,)* Reader::new(visitor, self.rules))
        })*
    };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Reader<'_, D> {
    type Error = D::Error;

    forward! {
        deserialize_bool() Bool, deserialize_i8() I8, deserialize_i16() I16, deserialize_i32() I32,
        deserialize_i64() I64, deserialize_i128() I128, deserialize_u8() U8, deserialize_u16() U16,
        deserialize_u32() U32, deserialize_u64() U64, deserialize_u128() U128, deserialize_f32() F32,
        deserialize_f64() F64, deserialize_char() Char, deserialize_str() Text, deserialize_string() Text,
        deserialize_bytes() Bytes, deserialize_byte_buf() Bytes, deserialize_option() Option,
        deserialize_unit() Unit, deserialize_unit_struct(name: &'static str) Unit,
        deserialize_newtype_struct(name: &'static str), deserialize_seq() Sequence,
        deserialize_tuple(len: usize) Tuple, deserialize_tuple_struct(name: &'static str, len: usize) Tuple,
        deserialize_map() Map, deserialize_identifier() Text, deserialize_ignored_any(),
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_any(Reader { inner: visitor, rules: self.rules, names: &[], any: true })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.rules.kind(Kind::Struct);
        self.inner.deserialize_struct(name, fields, Reader::named(visitor, self.rules, fields))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_enum(name, variants, Reader::named(visitor, self.rules, variants))
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

macro_rules! visit {
    ($($method:ident($type:ty)),* $(,)?) => {
        $(fn $method<E: serde::de::Error>(self, value: $type) -> Result<V::Value, E> {
            self.inner.$method(value)
        })*
    };
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Reader<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    visit! {
        visit_bool(bool), visit_i8(i8), visit_i16(i16), visit_i32(i32), visit_i64(i64), visit_i128(i128), visit_u8(u8),
        visit_u16(u16), visit_u32(u32), visit_u64(u64), visit_u128(u128), visit_f32(f32), visit_f64(f64),
        visit_char(char), visit_str(&str), visit_borrowed_str(&'de str), visit_string(String), visit_bytes(&[u8]),
        visit_borrowed_bytes(&'de [u8]), visit_byte_buf(Vec<u8>),
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, value: D) -> Result<V::Value, D::Error> {
        self.inner.visit_some(Reader::new(value, self.rules))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, value: D) -> Result<V::Value, D::Error> {
        self.inner.visit_newtype_struct(Reader::new(value, self.rules))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        self.inner.visit_seq(Reader::named(access, self.rules, self.names))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<V::Value, A::Error> {
        let mut first = None;
        if self.any && self.rules.plain_numbers {
            first = access.next_key::<String>()?;
            if first.as_deref() == Some(NUMBER) {
                let text: String = access.next_value()?;
                return match Plain::of(&text).map_err(|fault| A::Error::custom(fault.0))? {
                    Plain::Unsigned(number) => self.inner.visit_u64(number),
                    Plain::Signed(number) => self.inner.visit_i64(number),
                    Plain::Float(number) => self.inner.visit_f64(number),
                };
            }
            if first.is_none() {
                return self.inner.visit_map(Entries { access: None::<A>, first, rules: self.rules });
            }
        }
        self.inner.visit_map(Entries { access: Some(access), first, rules: self.rules })
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        self.inner.visit_enum(Reader::named(access, self.rules, self.names))
    }
}

impl<'de, T: DeserializeSeed<'de>> DeserializeSeed<'de> for Reader<'_, T> {
    type Value = T::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T::Value, D::Error> {
        self.inner.deserialize(Reader::new(deserializer, self.rules))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Reader<'_, A> {
    type Error = A::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, A::Error> {
        if let Some((name, rest)) = self.names.split_first() {
            self.rules.name(name);
            self.names = rest;
        }
        self.inner.next_element_seed(Reader::new(seed, self.rules))
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

/// The entries of a map: one whose first key was already read, or one without entries (no access).
struct Entries<'a, A> {
    access: Option<A>,
    first: Option<String>,
    rules: &'a Rules,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Entries<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        if let Some(first) = self.first.take() {
            let first: StringDeserializer<A::Error> = first.into_deserializer();
            return seed.deserialize(first).map(Some);
        }
        let rules = self.rules;
        self.access.as_mut().map_or(Ok(None), |access| access.next_key_seed(Reader::new(seed, rules)))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, A::Error> {
        match &mut self.access {
            Some(access) => access.next_value_seed(Reader::new(seed, self.rules)),
            None => Err(A::Error::custom("a map without entries has no values")),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        self.access.as_ref().and_then(MapAccess::size_hint)
    }
}

impl<'a, 'de, A: EnumAccess<'de>> EnumAccess<'de> for Reader<'a, A> {
    type Error = A::Error;
    type Variant = Reader<'a, A::Variant>;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self::Variant), A::Error> {
        let seed = Variant { inner: seed, rules: self.rules, names: self.names };
        let (value, variant) = self.inner.variant_seed(seed)?;
        Ok((value, Reader::new(variant, self.rules)))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Reader<'_, A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, A::Error> {
        self.inner.newtype_variant_seed(Reader::new(seed, self.rules))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.inner.tuple_variant(len, Reader::new(visitor, self.rules))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.inner.struct_variant(fields, Reader::named(visitor, self.rules, fields))
    }
}

/// Reads the variant of an enum. If the codec stores only its number, this finds the name.
struct Variant<'a, T> {
    inner: T,
    rules: &'a Rules,
    names: &'static [&'static str],
}

impl<'de, T: DeserializeSeed<'de>> DeserializeSeed<'de> for Variant<'_, T> {
    type Value = T::Value;

    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<T::Value, D::Error> {
        self.inner.deserialize(Variant { inner, rules: self.rules, names: self.names })
    }
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Variant<'_, D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_identifier(Variant { inner: visitor, rules: self.rules, names: self.names })
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Variant<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    fn visit_u64<E: serde::de::Error>(self, index: u64) -> Result<V::Value, E> {
        self.rules.kind(Kind::Enum);
        let name = usize::try_from(index).ok().and_then(|index| self.names.get(index));
        self.rules.name(name.copied().unwrap_or_default());
        self.inner.visit_u64(index)
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<V::Value, E> {
        self.inner.visit_str(name)
    }

    fn visit_bytes<E: serde::de::Error>(self, name: &[u8]) -> Result<V::Value, E> {
        self.inner.visit_bytes(name)
    }
}
