//! A trained model on one picture and its mirror image: heat maps lie where the evidence is, answers are the same.

use sciurus::data::{RgbImage, Views, decode_file};
use sciurus::prelude::*;
use sciurus::{Listeners, TrainSettings, WeightSource, draw_demo};

/// A model that has learnt the drawn pictures, and one of them.
fn learnt() -> (tempfile::TempDir, Predictor, RgbImage) {
    learnt_with(None)
}

fn learnt_with(views: Option<Views>) -> (tempfile::TempDir, Predictor, RgbImage) {
    let folder = tempfile::tempdir().unwrap();
    let photos = folder.path().join("photos");
    draw_demo(&photos, 24, 42).unwrap();
    let mut settings = TrainSettings::new(&photos);
    settings.fit.arch = Arch::ResNet10Narrow.into();
    settings.loader.views = views;
    settings.fit.weights = WeightSource::Random;
    (settings.loader.image_size, settings.loader.batch_size, settings.fit.epochs) = (64, 8, 4);
    let mut learner = settings.learner(Listeners::default()).unwrap();
    settings.fit(&mut learner).unwrap();
    let model = folder.path().join("model.sciurus");
    learner.export(&model).unwrap();
    let photo = decode_file(photos.join("acorn/acorn-001.png"), &Default::default()).unwrap();
    let predictor = Predictor::load(model).unwrap();
    (folder, predictor, photo)
}

#[test]
fn a_heat_map_covers_the_square_that_the_model_sees() {
    let (_folder, predictor, photo) = learnt();
    for class in 0..2 {
        let (square, map) = predictor.grad_cam(&photo, class).unwrap();
        assert_eq!(square.dimensions(), (64, 64));
        assert_eq!(map.values.len(), map.height * map.width);
        assert!(map.values.iter().all(|value| (0.0..=1.0).contains(value)), "{map:?}");
        assert_eq!(map.over(&square).dimensions(), (64, 64));
    }
    let error = predictor.grad_cam(&photo, 2).unwrap_err().to_string();
    assert!(error.starts_with("class is 2; choose a number below"), "{error}");
    let maps = [0, 1].map(|class| predictor.grad_cam(&photo, class).unwrap().1);
    assert_ne!(maps[0], maps[1], "what speaks for one class speaks against the other");
    assert!(maps.iter().any(|map| map.values.contains(&1.0)), "nothing speaks for either class");
}

fn mirrored(photo: &RgbImage) -> RgbImage {
    RgbImage::from_fn(photo.width(), photo.height(), |x, y| *photo.get_pixel(photo.width() - 1 - x, y))
}

#[test]
fn an_answer_from_both_sides_is_that_of_the_mirror_image() {
    let probability = |views| {
        let (_folder, predictor, photo) = learnt_with(views);
        assert_eq!(predictor.manifest().preprocessing.views, views.unwrap_or(Views::Mirrored));
        [&photo, &mirrored(&photo)].map(|photo| predictor.predict(photo).unwrap().probability)
    };
    let [photo, other] = probability(None);
    assert_eq!(photo, other, "training mirrors, so answers come from both sides");
    let [photo, other] = probability(Some(Views::Plain));
    assert_ne!(photo, other, "one side alone is seen as it is");
}

/// A heat map is not the same for a picture that was mirrored: it is mirrored too, about.
#[test]
fn a_mirrored_picture_has_a_mirrored_heat_map() {
    let (_folder, predictor, photo) = learnt();
    let (_, map) = predictor.grad_cam(&photo, 0).unwrap();
    let (_, other) = predictor.grad_cam(&mirrored(&photo), 0).unwrap();
    let turned: Vec<f32> = map.values.chunks(map.width).flat_map(|row| row.iter().rev().copied()).collect();
    let distance = |a: &[f32], b: &[f32]| -> f32 { a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum() };
    assert!(
        distance(&turned, &other.values) <= distance(&map.values, &other.values),
        "{map:?} and mirrored {other:?}"
    );
}
