//! Which pictures are of another kind than their class: drawings among photos, or photos among drawings. In: the probability that
//! each picture is a drawing by its pixels, and how far it is from the classes. Out: which are odd, and how certain that is.
//!
//! Pixels alone mistake things on a plain ground for drawings, and a network alone sees a squirrel in both. Together they don't: a
//! thing cut out of its photo is as near to its class as the others, its drawing is not.

use sciurus_insight::InsightError;

use super::odds::{logistic, logit};
use super::out_of_sample::check_labels;

/// If a larger share of a class is of one kind, it is no exception there but part of the data.
const EXCEPTION: f64 = 0.2;
/// A class is judged together with so many pictures that are like the whole set.
const PRIOR: f64 = 10.0;
/// The log-odds that a picture is odd: a logistic regression on drawings planted among photos (docs/cleaning-benchmarks.md says on
/// which), by its distance in the features of the network that is built in, and the log-odds that its pixels are of the odd kind.
const BY_DISTANCE: f64 = 10.5;
const BY_PIXELS: f64 = 0.73;
const INTERCEPT: f64 = -5.3;
/// Pixels are never surer than this probability.
const SUREST: f64 = 0.9999;
/// What is less probable is not worth a mention.
const LEAST: f64 = 0.05;

/// A picture of another kind than its class.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OddKind {
    /// Index of the picture.
    pub item: usize,
    /// Whether it is a drawing among photos, and not a photo among drawings.
    pub is_drawing: bool,
    /// How probable that is (0.05..=1).
    pub score: f64,
}

/// The pictures that may be of another kind than most of their class, ascending. `drawing` is the probability that each is a
/// drawing (0..=1), by its pixels alone; `distances` are those of [`OffTopic`](super::OffTopic); `weights` say which count, `None`
/// for 1 each.
///
/// # Errors
/// If lists differ in length, or a label is not a class.
pub fn odd_kinds(
    (drawing, distances): (&[f64], &[f64]),
    labels: &[usize],
    classes: usize,
    weights: Option<&[f64]>,
) -> Result<Vec<OddKind>, InsightError> {
    let lengths = [
        ("distances (one per item)", distances.len()),
        ("labels (one per item)", labels.len()),
        ("weights (one per item)", weights.map_or(drawing.len(), <[f64]>::len)),
    ];
    for (what, found) in lengths {
        if found != drawing.len() {
            return Err(InsightError::Length { what, expected: drawing.len(), found });
        }
    }
    check_labels(classes, labels)?;
    let (mut drawn, mut all) = (vec![0.0; classes], vec![0.0; classes]);
    for (item, (&probability, &label)) in drawing.iter().zip(labels).enumerate() {
        let weight = weights.map_or(1.0, |weights| weights[item]);
        all[label] += weight;
        drawn[label] += if probability >= 0.5 { weight } else { 0.0 };
    }
    let usual = drawn.iter().sum::<f64>() / all.iter().sum::<f64>().max(1.0);
    let share = |class: usize| (drawn[class] + PRIOR * usual) / (all[class] + PRIOR);
    let odd = |item: usize| {
        let drawings = share(labels[item]);
        let is_drawing = drawings <= EXCEPTION;
        let pixels = if is_drawing { drawing[item] } else { 1.0 - drawing[item] };
        let score = probability(pixels, distances[item]);
        (drawings.min(1.0 - drawings) <= EXCEPTION && score >= LEAST).then_some(OddKind {
            item,
            is_drawing,
            score,
        })
    };
    Ok((0..drawing.len()).filter_map(odd).collect())
}

/// How probably a picture is odd, if its pixels are of the odd kind with the probability `pixels`.
fn probability(pixels: f64, distance: f64) -> f64 {
    let pixels = pixels.clamp(1.0 - SUREST, SUREST);
    logistic(BY_DISTANCE * distance + BY_PIXELS * logit(pixels) + INTERCEPT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rarer_kind_of_a_class_is_odd() {
        // Class 0: photos and one drawing. Class 1: drawings and one photo. Class 2: as many of each.
        let drawing: Vec<f64> = (0..90)
            .map(|item| match item {
                0 => 0.9,
                1..=29 => 0.02,
                30 => 0.1,
                31..=59 => 0.97,
                _ => f64::from(item % 2),
            })
            .collect();
        let labels: Vec<usize> = (0..90).map(|item| item / 30).collect();
        // What is odd is farther away; so is a photo of a class of photos, whose pixels say nothing.
        let far = [0, 30, 20];
        let distances: Vec<f64> = (0..90).map(|item| if far.contains(&item) { 0.5 } else { 0.25 }).collect();
        let found = odd_kinds((&drawing, &distances), &labels, 3, None).unwrap();
        let sure: Vec<(usize, bool)> =
            found.iter().filter(|odd| odd.score > 0.5).map(|odd| (odd.item, odd.is_drawing)).collect();
        assert_eq!(sure, [(0, true), (30, false)]);
        assert!(found.iter().all(|odd| odd.item < 60), "of half and half none is odd: {found:?}");
        // A thing cut out of its photo is near to its class.
        let near = odd_kinds((&drawing, &[0.25; 90]), &labels, 3, None).unwrap();
        assert!(near.iter().all(|odd| odd.score < 0.5), "{near:?}");
        // Where all pictures were drawn, none is odd, however few there are.
        assert!(
            odd_kinds((&[0.9; 4], &[0.5; 4]), &[0, 0, 1, 1], 2, None)
                .unwrap()
                .iter()
                .all(|odd| odd.score < 0.5)
        );
        assert!(odd_kinds((&[], &[]), &[], 0, None).unwrap().is_empty());
        assert!(odd_kinds((&[0.5], &[]), &[0], 1, None).is_err());
        assert!(odd_kinds((&[0.5], &[0.5]), &[], 1, None).is_err());
        assert!(odd_kinds((&[0.5], &[0.5]), &[1], 1, None).is_err());
    }
}
