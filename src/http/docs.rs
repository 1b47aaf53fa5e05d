//! The browsable documentation: Swagger UI, from files in the binary, so it works without any other server.

use std::sync::{Arc, OnceLock};

use actix_web::http::header::{CONTENT_ENCODING, CONTENT_SECURITY_POLICY, LOCATION, X_CONTENT_TYPE_OPTIONS};
use actix_web::{HttpResponse, web};
use utoipa_swagger_ui::Config;

use super::error::Problem;
use crate::domain::fault::Fault;

/// Its script writes style attributes and shows pictures that it carries itself; nothing comes from elsewhere and nobody may frame it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
    connect-src 'self'; font-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

fn config() -> Arc<Config<'static>> {
    static CONFIG: OnceLock<Arc<Config<'static>>> = OnceLock::new();
    let build = || {
        // Without this the page asks validator.swagger.io about the document of every server that is not on localhost.
        Config::from("/api/v1/openapi.json").validator_url("none").persist_authorization(false).display_operation_id(false)
    };
    Arc::clone(CONFIG.get_or_init(|| Arc::new(build())))
}

/// From the bare address, which `serve` prints and people open. Not for ever: this page is not what will always stand there.
pub async fn front() -> HttpResponse {
    HttpResponse::SeeOther().insert_header((LOCATION, "/docs")).finish()
}

/// To the page, with the slash its relative links need.
pub async fn redirect() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((LOCATION, "/docs/")).finish()
}

/// A file of the page.
///
/// # Errors
/// There is no such file.
pub async fn file(path: web::Path<String>) -> Result<HttpResponse, Problem> {
    let file = utoipa_swagger_ui::serve(&path, config()).map_err(|_| Fault::Internal)?.ok_or(Fault::NotFound)?;
    let mut response = HttpResponse::Ok();
    response.insert_header((CONTENT_SECURITY_POLICY, POLICY)).insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"));
    if file.gzpipped {
        response.insert_header((CONTENT_ENCODING, "gzip"));
    }
    Ok(response.content_type(file.content_type).body(file.bytes.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(name: &str) -> String {
        let file = utoipa_swagger_ui::serve(name, config()).unwrap().unwrap();
        assert!(!file.gzpipped, "this test reads what is sent as it is");
        String::from_utf8_lossy(&file.bytes).into_owned()
    }

    /// Every `src`, `href` and the like of a page.
    fn links(page: &str) -> Vec<&str> {
        let attributes = ["src=\"", "href=\"", "src='", "href='"];
        let found = attributes.iter().flat_map(|attribute| page.split(attribute).skip(1));
        found.filter_map(|rest| rest.split(['"', '\'']).next()).collect()
    }

    #[test]
    fn the_page_loads_only_files_that_are_served_here() {
        let page = served("index.html");
        let links = links(&page);
        assert!(links.len() >= 5, "{links:?}");
        for link in links {
            let name = link.strip_prefix("./").unwrap_or(link);
            assert!(utoipa_swagger_ui::serve(name, config()).unwrap().is_some(), "{link}");
        }
        assert!(!page.contains("<script>"), "the policy allows no script in the page");
        assert!(!page.contains("://"), "{page}");
    }

    #[test]
    fn the_page_is_started_without_any_other_server() {
        let start = served("swagger-initializer.js");
        assert!(start.contains("/api/v1/openapi.json"), "{start}");
        assert!(start.contains(r#""validatorUrl": "none""#), "{start}");
        assert!(!start.contains("://"), "{start}");
    }

    #[test]
    fn style_sheets_load_nothing_from_elsewhere() {
        for name in ["swagger-ui.css", "index.css"] {
            let sheet = served(name);
            assert!(!sheet.contains("@import") && !sheet.contains("url(http") && !sheet.contains("url(//"), "{name}");
        }
    }

    #[test]
    fn a_file_outside_is_not_found() {
        for name in ["../Cargo.toml", "nothing.js"] {
            assert!(utoipa_swagger_ui::serve(name, config()).unwrap().is_none(), "{name}");
        }
    }
}
