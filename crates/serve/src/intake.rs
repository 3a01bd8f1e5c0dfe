//! Bodies of requests, as they arrive. In: a body. Out: its bytes, or a refusal: too many, too late, or too many of all requests
//! together.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, HttpBody};
use futures_util::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::fault::Fault;
use crate::settings::ServeSettings;

/// Bodies of the largest size that all requests together may hold. Without a common limit, each of the connections could fill the
/// memory with a request of its own, slowly.
const TOGETHER: usize = 16;
/// Memory is counted in pieces of this size.
const PIECE: usize = 64 << 10;

/// Where bodies arrive.
#[derive(Debug)]
pub(crate) struct Intake {
    largest: usize,
    most_photos: usize,
    timeout: Duration,
    /// A permit for each piece of memory.
    room: Arc<Semaphore>,
}

/// A body that has arrived.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) bytes: Bytes,
    pub(crate) room: Room,
}

/// The memory that a request's body takes, which is free again when this goes.
#[derive(Debug, Default)]
pub(crate) struct Room(Option<OwnedSemaphorePermit>);

impl Intake {
    pub(crate) fn new(settings: &ServeSettings) -> Self {
        let largest = settings.largest_request;
        let pieces = largest.div_ceil(PIECE).saturating_mul(TOGETHER).min(Semaphore::MAX_PERMITS);
        Self {
            largest,
            most_photos: settings.most_photos,
            timeout: settings.timeout,
            room: Arc::new(Semaphore::new(pieces)),
        }
    }

    /// Refuses a request of too many photos.
    pub(crate) fn check_count(&self, photos: usize) -> Result<(), Fault> {
        let most = self.most_photos;
        match photos > most {
            true => Err(Fault::Bad(format!("the request has more than {most} photos; send it in parts"))),
            false => Ok(()),
        }
    }

    /// A whole body.
    pub(crate) async fn read(&self, body: Body) -> Result<Arrived, Fault> {
        let began = Instant::now();
        // Refused before it is sent, where the client says how much it is going to be.
        if body.size_hint().lower() > self.largest as u64 {
            return Err(Fault::TooLarge(self.largest));
        }
        let read = tokio::time::timeout(self.timeout, self.collected(body)).await;
        read.unwrap_or_else(|_| Err(Fault::Late(began.elapsed().as_secs())))
    }

    async fn collected(&self, body: Body) -> Result<Arrived, Fault> {
        let mut room = Room::default();
        // Reserved for what comes, not for what was promised: promises cost nothing.
        let mut all = Vec::new();
        let mut pieces = body.into_data_stream();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| Fault::Bad(format!("the request was cut off: {error}")))?;
            if piece.len() > self.largest - all.len() {
                return Err(Fault::TooLarge(self.largest));
            }
            self.grow(&mut room, all.len() + piece.len())?;
            all.extend_from_slice(&piece);
        }
        Ok(Arrived { bytes: all.into(), room })
    }

    /// Takes as much memory as this many bytes want.
    fn grow(&self, room: &mut Room, bytes: usize) -> Result<(), Fault> {
        let held = room.0.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let more = bytes.div_ceil(PIECE).saturating_sub(held);
        if more == 0 {
            return Ok(());
        }
        let more = u32::try_from(more)
            .ok()
            .and_then(|more| Arc::clone(&self.room).try_acquire_many_owned(more).ok());
        let more = more.ok_or(Fault::Full(self.largest.saturating_mul(TOGETHER)))?;
        match &mut room.0 {
            Some(held) => held.merge(more),
            none => *none = Some(more),
        }
        Ok(())
    }
}
