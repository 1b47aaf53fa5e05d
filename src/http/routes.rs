//! Every route on one page.

use actix_web::web::ServiceConfig;

/// Adds them.
pub fn configure(_: &mut ServiceConfig) {}
