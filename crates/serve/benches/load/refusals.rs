//! How soon a client is told why it is refused, by an idle server and by one that has more work than it can do.

use std::time::{Duration, Instant};

use crate::client::Client;
use crate::contestant::Contestant;
use crate::load::{Load, within};

/// How often each is asked.
const TIMES: usize = 200;
/// Photos that may wait where it is measured how the others are refused.
const QUEUE: &str = "8";

/// Requests that are refused, by name and status.
fn refused(photo: &[u8]) -> Vec<(&'static str, u16, Vec<u8>)> {
    let request = |path: &str, kind: &str, body: &[u8]| {
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n"
        );
        [head.as_bytes(), body].concat()
    };
    let huge = b"POST /predict HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 9000000000\r\n\r\n".to_vec();
    vec![
        ("not a photo", 422, request("/predict", "image/jpeg", &[7; 100_000])),
        ("a photo cut short", 422, request("/predict", "image/jpeg", &photo[..photo.len() / 2])),
        ("broken JSON", 400, request("/predict", "application/json", b"{\"image\": ")),
        ("no such model", 404, request("/predict?model=none", "image/jpeg", photo)),
        ("too large", 413, huge),
    ]
}

/// Prints a table of them.
pub(crate) async fn measure(sciurus: &Contestant, photo: &[u8]) {
    println!("| refused | status | half within | 99 % within | all within |\n|---|---|---|---|---|");
    let row = |name: &str, status: u16, mut took: Vec<f64>| {
        took.sort_by(f64::total_cmp);
        let at = |share| within(&took, share);
        println!("| {name} | {status} | {:.2} ms | {:.2} ms | {:.2} ms |", at(0.5), at(0.99), at(1.0));
    };
    let running = sciurus.start(photo).await;
    for (name, status, request) in refused(photo) {
        row(name, status, times(running.port, &request, status).await);
    }
    drop(running);
    let running = sciurus.start_with(&["--queue", QUEUE], photo).await;
    let load = Load { connections: 64, seconds: Duration::from_secs(5) };
    let measured = load.on(running.port, &[photo.to_vec()]).await;
    row(&format!("64 connections, a queue of {QUEUE}"), 429, measured.refused);
    println!("\nBeside them {:.1} photos a second were answered; {} failed.", measured.rate, measured.failed);
}

/// Milliseconds that each refusal took, over connections of their own, as the server closes some.
async fn times(port: u16, request: &[u8], status: u16) -> Vec<f64> {
    let mut took = Vec::new();
    for _ in 0..TIMES {
        let mut client = Client::connect(port).await.expect("a connection");
        let began = Instant::now();
        let answer = client.send(request).await.expect("an answer");
        took.push(began.elapsed().as_secs_f64() * 1e3);
        assert_eq!(answer.status, status, "{}", String::from_utf8_lossy(&answer.body));
    }
    took
}
