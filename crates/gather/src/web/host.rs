//! Politeness towards one host. In: its name and the options. Out: permission to send a request, when it's its turn.

use super::options::WebOptions;
use super::robots::Robots;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};
use url::Url;

/// All hosts of photos in this run.
#[derive(Debug)]
pub(crate) struct Hosts {
    per_host: usize,
    per_second: u32,
    hosts: Mutex<HashMap<String, Arc<Host>>>,
}

impl Hosts {
    pub(crate) fn new(options: &WebOptions) -> Self {
        Self { per_host: options.per_host, per_second: options.per_second, hosts: Mutex::default() }
    }

    /// The host that an address belongs to.
    pub(crate) fn of(&self, url: &Url) -> Arc<Host> {
        let name = authority(url);
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Host::new(self.per_host, self.per_second));
        Arc::clone(hosts.entry(name).or_insert_with(new))
    }
}

/// Scheme, host and port: what a robots.txt applies to.
pub(crate) fn authority(url: &Url) -> String {
    let port = url.port_or_known_default().unwrap_or_default();
    format!("{}://{}:{port}", url.scheme(), url.host_str().unwrap_or_default())
}

/// What is known about one host.
#[derive(Debug)]
pub(crate) struct Host {
    permits: Semaphore,
    limiter: DefaultDirectRateLimiter,
    /// What its robots.txt says, downloaded once.
    pub(crate) robots: OnceCell<Robots>,
    /// A slower pace that its robots.txt asks for.
    slower: OnceCell<DefaultDirectRateLimiter>,
    resting: Mutex<Option<Instant>>,
}

impl Host {
    fn new(per_host: usize, per_second: u32) -> Self {
        let per_second = NonZeroU32::new(per_second).unwrap_or(NonZeroU32::MIN);
        Self {
            permits: Semaphore::new(per_host.max(1)),
            limiter: RateLimiter::direct(Quota::per_second(per_second)),
            robots: OnceCell::new(),
            slower: OnceCell::new(),
            resting: Mutex::default(),
        }
    }

    /// From now on, one request per `delay`, as a crawl delay asks.
    pub(crate) fn slow_down(&self, delay: Duration) {
        if let Some(quota) = Quota::with_period(delay) {
            // Set by the one task that reads robots.txt; a second value can't differ.
            let _ = self.slower.set(RateLimiter::direct(quota));
        }
    }

    /// No request for this long, as a response asked.
    pub(crate) fn rest(&self, pause: Duration) {
        *self.resting.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + pause);
    }

    /// Waits for its turn. The request must end before the permit is dropped.
    pub(crate) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        let permit = self.permits.acquire().await.ok()?;
        let resting = *self.resting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(until) = resting {
            tokio::time::sleep_until(until.into()).await;
        }
        self.limiter.until_ready().await;
        if let Some(slower) = self.slower.get() {
            slower.until_ready().await;
        }
        Some(permit)
    }
}
