//! Who is asking: the bearer token of a request.

use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::future::LocalBoxFuture;

use super::error::Problem;
use super::parts::Parts;
use crate::accounts::handle::Accounts;
use crate::domain::fault::{Fault, Refusal};
use crate::domain::user::Actor;

/// Whoever knows whose token this is. Looks at revocations, too.
pub trait Authenticate: Send + Sync {
    /// The bearer of an access token.
    fn authenticate(&self, token: String) -> LocalBoxFuture<'static, Result<Actor, Refusal>>;
}

impl Authenticate for Accounts {
    fn authenticate(&self, token: String) -> LocalBoxFuture<'static, Result<Actor, Refusal>> {
        let actor = Self::authenticate(self, &token).map(|known| known.actor);
        Box::pin(std::future::ready(actor.map_err(Refusal::from)))
    }
}

/// The asking person. A handler that takes it answers nobody without a valid token.
#[derive(Clone, Copy, Debug)]
pub struct Caller(pub Actor);

impl FromRequest for Caller {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let parts = request.app_data::<web::Data<Parts>>().cloned();
        let token = bearer(request);
        Box::pin(async move {
            let parts = parts.ok_or(Fault::Internal)?;
            let actor = parts.authenticate.authenticate(token.ok_or(Fault::Unauthenticated)?).await?;
            parts.rates.request(actor.user)?;
            Ok(Self(actor))
        })
    }
}

/// The same, only for administrators of the server.
#[derive(Clone, Copy, Debug)]
pub struct Admin(pub Actor);

impl FromRequest for Admin {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let caller = Caller::from_request(request, payload);
        Box::pin(async move {
            let Caller(actor) = caller.await?;
            if actor.admin { Ok(Self(actor)) } else { Err(Fault::NotAllowed.into()) }
        })
    }
}

/// RFC 6750 §2.1; the scheme in any case (RFC 9110 §11.1).
fn bearer(request: &HttpRequest) -> Option<String> {
    let value = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn only_a_bearer_token_is_taken() {
        let token = |value: &str| bearer(&TestRequest::get().insert_header((AUTHORIZATION, value)).to_http_request());
        assert_eq!(token("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(token("bearer abc").as_deref(), Some("abc"));
        assert_eq!(token("Basic abc"), None);
        assert_eq!(token("abc"), None);
        assert_eq!(bearer(&TestRequest::get().to_http_request()), None);
    }
}
