//! Photos that wait for a network, and the thread that has it predict them. In: the photos of a request. Out: an answer for each,
//! or a refusal at once where too many wait.
//!
//! Photos are decoded on all cores while the network computes those before them. The network takes whatever has come by then, up to a
//! batch: on an idle server a photo waits for nothing, on a busy one batches fill up by themselves.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use axum::body::Bytes;
use sciurus::data::{DecodeLimits, RgbImage, decode};
use sciurus::{Prediction, Predictor, Prepared};
use tokio::sync::oneshot;

use crate::fault::Fault;
use crate::metrics::Metrics;
use crate::settings::ServeSettings;

/// A photo of a request.
#[derive(Debug)]
pub(crate) enum Photo {
    /// The bytes of a file.
    File(Bytes),
    /// Upright pixels.
    Pixels(RgbImage),
}

/// What is said of each photo of a request.
pub(crate) type Answers = Vec<Result<Prediction, Fault>>;

/// The queue of one model.
#[derive(Debug)]
pub(crate) struct Queue {
    predictor: RwLock<Arc<Predictor>>,
    work: Sender<Ready>,
    waiting: Arc<AtomicUsize>,
    room: usize,
    limits: DecodeLimits,
}

/// A request whose photos are decoded.
struct Ready {
    /// Which prepared the photos, and must predict them, whatever was loaded since.
    predictor: Arc<Predictor>,
    photos: Vec<Result<Prepared, Fault>>,
    reply: oneshot::Sender<Answers>,
    places: Places,
}

/// Places in the queue, which are free again when this goes.
#[derive(Debug)]
struct Places {
    waiting: Arc<AtomicUsize>,
    photos: usize,
}

impl Drop for Places {
    fn drop(&mut self) {
        self.waiting.fetch_sub(self.photos, Ordering::SeqCst);
    }
}

impl Queue {
    /// A queue before a model, and its thread, which ends with the queue.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(crate) fn start(
        predictor: Predictor,
        settings: &ServeSettings,
        metrics: Arc<Metrics>,
    ) -> std::io::Result<Self> {
        let (work, ready) = channel();
        let batch = settings.batch.max(1);
        std::thread::Builder::new()
            .name("network".to_owned())
            .spawn(move || predict_all(&ready, batch, &metrics))?;
        Ok(Self {
            predictor: RwLock::new(Arc::new(predictor)),
            work,
            waiting: Arc::default(),
            room: settings.queue,
            limits: settings.limits,
        })
    }

    /// The model for the next request.
    pub(crate) fn predictor(&self) -> Arc<Predictor> {
        Arc::clone(&self.predictor.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the model. Requests that wait are answered by the one before.
    pub(crate) fn replace(&self, predictor: Predictor) {
        *self.predictor.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(predictor);
    }

    /// Photos that wait or are computed.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    /// Has this model predict photos, unless too many wait or it's too late by the time that it is their turn.
    ///
    /// # Errors
    /// Too many photos wait, or the model failed.
    pub(crate) async fn ask(
        &self,
        predictor: Arc<Predictor>,
        photos: Vec<Photo>,
        deadline: Instant,
    ) -> Result<Answers, Fault> {
        let places = self.take(photos.len())?;
        let (reply, answers) = oneshot::channel();
        let (work, limits) = (self.work.clone(), self.limits);
        rayon::spawn_fifo(move || {
            // Asked before each photo, as one can cost seconds: what nobody waits for any more is not worth computing.
            let is_wanted = || !reply.is_closed() && Instant::now() < deadline;
            let prepare = |photo: &Photo| is_wanted().then(|| prepared(&predictor, photo, &limits));
            let photos = catch_unwind(AssertUnwindSafe(|| photos.iter().map(prepare).collect()));
            if let Ok(Some(photos)) = photos {
                // Fails only if the network's thread has ended, and then nobody is answered.
                let _ = work.send(Ready { predictor, photos, reply, places });
            }
        });
        answers.await.map_err(|_| Fault::Model("it gave no answer; the server's log says why".to_owned()))
    }

    fn take(&self, photos: usize) -> Result<Places, Fault> {
        let enter = |waiting: usize| (waiting + photos <= self.room).then_some(waiting + photos);
        match self.waiting.fetch_update(Ordering::SeqCst, Ordering::SeqCst, enter) {
            Ok(_) => Ok(Places { waiting: Arc::clone(&self.waiting), photos }),
            Err(waiting) => Err(Fault::Busy(waiting)),
        }
    }
}

fn prepared(predictor: &Predictor, photo: &Photo, limits: &DecodeLimits) -> Result<Prepared, Fault> {
    match photo {
        Photo::Pixels(image) => Ok(predictor.prepare(image)),
        Photo::File(bytes) => match decode(bytes, limits) {
            Ok(image) => Ok(predictor.prepare(&image)),
            Err(reason) => Err(Fault::Photo(reason.to_string())),
        },
    }
}

/// The network's thread.
fn predict_all(ready: &Receiver<Ready>, batch: usize, metrics: &Metrics) {
    let mut next = None;
    while let Some(first) = next.take().or_else(|| ready.recv().ok()) {
        let (mut photos, mut together) = (first.photos.len(), vec![first]);
        while photos < batch {
            let Ok(request) = ready.try_recv() else { break };
            photos += request.photos.len();
            let fits = photos <= batch && Arc::ptr_eq(&request.predictor, &together[0].predictor);
            if !fits {
                next = Some(request);
                break;
            }
            together.push(request);
        }
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| answer(together, metrics))) {
            let said = panic.downcast_ref::<String>().map_or("no reason is known", String::as_str);
            tracing::error!(said, "the network failed");
        }
    }
}

/// Predicts the photos of several requests at once, and answers each.
fn answer(mut requests: Vec<Ready>, metrics: &Metrics) {
    requests.retain(|request| !request.reply.is_closed());
    let Some(first) = requests.first() else { return };
    let predictor = Arc::clone(&first.predictor);
    let photos: Vec<&Prepared> =
        requests.iter().flat_map(|request| &request.photos).filter_map(|photo| photo.as_ref().ok()).collect();
    metrics.batch(photos.len());
    let mut predicted = match predictor.predict_prepared(&photos) {
        Ok(predictions) => Ok(predictions.into_iter()),
        Err(error) => Err(Fault::Model(error.to_string())),
    };
    for Ready { photos, reply, places, .. } in requests {
        let answers = photos.into_iter().map(|photo| {
            photo?;
            match &mut predicted {
                Ok(predictions) => {
                    predictions.next().ok_or_else(|| Fault::Model("it said too little".to_owned()))
                }
                Err(fault) => Err(fault.clone()),
            }
        });
        let answers = answers.collect();
        drop(places);
        // Nobody may wait any more.
        let _ = reply.send(answers);
    }
}
