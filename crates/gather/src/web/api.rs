//! Requests to a source's service. In: an address with parameters and a key. Out: JSON, after as many attempts as the
//! options allow; or why there is none. Neither an error nor an event ever contains a key.

use super::fetch::innermost;
use super::options::WebOptions;
use super::retry;
use crate::event::{Events, GatherEvent};
use crate::secret::Secret;
use crate::source::SourceDown;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use reqwest::{Client, Response, StatusCode};
use sciurus_data::{Rng, Seed};
use sciurus_photos::SourceId;
use sciurus_photos::text::{DETAIL, plain};
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use url::Url;

/// A request: an address, its parameters, and where the key goes.
#[derive(Clone)]
pub(crate) struct Ask {
    url: Url,
    header: Option<(&'static str, &'static str, Secret)>,
    form: Vec<(&'static str, Secret)>,
    secrets: Vec<Secret>,
}

impl Ask {
    /// A request to a path below a service's address.
    pub(crate) fn new(base: &Url, path: &str) -> Self {
        let mut url = base.clone();
        url.set_path(&format!("{}/{path}", base.path().trim_end_matches('/')));
        Self { url, header: None, form: Vec::new(), secrets: Vec::new() }
    }

    /// Adds a parameter.
    #[allow(clippy::needless_pass_by_value, reason = "numbers and texts alike")]
    pub(crate) fn with(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.url.query_pairs_mut().append_pair(name, &value.to_string());
        self
    }

    /// Adds a parameter that is a key.
    pub(crate) fn key(mut self, name: &str, key: &Secret) -> Self {
        self.url.query_pairs_mut().append_pair(name, key.reveal());
        self.secrets.push(key.clone());
        self
    }

    /// Adds a header with a key after a prefix such as `Bearer `.
    pub(crate) fn header(mut self, name: &'static str, prefix: &'static str, key: &Secret) -> Self {
        self.header = Some((name, prefix, key.clone()));
        self.secrets.push(key.clone());
        self
    }

    /// Adds the fields of a form, which makes the request a POST.
    pub(crate) fn form(mut self, fields: Vec<(&'static str, Secret)>) -> Self {
        self.secrets.extend(fields.iter().map(|(_, key)| key.clone()));
        self.form = fields;
        self
    }

    /// Text from a response, with keys removed and not too long.
    fn scrubbed(&self, text: &str) -> String {
        let clean = |text: String, key: &Secret| {
            let encoded: String = url::form_urlencoded::byte_serialize(key.reveal().as_bytes()).collect();
            text.replace(key.reveal(), "***").replace(&encoded, "***")
        };
        // Remove keys first: a key that is cut in two would not be recognised.
        plain(&self.secrets.iter().fold(text.to_owned(), clean), DETAIL)
    }
}

/// A connection to one source's service, at its pace.
#[derive(Debug)]
pub(crate) struct Api {
    source: SourceId,
    client: Client,
    options: Arc<WebOptions>,
    limiter: DefaultDirectRateLimiter,
    resting: Mutex<Option<Instant>>,
    rng: Mutex<Rng>,
    events: Events,
}

impl Api {
    /// `period`: the average time between two requests that the service asks for; a few may come at once.
    pub(crate) fn new(source: SourceId, period: Duration, way: &ApiContext) -> Self {
        let quota = Quota::with_period(period).unwrap_or(Quota::per_second(BURST));
        Self {
            source,
            client: way.client.clone(),
            options: Arc::clone(&way.options),
            limiter: RateLimiter::direct(quota.allow_burst(BURST)),
            resting: Mutex::default(),
            rng: Mutex::new(way.seed.rng(&[source as u64])),
            events: way.events.clone(),
        }
    }

    /// Asks until there is a response, or until trying again is pointless.
    pub(crate) async fn json(&self, ask: &Ask) -> Result<Value, SourceDown> {
        let mut attempt = 1;
        loop {
            let trouble = match self.once(ask).await {
                Ok(value) => return Ok(value),
                Err(trouble) => trouble,
            };
            let Some(pause) = self.pause(&trouble, attempt) else { return Err(trouble.down) };
            self.events.send(&GatherEvent::Waiting {
                source: self.source,
                seconds: pause.as_secs_f64(),
                reason: trouble.down,
            });
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    /// How long to wait before the next attempt; `None` to give up.
    fn pause(&self, trouble: &Trouble, attempt: u32) -> Option<Duration> {
        if !trouble.down.is_passing() || attempt >= self.options.attempts {
            return None;
        }
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        let own = retry::back_off(self.options.pause, attempt, &mut rng);
        let pause = trouble.asked.map_or(own, |asked| asked.max(own));
        (pause <= self.options.longest_wait).then_some(pause)
    }

    async fn once(&self, ask: &Ask) -> Result<Value, Trouble> {
        self.turn().await?;
        let request = match ask.form.is_empty() {
            true => self.client.get(ask.url.clone()),
            false => {
                let mut body = url::form_urlencoded::Serializer::new(String::new());
                ask.form.iter().for_each(|(name, value)| {
                    body.append_pair(name, value.reveal());
                });
                let form = "application/x-www-form-urlencoded";
                self.client.post(ask.url.clone()).header("content-type", form).body(body.finish())
            }
        };
        let request = match &ask.header {
            Some((name, prefix, key)) => request.header(*name, format!("{prefix}{}", key.reveal())),
            None => request,
        };
        let response = request.send().await.map_err(|error| self.broken(error))?;
        self.answer(response, ask).await
    }

    /// Waits as the service's pace requires, and until any pause it asked for is over.
    async fn turn(&self) -> Result<(), Trouble> {
        self.limiter.until_ready().await;
        let resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner).take();
        let rest = resting.map(|until| until.saturating_duration_since(Instant::now())).unwrap_or_default();
        if rest > self.options.longest_wait {
            return Err(Trouble {
                down: SourceDown::RateLimited { seconds: rest.as_secs() },
                asked: Some(rest),
            });
        }
        if !rest.is_zero() {
            let (seconds, reason) = (rest.as_secs_f64(), SourceDown::RateLimited { seconds: rest.as_secs() });
            self.events.send(&GatherEvent::Waiting { source: self.source, seconds, reason });
            tokio::time::sleep(rest).await;
        }
        Ok(())
    }

    async fn answer(&self, mut response: Response, ask: &Ask) -> Result<Value, Trouble> {
        let (status, headers, now) = (response.status(), response.headers().clone(), SystemTime::now());
        let asked = retry::retry_after(&headers, now);
        let used_up = retry::used_up(&headers, now);
        if status.is_success() {
            // It's the next request that waits, not this response.
            *self.resting.lock().unwrap_or_else(PoisonError::into_inner) =
                used_up.and_then(|rest| Instant::now().checked_add(rest));
        }
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(|error| self.broken(error))? {
            if (body.len() + part.len()) as u64 > self.options.page_bytes {
                return Err(SourceDown::TooManyBytes { limit: self.options.page_bytes }.into());
            }
            body.extend_from_slice(&part);
        }
        let text = || ask.scrubbed(&String::from_utf8_lossy(&body));
        match status {
            StatusCode::TOO_MANY_REQUESTS => {
                let asked = asked.or(used_up);
                let seconds = asked.unwrap_or_default().as_secs();
                Err(Trouble { down: SourceDown::RateLimited { seconds }, asked })
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(SourceDown::Forbidden { status: status.as_u16(), detail: text() }.into())
            }
            status if !status.is_success() => {
                let down = SourceDown::Status { status: status.as_u16(), detail: text() };
                Err(Trouble { down, asked })
            }
            _ => {
                few_parts(&body)?;
                serde_json::from_slice(&body).map_err(|_| SourceDown::NotJson { begins: text() }.into())
            }
        }
    }

    /// Leaves the address out of the error, since it may contain a key.
    fn broken(&self, error: reqwest::Error) -> Trouble {
        let error = error.without_url();
        if error.is_timeout() {
            return SourceDown::TimedOut { seconds: self.options.search_timeout.as_secs() }.into();
        }
        SourceDown::Unreachable { detail: innermost(&error) }.into()
    }
}

/// Most objects and values of a response. A JSON object takes up to 700 bytes of memory for 8 bytes of text; the
/// largest honest responses have some 50,000.
const MOST_OBJECTS: usize = 200_000;
const MOST_VALUES: usize = 2_000_000;

/// Refuses a response that would take far more memory than it has bytes, before it's parsed. It also counts marks
/// inside strings, which makes little difference for honest responses.
fn few_parts(body: &[u8]) -> Result<(), SourceDown> {
    let count = |marks: &[u8]| body.iter().filter(|byte| marks.contains(byte)).count();
    for (marks, limit) in [(b"{".as_slice(), MOST_OBJECTS), (b",[", MOST_VALUES)] {
        if count(marks) > limit {
            return Err(SourceDown::TooManyParts { limit });
        }
    }
    Ok(())
}

/// Requests that may be sent at once before the pace applies.
const BURST: std::num::NonZeroU32 = std::num::NonZeroU32::new(5).unwrap();

/// What all sources of a run share.
#[derive(Debug, Clone)]
pub(crate) struct ApiContext {
    pub(crate) client: Client,
    pub(crate) options: Arc<WebOptions>,
    pub(crate) seed: Seed,
    pub(crate) events: Events,
}

impl ApiContext {
    pub(crate) fn new(
        options: &Arc<WebOptions>,
        seed: Seed,
        events: &Events,
    ) -> Result<Self, crate::GatherError> {
        let client = super::client::for_sources(options)?;
        Ok(Self { client, options: Arc::clone(options), seed, events: events.clone() })
    }
}

struct Trouble {
    down: SourceDown,
    /// How long the service asks to wait.
    asked: Option<Duration>,
}

impl From<SourceDown> for Trouble {
    fn from(down: SourceDown) -> Self {
        Self { down, asked: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_scrubbed_from_what_services_say() {
        let key = Secret::new("s3cr&t");
        let ask =
            Ask::new(&"https://a.example/api".parse().unwrap(), "search").key("key", &key).with("q", "a b");
        assert_eq!(ask.url.as_str(), "https://a.example/api/search?key=s3cr%26t&q=a+b");
        assert_eq!(ask.scrubbed("bad key s3cr&t in ?key=s3cr%26t"), "bad key *** in ?key=***");
    }
}
