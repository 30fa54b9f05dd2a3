//! How items and values cross the border between two processes.

use crate::error::BoxError;

/// Writes objects as bytes, and makes objects of such bytes: for the items and values of a [`task`](crate::task()).
///
/// [`Raw`] is for bytes and texts; `Json` and `Postcard` (features of the same names) are for what serde knows. Others can be written:
///
/// ```
/// use libpa::{BoxError, Codec};
///
/// /// Numbers, as four bytes each.
/// struct Numbers;
///
/// impl Codec<Vec<u32>> for Numbers {
///     fn encode(&self, numbers: &Vec<u32>, out: &mut Vec<u8>) -> Result<(), BoxError> {
///         out.extend(numbers.iter().flat_map(|number| number.to_ne_bytes()));
///         Ok(())
///     }
///
///     fn decode(&self, bytes: &[u8]) -> Result<Vec<u32>, BoxError> {
///         if bytes.len() % 4 != 0 {
///             return Err(format!("{} bytes are no numbers", bytes.len()).into());
///         }
///         Ok(bytes.chunks_exact(4).map(|number| u32::from_ne_bytes(number.try_into().unwrap())).collect())
///     }
/// }
/// ```
///
/// Program and worker run on the same machine, so nothing has to be portable. The methods are called on several threads at a time.
pub trait Codec<T>: Send + Sync + 'static {
    /// Appends the object to `out`, which is empty.
    ///
    /// # Errors
    /// The item then fails with a [`WorkerError`](crate::WorkerError) of this text.
    fn encode(&self, object: &T, out: &mut Vec<u8>) -> Result<(), BoxError>;

    /// Makes an object of what `encode` wrote. The bytes are aligned to 16.
    ///
    /// # Errors
    /// As `encode`.
    fn decode(&self, bytes: &[u8]) -> Result<T, BoxError>;
}

/// Bytes (`Vec<u8>`) and texts (`String`), as they are, and `()`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Raw;

impl Codec<Vec<u8>> for Raw {
    fn encode(&self, object: &Vec<u8>, out: &mut Vec<u8>) -> Result<(), BoxError> {
        out.extend_from_slice(object);
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<Vec<u8>, BoxError> {
        Ok(bytes.to_vec())
    }
}

impl Codec<String> for Raw {
    fn encode(&self, object: &String, out: &mut Vec<u8>) -> Result<(), BoxError> {
        out.extend_from_slice(object.as_bytes());
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<String, BoxError> {
        Ok(std::str::from_utf8(bytes)?.to_owned())
    }
}

impl Codec<()> for Raw {
    fn encode(&self, (): &(), _: &mut Vec<u8>) -> Result<(), BoxError> {
        Ok(())
    }

    fn decode(&self, _: &[u8]) -> Result<(), BoxError> {
        Ok(())
    }
}

/// JSON, by serde_json (feature `json`): for types whose names and optional fields must be there, and for what one wants to read.
#[cfg(feature = "json")]
#[cfg_attr(docsrs, doc(cfg(feature = "json")))]
#[derive(Clone, Copy, Debug, Default)]
pub struct Json;

#[cfg(feature = "json")]
impl<T: serde::Serialize + serde::de::DeserializeOwned> Codec<T> for Json {
    fn encode(&self, object: &T, out: &mut Vec<u8>) -> Result<(), BoxError> {
        Ok(serde_json::to_writer(out, object)?)
    }

    fn decode(&self, bytes: &[u8]) -> Result<T, BoxError> {
        Ok(serde_json::from_slice(bytes)?)
    }
}

/// postcard (feature `postcard`): compact, and quicker than JSON. It does not write names, so types that need them
/// (`#[serde(flatten)]`, `#[serde(untagged)]`, `#[serde(skip_serializing_if)]`, `serde_json::Value`) are for `Json`.
#[cfg(feature = "postcard")]
#[cfg_attr(docsrs, doc(cfg(feature = "postcard")))]
#[derive(Clone, Copy, Debug, Default)]
pub struct Postcard;

#[cfg(feature = "postcard")]
impl<T: serde::Serialize + serde::de::DeserializeOwned> Codec<T> for Postcard {
    fn encode(&self, object: &T, out: &mut Vec<u8>) -> Result<(), BoxError> {
        *out = postcard::to_extend(object, std::mem::take(out))?;
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<T, BoxError> {
        match postcard::take_from_bytes(bytes)? {
            (object, []) => Ok(object),
            (_, rest) => Err(format!("{} bytes are left over", rest.len()).into()),
        }
    }
}
