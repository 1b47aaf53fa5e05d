//! The API's documentation as it is served.

use crate::support::server::Server;
use hubbub::http::routes;
use reqwest::Method;
use serde_json::Value;

async fn get(server: &Server, path: &str) -> reqwest::Response {
    reqwest::get(format!("{}{path}", server.base())).await.expect("an answer")
}

#[tokio::test]
async fn the_document_describes_every_route() {
    let server = Server::start().await;
    let document: Value = get(&server, "/api/v1/openapi.json").await.json().await.expect("JSON");
    assert_eq!(document["openapi"], "3.1.0");
    for (method, path) in routes::TABLE.iter().filter(|(_, path)| !routes::is_for_browsers(path)) {
        assert!(document["paths"][path][method].is_object(), "{method} {path}");
    }
}

#[tokio::test]
async fn the_bare_address_leads_a_browser_to_the_documentation_and_nothing_else_there_is_moved() {
    let server = Server::start().await;
    let page = get(&server, "/").await;
    assert_eq!((page.status().as_u16(), page.url().path()), (200, "/docs/"));
    let still = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    let ask = async |method: Method, path: &str| {
        let answer = still.request(method, format!("{}{path}", server.base())).send().await.expect("an answer");
        let header = |name: &str| answer.headers().get(name).map_or("", |value| value.to_str().expect("text")).to_owned();
        (answer.status().as_u16(), header("location"), header("allow"))
    };
    let answered = |status: u16, location: &str, allow: &str| (status, location.to_owned(), allow.to_owned());
    for method in [Method::GET, Method::HEAD] {
        assert_eq!(ask(method.clone(), "/").await, answered(303, "/docs", ""));
        assert_eq!(ask(method.clone(), "/docs").await, answered(308, "/docs/", ""));
        assert_eq!(ask(method.clone(), "/docs/").await, answered(200, "", ""));
        assert_eq!(ask(method, "/nowhere").await, answered(404, "", ""));
    }
    assert_eq!(ask(Method::POST, "/").await, answered(405, "", "GET, HEAD"));
}

#[tokio::test]
async fn the_page_and_all_it_loads_come_from_this_server_under_its_policy() {
    let server = Server::start().await;
    // With its slash, by following the redirect.
    let page = get(&server, "/docs").await;
    assert_eq!(page.url().path(), "/docs/");
    let policy = page.headers()["content-security-policy"].to_str().expect("text").to_owned();
    assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self';"), "{policy}");
    let page = page.text().await.expect("a page");
    let links = ["src=\"", "href=\""].iter().flat_map(|attribute| page.split(attribute).skip(1));
    let links: Vec<_> = links.filter_map(|rest| rest.split('"').next()).collect();
    assert!(links.len() >= 5, "{links:?}");
    for link in links {
        assert!(!link.contains("//"), "{link}");
        let file = get(&server, &format!("/docs/{}", link.trim_start_matches("./"))).await;
        assert_eq!(file.status().as_u16(), 200, "{link}");
    }
    let start = get(&server, "/docs/swagger-initializer.js").await.text().await.expect("a script");
    assert!(start.contains("/api/v1/openapi.json") && !start.contains("://"), "{start}");
}
