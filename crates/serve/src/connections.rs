//! Connections: how many there may be, and for how long one may say nothing. In: a listener and the app. Out: requests answered; and
//! whoever is sent away is told why, as far as HTTP has words for it.
//!
//! `axum::serve` would wait for a slow head for ever, and for as many of them as come.

use std::future::poll_fn;
use std::io::ErrorKind;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tower::ServiceExt;

use crate::fault::Fault;
use crate::metrics::{CutOff, Metrics};
use crate::models::Models;
use crate::patient::Patient;

/// Most bytes of a request's line and headers. hyper's own limit is 400 kB, which 500 clients could make 200 MB of.
const LARGEST_HEAD: usize = 64 << 10;
/// More connections than any system keeps, and few enough to be counted.
const MOST: usize = 1 << 24;
/// How many who find no room are told so at the same time. Others are only disconnected: telling them must cost little.
const TOLD_AT_ONCE: usize = 64;
/// How long it is waited for a client to read what it was told, and to stop sending.
const LINGER: Duration = Duration::from_secs(1);
/// A pause where the system has no handle for another connection.
const BREATH: Duration = Duration::from_millis(200);

/// What all connections share.
#[derive(Clone)]
struct Door {
    app: Router,
    models: Models,
    /// A permit for each connection that may be open.
    room: Arc<Semaphore>,
    most: usize,
    /// A permit for each client that may be told that there is no room.
    told: Arc<Semaphore>,
    ending: watch::Receiver<bool>,
}

/// A connection's place, which is free again when this goes.
struct Place {
    models: Models,
    _permit: OwnedSemaphorePermit,
}

impl Place {
    fn new(models: Models, permit: OwnedSemaphorePermit) -> Self {
        models.metrics().connected();
        Self { models, _permit: permit }
    }

    fn metrics(&self) -> &Metrics {
        self.models.metrics()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.metrics().disconnected();
    }
}

/// Answers all who come until `ending` is true, and then those who have asked by then.
pub(crate) async fn attend(
    listener: TcpListener,
    app: Router,
    models: Models,
    mut ending: watch::Receiver<bool>,
) {
    let most = models.settings().connections.clamp(1, MOST);
    let room = Arc::new(Semaphore::new(most));
    let told = Arc::new(Semaphore::new(TOLD_AT_ONCE));
    let door = Door { app, models, room: Arc::clone(&room), most, told, ending: ending.clone() };
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = ending.wait_for(|ending| *ending) => break,
        };
        match accepted {
            Ok((stream, _)) => door.receive(stream),
            // The client has gone already.
            Err(error) if is_of_client(error.kind()) => {}
            Err(error) => {
                tracing::error!(error = error.to_string(), "no connection can be taken");
                tokio::time::sleep(BREATH).await;
            }
        }
    }
    drop(listener);
    // All places are free when nobody is there any more. It fails only where the semaphore is closed, which nobody does.
    let _ = room.acquire_many(most as u32).await;
}

fn is_of_client(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionAborted | ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset)
}

impl Door {
    /// Takes a client in, or sends it away.
    fn receive(&self, stream: TcpStream) {
        // An answer is written at once; to wait for more to send with it would only make it late.
        let _ = stream.set_nodelay(true);
        if let Ok(permit) = Arc::clone(&self.room).try_acquire_owned() {
            let place = Place::new(self.models.clone(), permit);
            tokio::spawn(self.clone().converse(stream, place));
            return;
        }
        self.models.metrics().cut_off(CutOff::Crowded);
        if let Ok(permit) = Arc::clone(&self.told).try_acquire_owned() {
            let fault = Fault::Crowded(self.most);
            tokio::spawn(async move {
                send_away(stream, &fault).await;
                drop(permit);
            });
        }
    }

    /// Answers a client's requests until it goes, says nothing for too long, or the server ends.
    async fn converse(self, stream: TcpStream, place: Place) {
        let Self { app, models, mut ending, .. } = self;
        let timeout = models.settings().timeout;
        let service = service_fn(move |request: Request<Incoming>| {
            Box::pin(app.clone().oneshot(request.map(Body::new)))
        });
        let stream = TokioIo::new(Patient::new(stream, timeout));
        let mut connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(timeout)
            .max_header_size(LARGEST_HEAD)
            .serve_connection(stream, service);
        let mut asked_to_end = pin!(ending.wait_for(|ending| *ending));
        let mut ends = false;
        let served = loop {
            let served = tokio::select! {
                served = poll_fn(|context| connection.poll_without_shutdown(context)) => Some(served),
                _ = &mut asked_to_end, if !ends => None,
            };
            match served {
                Some(served) => break served,
                None => {
                    ends = true;
                    Pin::new(&mut connection).graceful_shutdown();
                }
            }
        };
        let parts = connection.into_parts();
        let stream = parts.io.into_inner();
        let took_nothing = stream.gave_up();
        let stream = stream.into_inner();
        if took_nothing {
            place.metrics().cut_off(CutOff::TookNothing);
        } else if served.is_err_and(|error| error.is_timeout()) && !parts.read_buf.is_empty() {
            place.metrics().cut_off(CutOff::SlowHead);
            send_away(stream, &Fault::Late(timeout.as_secs())).await;
        } else if !ends {
            // Where the server ends, an idle client has nothing to read any more.
            linger(stream).await;
        }
    }
}

/// Tells a client why it is not answered.
async fn send_away(mut stream: TcpStream, fault: &Fault) {
    let told = tokio::time::timeout(LINGER, stream.write_all(fault.response().as_bytes())).await;
    if told.is_ok_and(|told| told.is_ok()) {
        linger(stream).await;
    }
}

/// Closes a connection so that the client can read what it was told: if it is still sending, to close at once would have the system
/// throw away what it has not read yet.
async fn linger(mut stream: TcpStream) {
    if stream.shutdown().await.is_err() {
        return;
    }
    let mut rest = vec![0; 4096];
    let drained = async { while stream.read(&mut rest).await.is_ok_and(|bytes| bytes > 0) {} };
    let _ = tokio::time::timeout(LINGER, drained).await;
}
