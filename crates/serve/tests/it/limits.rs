//! What is refused: too much, too many, too late, without the key.

use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::Request;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::stream;
use sciurus_serve::ServeSettings;
use serde_json::json;

use crate::server::{Server, picture, png};

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_key_is_refused_and_can_still_ask_whether_it_is_alive() {
    let server = Server::new(ServeSettings { key: Some("secret".to_owned()), ..ServeSettings::default() });
    let ask = async |value: Option<&str>| {
        let request = Request::get("/models");
        let request =
            value.map_or_else(|| Request::get("/models"), |value| request.header("authorization", value));
        server.send(request.body(Body::empty()).unwrap()).await
    };
    for wrong in
        [None, Some("secret"), Some("Bearer"), Some("Bearer "), Some("Bearer Secret"), Some("Basic secret")]
    {
        let answer = ask(wrong).await;
        assert!(answer.refused(401).contains("Bearer"));
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
    }
    for right in ["Bearer secret", "bearer secret"] {
        ask(Some(right)).await.ok();
    }
    for open in ["/healthz", "/readyz", "/v2/health/live", "/v2/health/ready"] {
        server.get(open).await.ok();
    }
    server.get("/metrics").await.refused(401);
    server.get("/nothing").await.refused(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_somebody_points_here_is_not_answered() {
    let server = Server::new(ServeSettings { local: true, ..ServeSettings::default() });
    let ask = async |host: &str| {
        server.send(Request::get("/models").header("host", host).body(Body::empty()).unwrap()).await
    };
    for ours in ["localhost", "LOCALHOST:8000", "127.0.0.1:8000", "127.0.0.1", "[::1]:8000", "[::1]"] {
        ask(ours).await.ok();
    }
    for theirs in [
        "evil.example",
        "evil.example:8000",
        "127.0.0.1.evil.example",
        "localhost.evil.example:80",
        "10.0.0.1:8000",
        "",
    ] {
        assert!(ask(theirs).await.refused(403).contains("localhost"), "{theirs}");
    }
    let open = Server::usual();
    open.send(Request::get("/models").header("host", "a.example").body(Body::empty()).unwrap()).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn too_much_at_once_is_refused() {
    let settings = ServeSettings { largest_request: 100_000, most_photos: 3, ..ServeSettings::default() };
    let server = Server::new(settings);
    let refused = server.post("/predict", "image/png", vec![0; 100_001]).await.refused(413);
    assert!(refused.contains("100000 bytes"), "{refused}");
    // Also where the length is not said before.
    let pieces = stream::iter((0..200).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![0; 1000]))));
    server.post("/predict", "image/png", Body::from_stream(pieces)).await.refused(413);
    let photo = STANDARD.encode(png(&picture(1)));
    let body = json!({ "images": vec![photo; 4] }).to_string();
    let refused = server.post("/predict", "application/json", body).await.refused(400);
    assert!(refused.contains("more than 3 photos"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_requests_end() {
    let server =
        Server::new(ServeSettings { timeout: Duration::from_millis(200), ..ServeSettings::default() });
    let never = stream::pending::<Result<Bytes, std::io::Error>>();
    let began = Instant::now();
    server.post("/predict", "image/png", Body::from_stream(never)).await.refused(408);
    assert!(began.elapsed() < Duration::from_secs(5));
    // One that breaks off is no reason to fail.
    let broken = stream::iter([Ok(Bytes::from_static(b"x")), Err(std::io::Error::other("gone"))]);
    server.post("/predict", "image/png", Body::from_stream(broken)).await.refused(400);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_too_many_wait_others_are_told_at_once_and_those_are_answered() {
    let server = Server::new(ServeSettings { queue: 4, most_photos: 4, ..ServeSettings::default() });
    let photo = STANDARD.encode(png(&picture(1)));
    let four = json!({ "images": vec![photo; 4] }).to_string();
    let requests = (0..12).map(|_| server.post("/predict", "application/json", four.clone()));
    let answers = futures_util::future::join_all(requests).await;
    let (good, refused): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.status.as_u16() == 200);
    assert!(!good.is_empty() && !refused.is_empty(), "{} answered, {} refused", good.len(), refused.len());
    for answer in refused {
        assert!(answer.refused(429).contains("waiting"));
        assert_eq!(answer.headers["retry-after"], "1");
    }
    // Nothing is left waiting.
    server.post("/predict", "application/json", four).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_has_a_number_and_pages_of_other_origins_nothing() {
    let server = Server::usual();
    let with = |id: &str| Request::get("/healthz").header("x-request-id", id).body(Body::empty()).unwrap();
    assert_eq!(server.send(with("mine-1")).await.headers["x-request-id"], "mine-1");
    for bad in ["a b", &"x".repeat(65), "\"quoted\""] {
        let answer = server.send(with(bad)).await;
        assert_eq!(answer.headers["x-request-id"].len(), 16, "{bad}");
    }
    let from_afar =
        || Request::get("/models").header("origin", "https://example.org").body(Body::empty()).unwrap();
    assert!(!server.send(from_afar()).await.headers.contains_key("access-control-allow-origin"));
    let open = Server::new(ServeSettings {
        origins: vec!["https://example.org".to_owned()],
        ..ServeSettings::default()
    });
    assert_eq!(open.send(from_afar()).await.headers["access-control-allow-origin"], "https://example.org");
}
