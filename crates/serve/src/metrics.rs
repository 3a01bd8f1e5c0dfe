//! What a server counts, as Prometheus reads it.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Seconds of an answer, and photos of a batch, that are counted apart.
const SECONDS: [f64; 11] = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];
const PHOTOS: [f64; 7] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    route: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfModel {
    model: String,
}

/// Why a client was disconnected before it was answered.
#[derive(Debug, Clone, Copy)]
pub(crate) enum CutOff {
    /// Too many connections were open.
    Crowded,
    /// The head of its request took too long.
    SlowHead,
    /// It did not read its answer.
    TookNothing,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfClient {
    why: &'static str,
}

impl CutOff {
    fn name(self) -> &'static str {
        match self {
            Self::Crowded => "crowded",
            Self::SlowHead => "slow_head",
            Self::TookNothing => "took_nothing",
        }
    }
}

/// The counts.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    seconds: Histogram,
    batches: Histogram,
    photos: Family<OfModel, Counter>,
    rejected: Family<OfModel, Counter>,
    waiting: Family<OfModel, Gauge>,
    connections: Gauge,
    cut_off: Family<OfClient, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        let metrics = Self {
            registry: Registry::default(),
            requests: Family::default(),
            seconds: Histogram::new(SECONDS),
            batches: Histogram::new(PHOTOS),
            photos: Family::default(),
            rejected: Family::default(),
            waiting: Family::default(),
            connections: Gauge::default(),
            cut_off: Family::default(),
        };
        metrics.registered()
    }
}

impl Metrics {
    fn registered(mut self) -> Self {
        let registry = &mut self.registry;
        registry.register("sciurus_requests", "Requests by address and status", self.requests.clone());
        registry.register("sciurus_request_seconds", "Seconds until an answer", self.seconds.clone());
        registry.register(
            "sciurus_batch_photos",
            "Photos that a network computed at once",
            self.batches.clone(),
        );
        registry.register("sciurus_photos", "Photos that were predicted", self.photos.clone());
        registry.register(
            "sciurus_photos_of_no_class",
            "Photos of none of the classes",
            self.rejected.clone(),
        );
        registry.register("sciurus_waiting_photos", "Photos that wait or are computed", self.waiting.clone());
        registry.register("sciurus_connections", "Connections that are open", self.connections.clone());
        registry.register(
            "sciurus_clients_cut_off",
            "Clients that were disconnected before they were answered",
            self.cut_off.clone(),
        );
        self
    }

    pub(crate) fn connected(&self) {
        self.connections.inc();
    }

    pub(crate) fn disconnected(&self) {
        self.connections.dec();
    }

    pub(crate) fn cut_off(&self, why: CutOff) {
        self.cut_off.get_or_create(&OfClient { why: why.name() }).inc();
    }

    /// A request was answered. `route` is one of ours, not what a client made up.
    pub(crate) fn answered(&self, route: &str, status: u16, took: Duration) {
        self.requests.get_or_create(&Answered { route: route.to_owned(), status }).inc();
        self.seconds.observe(took.as_secs_f64());
    }

    pub(crate) fn batch(&self, photos: usize) {
        self.batches.observe(photos as f64);
    }

    /// A model predicted photos, some of which it rejected.
    pub(crate) fn predicted(&self, model: &str, photos: usize, rejected: usize) {
        let of = OfModel { model: model.to_owned() };
        self.photos.get_or_create(&of).inc_by(photos as u64);
        self.rejected.get_or_create(&of).inc_by(rejected as u64);
    }

    pub(crate) fn waiting(&self, model: &str, photos: usize) {
        self.waiting.get_or_create(&OfModel { model: model.to_owned() }).set(photos as i64);
    }

    /// All counts in Prometheus' text format.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
