//! Looks at every photo once: checks its pixels and embeds it. In: a data set and networks. Out: what they saw.

use std::ops::ControlFlow;
use std::path::PathBuf;

use sciurus_data::{ContentHash, DataError, ImageDataset, Progress, SkipReason, Skipped};
use sciurus_insight::Embeddings;
use sciurus_photos::{InspectedFile, KnownReports, inspect_file};

use crate::Error;
use crate::embed::{Bodies, BodyPixels, Embedder};

/// What was seen.
pub(super) struct Looked {
    /// The readable images, in the data set's order.
    pub(super) files: Vec<InspectedFile>,
    /// Each network's embeddings of them.
    pub(super) members: Vec<Embeddings>,
    /// The others, and why.
    pub(super) skipped: Vec<Skipped>,
    /// What was wrong with the caches.
    pub(super) faults: Vec<String>,
}

/// Looks at all photos of a data set, each decoded at most once. What an earlier call saw is not looked at again.
pub(super) fn look(
    (dataset, known): (&ImageDataset, &KnownReports),
    embedders: &[Embedder],
    progress: &(dyn Fn(Progress) -> ControlFlow<()> + Sync),
) -> Result<Looked, Error> {
    let bodies = Bodies::open(embedders);
    let paths: Vec<&PathBuf> = dataset.items.iter().map(|item| &item.path).collect();
    let inspect = |path: &&PathBuf| {
        let wanted = |content: &ContentHash| bodies.want(content);
        match inspect_file(&dataset.root, path, known, &dataset.limits, wanted) {
            Ok((file, image)) => {
                let pixels: Vec<BodyPixels> =
                    image.map(|image| bodies.pixels(&file.report.content, &image)).unwrap_or_default();
                (Ok(file), pixels)
            }
            Err(skipped) => (Err(skipped), Vec::new()),
        }
    };
    let (mut files, mut skipped) = (Vec::new(), Vec::new());
    let (mut done, mut exhausted, total) = (0, false, paths.len());
    let looked = bodies.pass(&paths, &inspect, &mut |batch| {
        done += batch.len();
        for found in batch {
            match found {
                Ok(file) => files.push(file),
                Err(reason) => {
                    exhausted |= DataError::check_machine([&reason]).is_err();
                    skipped.push(reason);
                }
            }
        }
        // Nobody waits for the rest where all of it would fail.
        if exhausted {
            return ControlFlow::Break(());
        }
        progress(Progress { done, total })
    });
    DataError::check_machine(&skipped)?;
    if looked.is_break() {
        return Err(DataError::Stopped.into());
    }
    let members = members(&bodies, embedders.len(), &mut files, &mut skipped);
    let mut faults = [bodies.faults(), known.fault().into_iter().collect()].concat();
    // All caches are in one folder, which has one fault.
    faults.sort();
    faults.dedup();
    Ok(Looked { files, members, skipped, faults })
}

/// Every network's embeddings of the files. A file that changed while it was looked at has none, and is skipped.
fn members(
    bodies: &Bodies<'_>,
    count: usize,
    files: &mut Vec<InspectedFile>,
    skipped: &mut Vec<Skipped>,
) -> Vec<Embeddings> {
    let mut members = vec![Embeddings { width: 1, values: Vec::new() }; count];
    files.retain(|file| {
        let rows: Vec<Vec<f32>> =
            (0..count).filter_map(|body| bodies.row(body, &file.report.content)).collect();
        let is_whole = rows.len() == count;
        match is_whole {
            true => members.iter_mut().zip(rows).for_each(|(member, row)| {
                member.width = row.len();
                member.values.extend(row);
            }),
            false => skipped.push(Skipped { path: file.path.clone(), reason: SkipReason::Changed }),
        }
        is_whole
    });
    members
}
