//! Page tokens: the place in a list to go on after, opaque to whoever sends it back.
//!
//! A token names its list, so that one of another list is refused. It is not signed: whoever forges one only asks for another page of what
//! they may see anyway, as each page is decided by itself.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

use super::error::Problem;
use crate::domain::fault::Fault;

/// Part of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct PageOf<T> {
    /// Some of it, in order.
    pub items: Vec<T>,
    /// Send this as `page` to go on; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl<T> PageOf<T> {
    /// `place` is where the next page begins, if there is one.
    pub fn new(items: Vec<T>, list: &str, place: Option<impl Serialize>) -> Self {
        Self { items, next: place.map(|place| token(list, &place)) }
    }
}

/// The token for a place in a list.
pub fn token(list: &str, place: &impl Serialize) -> String {
    // A tuple of plain values always becomes JSON.
    let text = serde_json::to_string(&(list, place)).unwrap_or_default();
    BASE64_URL_SAFE_NO_PAD.encode(text)
}

/// The place a token names.
///
/// # Errors
/// It is not a token of this list.
pub fn place<T: DeserializeOwned>(list: &str, token: Option<&str>) -> Result<Option<T>, Problem> {
    let read = |token: &str| {
        let text = BASE64_URL_SAFE_NO_PAD.decode(token).ok()?;
        let (named, place) = serde_json::from_slice::<(String, T)>(&text).ok()?;
        (named == list).then_some(place)
    };
    match token {
        None => Ok(None),
        Some(token) => read(token)
            .map(Some)
            .ok_or_else(|| Problem::because(Fault::BadRequest, "page is a token from the `next` of the same list.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_back_to_its_own_list_only() {
        let token = token("rooms", &("hall", 7));
        assert_eq!(place("rooms", Some(&token)).unwrap(), Some(("hall".to_owned(), 7)));
        assert_eq!(place::<(String, u8)>("members", Some(&token)).unwrap_err().fault(), Fault::BadRequest);
        assert_eq!(place::<u8>("rooms", None).unwrap(), None);
        for forged in ["", "x", "!!", &BASE64_URL_SAFE_NO_PAD.encode("[]")] {
            assert!(place::<u8>("rooms", Some(forged)).is_err(), "{forged}");
        }
    }
}
