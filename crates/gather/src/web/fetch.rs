//! Downloads one photo from anywhere, politely. In: its address. Out: its bytes, within limits of size and time; or why
//! not.

use super::address::{Guard, PrivateHost, private_host};
use super::client;
use super::fault::FetchFault;
use super::host::{Host, Hosts, authority};
use super::options::WebOptions;
use super::retry;
use super::robots::{self, Robots};
use crate::error::GatherError;
use reqwest::header::LOCATION;
use reqwest::{Client, Response, StatusCode};
use sciurus_photos::text::{DETAIL, LONGEST_ADDRESS, is_web, plain};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, timeout_at};
use url::Url;

impl FetchFault {
    /// Whether trying again later may help.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::TimedOut { .. } | Self::CutShort | Self::HostDown { .. } => true,
            Self::Status { status } => *status >= 500 || matches!(status, 408 | 425 | 429),
            _ => false,
        }
    }
}

/// Downloads photos, politely.
#[derive(Debug)]
pub(crate) struct Fetcher {
    client: Client,
    guard: Guard,
    hosts: Hosts,
    options: Arc<WebOptions>,
}

/// What to download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// A photo, if the host's robots.txt allows it; one that is too large is refused.
    Photo,
    /// The robots.txt itself, of which only the beginning counts.
    Robots,
}

impl Fetcher {
    pub(crate) fn new(options: Arc<WebOptions>) -> Result<Self, GatherError> {
        let (client, guard) = client::for_photos(&options)?;
        Ok(Self { client, guard, hosts: Hosts::new(&options), options })
    }

    /// The bytes of a photo. If a failure may be temporary, it's tried twice.
    pub(crate) async fn fetch(&self, url: &Url) -> Result<Vec<u8>, FetchFault> {
        match self.follow(url, What::Photo).await {
            Err(fault) if tries_again(&fault) => {
                tokio::time::sleep(self.options.pause.min(Duration::from_secs(1))).await;
                self.follow(url, What::Photo).await
            }
            result => result,
        }
    }

    /// Follows redirects, and checks each like the first address.
    async fn follow(&self, url: &Url, what: What) -> Result<Vec<u8>, FetchFault> {
        let mut url = url.clone();
        let mut left = self.options.file_timeout;
        for _ in 0..=self.options.redirects {
            self.check(&url)?;
            let host = self.hosts.of(&url);
            if what == What::Photo && !self.robots(&host, &url).await.allow(&url) {
                return Err(self.forbidden(&host));
            }
            let _permit = host.turn().await.ok_or(FetchFault::BadAddress)?;
            // The time spent waiting for a turn doesn't count towards the photo's time-out.
            let begin = Instant::now();
            match self.request(&url, &host, (what, begin + left)).await? {
                Answer::File(bytes) => return Ok(bytes),
                Answer::Elsewhere(next) => url = next,
            }
            left = left.saturating_sub(begin.elapsed());
        }
        Err(FetchFault::TooManyRedirects { limit: self.options.redirects })
    }

    fn check(&self, url: &Url) -> Result<(), FetchFault> {
        if !is_web(url) || url.as_str().len() > LONGEST_ADDRESS {
            return Err(FetchFault::BadAddress);
        }
        self.guard.check(url).map_err(private)
    }

    /// Why robots.txt forbids a host: it could not be downloaded because the host is down, or it says so.
    fn forbidden(&self, host: &Host) -> FetchFault {
        match host.robots.get() {
            Some(Robots::Nothing(fault @ FetchFault::PrivateHost { .. })) => fault.clone(),
            Some(Robots::Nothing(fault)) => {
                FetchFault::Unreachable { detail: format!("its robots.txt cannot be downloaded ({fault})") }
            }
            _ => FetchFault::Robots,
        }
    }

    async fn robots<'h>(&self, host: &'h Host, url: &Url) -> &'h Robots {
        let read = || async {
            let robots = self.read_robots(url).await;
            if let Some(delay) = robots.delay() {
                host.slow_down(delay);
            }
            robots
        };
        host.robots.get_or_init(read).await
    }

    /// RFC 9309: a missing robots.txt allows everything, one that fails forbids everything.
    async fn read_robots(&self, url: &Url) -> Robots {
        let Ok(place) = format!("{}/robots.txt", authority(url)).parse() else { return Robots::Everything };
        match Box::pin(self.follow(&place, What::Robots)).await {
            Ok(text) => Robots::read(&text),
            Err(FetchFault::Status { status }) if status < 500 && status != 429 => Robots::Everything,
            Err(FetchFault::TooManyRedirects { .. }) => Robots::Everything,
            Err(fault) => Robots::Nothing(fault),
        }
    }

    async fn request(
        &self,
        url: &Url,
        host: &Host,
        (what, deadline): (What, Instant),
    ) -> Result<Answer, FetchFault> {
        let late = FetchFault::TimedOut { seconds: self.options.file_timeout.as_secs() };
        let transfer = async {
            let response = self.client.get(url.clone()).send().await.map_err(|error| fault(&error))?;
            self.answer(response, host, what).await
        };
        timeout_at(deadline, transfer).await.unwrap_or(Err(late))
    }

    async fn answer(&self, response: Response, host: &Host, what: What) -> Result<Answer, FetchFault> {
        let status = response.status();
        if status.is_redirection() {
            let place = response.headers().get(LOCATION).and_then(|place| place.to_str().ok());
            let next = place.and_then(|place| response.url().join(place).ok());
            return next.map(Answer::Elsewhere).ok_or(FetchFault::Status { status: status.as_u16() });
        }
        if status != StatusCode::OK {
            self.let_rest(&response, host);
            return Err(FetchFault::Status { status: status.as_u16() });
        }
        self.body(response, what).await.map(Answer::File)
    }

    async fn body(&self, mut response: Response, what: What) -> Result<Vec<u8>, FetchFault> {
        let limit = match what {
            What::Photo => self.options.file_bytes,
            // One byte more, to tell a text that goes on from one that ends here.
            What::Robots => robots::MAX_BYTES as u64 + 1,
        };
        let too_many = FetchFault::TooManyBytes { limit };
        if what == What::Photo && response.content_length().is_some_and(|length| length > limit) {
            return Err(too_many);
        }
        let mut bytes = Vec::new();
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        while let Some(part) = response.chunk().await.map_err(|error| fault(&error))? {
            let room = most - bytes.len();
            if part.len() > room && what == What::Photo {
                return Err(too_many);
            }
            bytes.extend_from_slice(&part[..part.len().min(room)]);
            if bytes.len() == most && what == What::Robots {
                break;
            }
        }
        Ok(bytes)
    }

    /// Leaves a host alone that says it's busy.
    fn let_rest(&self, response: &Response, host: &Host) {
        if matches!(response.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            let asked = retry::retry_after(response.headers(), SystemTime::now());
            host.rest(asked.unwrap_or(self.options.pause).min(self.options.longest_wait));
        }
    }
}

enum Answer {
    File(Vec<u8>),
    Elsewhere(Url),
}

/// A time-out has already cost enough time, and a connection that fails won't succeed a second later.
fn tries_again(fault: &FetchFault) -> bool {
    fault.is_passing() && !matches!(fault, FetchFault::TimedOut { .. } | FetchFault::Unreachable { .. })
}

fn private(host: PrivateHost) -> FetchFault {
    FetchFault::PrivateHost { host: host.0 }
}

fn fault(error: &reqwest::Error) -> FetchFault {
    if let Some(host) = private_host(error) {
        return private(host.clone());
    }
    if error.is_body() || error.is_decode() {
        return FetchFault::CutShort;
    }
    FetchFault::Unreachable { detail: innermost(error) }
}

/// The innermost cause, which says what happened; the outer ones repeat the address.
pub(crate) fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    plain(&cause.to_string().to_lowercase(), DETAIL)
}
