//! Which pictures are of another kind than their class: drawings among photos, or photos among drawings. In: the probability that
//! each picture is a drawing. Out: which are odd, and how certain that is.

use sciurus_insight::InsightError;

use super::out_of_sample::check_labels;

/// If a larger share of a class is of one kind, it is no exception there but part of the data.
const EXCEPTION: f64 = 0.2;
/// A class is judged together with so many pictures that are like the whole set.
const PRIOR: f64 = 10.0;

/// A picture of another kind than its class.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OddKind {
    /// Index of the picture.
    pub item: usize,
    /// Whether it is a drawing among photos, and not a photo among drawings.
    pub is_drawing: bool,
    /// How probable that is (0.5..=1).
    pub score: f64,
}

/// The pictures that are of another kind than most of their class, ascending. `drawing` is the probability that each is a drawing
/// (0..=1), `weights` say which count, `None` for 1 each.
///
/// # Errors
/// If lists differ in length, or a label is not a class.
pub fn odd_kinds(
    drawing: &[f64],
    labels: &[usize],
    classes: usize,
    weights: Option<&[f64]>,
) -> Result<Vec<OddKind>, InsightError> {
    let lengths = [
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
    let odd = |(item, (&probability, &label)): (usize, (&f64, &usize))| {
        let drawings = share(label);
        let (is_drawing, score, rare) = match probability >= 0.5 {
            true => (true, probability, drawings),
            false => (false, 1.0 - probability, 1.0 - drawings),
        };
        (rare <= EXCEPTION).then_some(OddKind { item, is_drawing, score })
    };
    Ok(drawing.iter().zip(labels).enumerate().filter_map(odd).collect())
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
        let found = odd_kinds(&drawing, &labels, 3, None).unwrap();
        let odd = |item, is_drawing, score| OddKind { item, is_drawing, score };
        assert_eq!(found, [odd(0, true, 0.9), odd(30, false, 0.9)]);
        // Where all pictures were drawn, none is odd, however few there are.
        assert!(odd_kinds(&[0.9; 4], &[0, 0, 1, 1], 2, None).unwrap().is_empty());
        assert!(odd_kinds(&[], &[], 0, None).unwrap().is_empty());
        assert!(odd_kinds(&[0.5], &[], 1, None).is_err());
        assert!(odd_kinds(&[0.5], &[1], 1, None).is_err());
    }
}
