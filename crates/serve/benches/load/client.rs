//! A client that costs little beside the servers it measures. In: a port and photos. Out: what was answered, over a connection that
//! stays open.

use std::io::{Error, Result};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

pub(crate) struct Client(BufReader<TcpStream>);

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Answered {
    /// The label of a photo, and its probability.
    pub(crate) fn label(&self) -> (String, f64) {
        let answer: Value = serde_json::from_slice(&self.body).expect("JSON");
        let photo = &answer["predictions"][0];
        (
            photo["label"].as_str().expect("a label").to_owned(),
            photo["probability"].as_f64().expect("a number"),
        )
    }
}

impl Client {
    pub(crate) async fn connect(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Sends a photo to `/predict`.
    pub(crate) async fn predict(&mut self, photo: &[u8]) -> Result<Answered> {
        self.post("/predict", "image/jpeg", photo).await
    }

    pub(crate) async fn post(&mut self, path: &str, kind: &str, body: &[u8]) -> Result<Answered> {
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n"
        );
        self.send(&[head.as_bytes(), body].concat()).await
    }

    /// Sends a request as it is.
    pub(crate) async fn send(&mut self, request: &[u8]) -> Result<Answered> {
        self.0.get_mut().write_all(request).await?;
        let (mut status, mut length, mut line) = (0, 0, String::new());
        loop {
            line.clear();
            if self.0.read_line(&mut line).await? == 0 {
                return Err(Error::other("the server closed the connection"));
            }
            let said = line.trim_end();
            if said.is_empty() {
                break;
            }
            if let Some(rest) = said.strip_prefix("HTTP/1.1 ") {
                status = rest.get(..3).and_then(|code| code.parse().ok()).unwrap_or(0);
            } else if let Some((name, value)) = said.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().map_err(Error::other)?;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await?;
        Ok(Answered { status, body })
    }
}
