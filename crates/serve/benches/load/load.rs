//! One measurement. In: a port, photos, and how many ask at once. Out: how many answers came, and how long each took.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::client::{Answered, Client};

/// How hard a server is asked, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) connections: usize,
    pub(crate) seconds: Duration,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    /// Answers in a second.
    pub(crate) rate: f64,
    /// How long each answer took, in order, in milliseconds.
    pub(crate) took: Vec<f64>,
    /// The same for refusals because of too many requests.
    pub(crate) refused: Vec<f64>,
    /// Anything else.
    pub(crate) failed: usize,
}

/// Milliseconds within which a share of answers came.
pub(crate) fn within(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * share).round() as usize).copied().unwrap_or(f64::NAN)
}

/// Asks about each photo once.
pub(crate) async fn ask_each(port: u16, photos: &[Vec<u8>]) -> Vec<Answered> {
    let mut client = Client::connect(port).await.expect("a connection");
    let mut answers = Vec::new();
    for photo in photos {
        let answer = client.predict(photo).await.expect("an answer");
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        answers.push(answer);
    }
    answers
}

impl Load {
    /// Asks a server; what it answers while it warms up doesn't count.
    pub(crate) async fn on(self, port: u16, photos: &[Vec<u8>]) -> Measured {
        let photos: Arc<[Vec<u8>]> = photos.into();
        let next = Arc::new(AtomicUsize::new(0));
        let begins = Instant::now() + self.seconds / 5;
        let ends = begins + self.seconds;
        let clients = (0..self.connections).map(|_| {
            let (photos, next) = (Arc::clone(&photos), Arc::clone(&next));
            tokio::spawn(ask(port, photos, next, [begins, ends]))
        });
        let clients: Vec<_> = clients.collect();
        let mut all = Measured::default();
        for client in clients {
            let Measured { took, refused, failed, .. } = client.await.expect("a client");
            all.took.extend(took);
            all.refused.extend(refused);
            all.failed += failed;
        }
        // Answers come in batches, so the last one counts in full: to stop between two would be to miss up to a whole one.
        all.rate = all.took.len() as f64 / begins.elapsed().as_secs_f64();
        all.took.sort_by(f64::total_cmp);
        all.refused.sort_by(f64::total_cmp);
        all
    }
}

/// One client, which asks again as soon as it is answered.
async fn ask(
    port: u16,
    photos: Arc<[Vec<u8>]>,
    next: Arc<AtomicUsize>,
    [begins, ends]: [Instant; 2],
) -> Measured {
    let mut measured = Measured::default();
    let mut client = None;
    while Instant::now() < ends {
        let photo = &photos[next.fetch_add(1, Ordering::Relaxed) % photos.len()];
        let began = Instant::now();
        if client.is_none() {
            client = Client::connect(port).await.ok();
        }
        let answer = match &mut client {
            Some(client) => client.predict(photo).await.ok(),
            None => None,
        };
        let ended = Instant::now();
        let milliseconds = ended.duration_since(began).as_secs_f64() * 1e3;
        let counts = ended >= begins;
        match answer.map(|answer| answer.status) {
            Some(200) if counts => measured.took.push(milliseconds),
            Some(429) if counts => measured.refused.push(milliseconds),
            Some(200 | 429) => {}
            _ => {
                measured.failed += 1;
                client = None;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }
    measured
}
