//! One photo on its way. In: what a source found. Out: its report and its bytes in a file of ours, or why it's
//! rejected.

use super::part::Part;
use crate::rejection::Rejection;
use crate::source::{FoundImage, ImageSource};
use crate::web::{FetchFault, Fetcher};
use sciurus_data::fs::Root;
use sciurus_data::{DecodeLimits, SkipReason};
use sciurus_photos::PixelReport;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// What all photos on their way share.
#[derive(Debug)]
pub(crate) struct FetchContext {
    pub(crate) fetcher: Fetcher,
    /// One permit per core: as many photos are decoded at a time.
    pub(crate) decoders: Arc<Semaphore>,
    pub(crate) limits: DecodeLimits,
    pub(crate) min_size: u32,
    /// Where photos go.
    pub(crate) folder: Arc<Root>,
}

/// A photo that was downloaded and can be used, unless it's a copy.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) report: Box<PixelReport>,
    /// The file with its bytes; removed unless the photo is kept.
    pub(crate) part: Part,
}

/// Downloads and inspects a photo. If it's cut short, it's downloaded once more.
pub(crate) async fn arrive(
    road: Arc<FetchContext>,
    source: Arc<dyn ImageSource>,
    image: FoundImage,
    number: u64,
) -> Result<Arrived, Rejection> {
    let mut result = once(&road, &source, &image, number).await;
    if matches!(result, Err(Rejection::Unusable { skip: SkipReason::Truncated }))
        && source.open(&image).is_none()
    {
        result = once(&road, &source, &image, number).await;
    }
    result
}

async fn once(
    road: &Arc<FetchContext>,
    source: &Arc<dyn ImageSource>,
    image: &FoundImage,
    number: u64,
) -> Result<Arrived, Rejection> {
    let bytes = match source.open(image) {
        Some(opening) => opening.await,
        None => road.fetcher.fetch(&image.image_url).await,
    };
    let bytes = bytes.map_err(|fault| Rejection::NotFetched { fault })?;
    let broken = |detail: String| Rejection::NotFetched { fault: FetchFault::Unreadable { detail } };
    let permit = Arc::clone(&road.decoders).acquire_owned().await;
    let permit = permit.map_err(|error| broken(error.to_string()))?;
    let road = Arc::clone(road);
    // The permit belongs to the thread and its result, which outlive this task if it's aborted. So once all permits are
    // back, no file is left.
    let look = tokio::task::spawn_blocking(move || (inspect(&road, &bytes, number), permit));
    look.await.map_err(|error| broken(error.to_string()))?.0
}

/// Decodes a photo, and writes its bytes to a file of ours if it's large enough.
fn inspect(road: &FetchContext, bytes: &[u8], number: u64) -> Result<Arrived, Rejection> {
    let report = PixelReport::of(bytes, &road.limits).map_err(|skip| Rejection::Unusable { skip })?;
    let (width, height, least) = (report.width, report.height, road.min_size);
    if width.min(height) < least {
        return Err(Rejection::TooSmall { width, height, least });
    }
    let broken = |error: std::io::Error| FetchFault::Unreadable { detail: error.to_string() };
    let part = Part::new(&road.folder, number, report.content, bytes)
        .map_err(|error| Rejection::NotFetched { fault: broken(error) })?;
    Ok(Arrived { report: Box::new(report), part })
}
