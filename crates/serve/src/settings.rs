//! What a server allows.

use std::time::Duration;

use sciurus::data::DecodeLimits;

/// Limits of a server, and who may ask it.
#[derive(Debug, Clone)]
pub struct ServeSettings {
    /// Photos that may wait for their turn, of all requests to a model together. More are refused with 429.
    pub queue: usize,
    /// Photos that a network computes at once. Nothing waits for a batch to fill up.
    pub batch: usize,
    /// Most bytes of a request. All requests together may hold sixteen times as many; more are refused with 429.
    pub largest_request: usize,
    /// Most photos of a request.
    pub most_photos: usize,
    /// How long a client may take: to send a request's head (or the next one, on a connection that stays open), then its body, and to
    /// read more of an answer; and how long an answer may take.
    pub timeout: Duration,
    /// Connections that may be open at once. More are refused with 429. [`app`](crate::app) alone knows nothing of connections.
    pub connections: usize,
    /// Limits of each photo.
    pub limits: DecodeLimits,
    /// Labels that an answer lists, if the request doesn't say how many.
    pub top: usize,
    /// If there is one, requests must carry it: `Authorization: Bearer KEY`.
    pub key: Option<String>,
    /// Whether only requests that call this machine `localhost` or by its own address are answered. A server without a key wants
    /// this: any page in a browser on this machine can have its own name point here (DNS rebinding), and would read the answers.
    pub local: bool,
    /// Web pages of these origins may ask, such as `https://example.org`; by default none.
    pub origins: Vec<String>,
}

impl Default for ServeSettings {
    fn default() -> Self {
        Self {
            queue: 256,
            batch: 64,
            largest_request: 32 << 20,
            most_photos: 64,
            timeout: Duration::from_secs(30),
            connections: 512,
            limits: DecodeLimits::default(),
            top: 5,
            key: None,
            local: false,
            origins: Vec::new(),
        }
    }
}
