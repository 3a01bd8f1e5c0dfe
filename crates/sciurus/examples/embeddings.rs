//! Turn photos into embeddings with a pretrained network, and find the photos that look most alike.
//!
//!     SCIURUS_MODELS=/path/to/weights cargo run --release --example embeddings -- squirrels
//!
//! Without an argument the example draws pictures and embeds them with random weights.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example shows what it does")]

use std::ops::ControlFlow;

use sciurus::data::ImageDataset;
use sciurus::{Arch, EmbedItem, Embedder, WeightPlaces, WeightSource, draw_demo};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (folder, arch, weights) = match std::env::args().nth(1) {
        Some(folder) => (folder.into(), Arch::ResNet18, WeightSource::Pretrained),
        None => {
            let folder = std::env::temp_dir().join("sciurus-example-embeddings");
            draw_demo(&folder, 20, 42)?;
            (folder, Arch::ResNet10Narrow, WeightSource::Random)
        }
    };
    let dataset = ImageDataset::from_folder(folder).build()?;
    let items: Vec<EmbedItem> = dataset
        .items
        .iter()
        .map(|item| EmbedItem { path: dataset.path(item), content: item.content })
        .collect();

    let places = WeightPlaces::from_environment();
    let embedder = Embedder::new(arch, &weights, &places, &mut |_| ())?;
    let embedded = embedder.embed(&items, &mut |_| ControlFlow::Continue(()))?;
    let rows: Vec<(&EmbedItem, &Vec<f32>)> =
        items.iter().zip(&embedded.rows).filter_map(|(item, row)| Some((item, row.as_ref()?))).collect();

    let Some((first, first_row)) = rows.first() else { return Err("no photo could be read".into()) };
    println!("{} photos, {} features each", rows.len(), first_row.len());
    let mut alike: Vec<(f32, &EmbedItem)> =
        rows[1..].iter().map(|(item, row)| (cosine(first_row, row), *item)).collect();
    alike.sort_by(|a, b| b.0.total_cmp(&a.0));
    println!("most like {}:", first.path.display());
    for (similarity, item) in alike.iter().take(3) {
        println!("  {similarity:.3}  {}", item.path.display());
    }
    Ok(())
}

/// Cosine similarity, -1..=1.
fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt().max(f32::MIN_POSITIVE)
}
