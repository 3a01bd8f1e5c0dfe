//! Principal components, by subspace iteration on the covariance. In: rows of features. Out: their coordinates along the directions
//! in which they vary most.

use rayon::prelude::*;

/// Rows that the directions are computed from.
const SAMPLE: usize = 20_000;
/// Rounds of subspace iteration; the angles to the true directions shrink by the ratio of neighbouring variances in each.
const ROUNDS: usize = 24;

/// The directions in which rows vary most.
///
/// ```
/// use sciurus_clean::find::PrincipalComponents;
///
/// let rows: Vec<[f32; 2]> = (0..10).map(|step| [step as f32, 2.0 * step as f32]).collect();
/// let rows: Vec<&[f32]> = rows.iter().map(|row| &row[..]).collect();
/// let components = PrincipalComponents::fit(&rows, 1);
/// let [first, last] = [0, 9].map(|row| components.project(rows[row])[0]);
/// assert!(((last - first).abs() - 9.0 * 5_f32.sqrt()).abs() < 1e-3);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct PrincipalComponents {
    mean: Vec<f32>,
    /// `[component, feature]`
    directions: Vec<Vec<f32>>,
    /// Along each direction.
    variances: Vec<f64>,
}

impl PrincipalComponents {
    /// The first `components` of rows, each `[feature]`; fewer if a row has fewer features. Of more than 20,000 rows, evenly spaced
    /// ones are used. Directions of the same variance are in no particular order, and each points either way.
    #[must_use]
    pub fn fit(rows: &[&[f32]], components: usize) -> Self {
        let step = rows.len().div_ceil(SAMPLE).max(1);
        let sample: Vec<&[f32]> = rows.iter().step_by(step).copied().collect();
        let width = sample.first().map_or(0, |row| row.len());
        let mean = mean(&sample, width);
        let covariance = covariance(&sample, &mean);
        let mut directions = start(components.min(width), width);
        orthonormalise(&mut directions);
        for _ in 0..ROUNDS {
            directions = directions.par_iter().map(|direction| times(&covariance, direction)).collect();
            orthonormalise(&mut directions);
        }
        let variance = |direction: &Vec<f64>| dot(&times(&covariance, direction), direction);
        let variances = directions.par_iter().map(variance).collect();
        let narrow = |values: Vec<f64>| values.into_iter().map(|value| value as f32).collect();
        Self { mean: narrow(mean), directions: directions.into_iter().map(narrow).collect(), variances }
    }

    /// With each coordinate divided by its variance to this power: 0.5 whitens, 0 changes nothing; in between, the order of the
    /// directions stays, and small ones count more.
    #[must_use]
    pub fn whitened(mut self, power: f64) -> Self {
        for (direction, variance) in self.directions.iter_mut().zip(&self.variances) {
            let scale = variance.max(1e-12).powf(-power) as f32;
            direction.iter_mut().for_each(|value| *value *= scale);
        }
        self
    }

    /// The coordinates of a row `[feature]`, one for each component.
    #[must_use]
    pub fn project(&self, row: &[f32]) -> Vec<f32> {
        let centred: Vec<f32> = row.iter().zip(&self.mean).map(|(value, mean)| value - mean).collect();
        let along = |direction: &Vec<f32>| direction.iter().zip(&centred).map(|(a, b)| a * b).sum::<f32>();
        self.directions.iter().map(along).collect()
    }
}

fn mean(rows: &[&[f32]], width: usize) -> Vec<f64> {
    let mut mean = vec![0.0; width];
    for row in rows {
        mean.iter_mut().zip(*row).for_each(|(mean, value)| *mean += f64::from(*value));
    }
    mean.iter_mut().for_each(|mean| *mean /= rows.len() as f64);
    mean
}

/// The covariance `[feature, feature]`.
fn covariance(rows: &[&[f32]], mean: &[f64]) -> Vec<Vec<f64>> {
    let width = mean.len();
    let centred: Vec<Vec<f32>> = rows
        .iter()
        .map(|row| row.iter().zip(mean).map(|(value, mean)| (f64::from(*value) - mean) as f32).collect())
        .collect();
    (0..width)
        .into_par_iter()
        .map(|feature| {
            let mut sums = vec![0.0_f32; width];
            let mut total = vec![0.0_f64; width];
            // Sums of a few hundred products in f32 keep six digits; their sum is wide.
            for block in centred.chunks(256) {
                for row in block {
                    let value = row[feature];
                    sums.iter_mut().zip(row).for_each(|(sum, other)| *sum += value * other);
                }
                total
                    .iter_mut()
                    .zip(&mut sums)
                    .for_each(|(total, sum)| *total += f64::from(std::mem::take(sum)));
            }
            total.iter_mut().for_each(|total| *total /= rows.len() as f64);
            total
        })
        .collect()
}

/// Directions to start from: any that are not special.
fn start(components: usize, width: usize) -> Vec<Vec<f64>> {
    let value = |component: usize, feature: usize| {
        let mixed = (component * width + feature) as u64;
        let mixed = (mixed ^ (mixed >> 7)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        ((mixed >> 40) as f64) / f64::from(1_u32 << 24) - 0.5
    };
    (0..components).map(|component| (0..width).map(|feature| value(component, feature)).collect()).collect()
}

fn times(matrix: &[Vec<f64>], vector: &[f64]) -> Vec<f64> {
    matrix.iter().map(|row| dot(row, vector)).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Gram and Schmidt, in the order that is exact in rounding arithmetic too.
fn orthonormalise(vectors: &mut [Vec<f64>]) {
    for place in 0..vectors.len() {
        let (done, rest) = vectors.split_at_mut(place + 1);
        let Some(vector) = done.last_mut() else { continue };
        let length = dot(vector, vector).sqrt().max(1e-30);
        vector.iter_mut().for_each(|value| *value /= length);
        let vector = &*vector;
        rest.par_iter_mut().for_each(|other| {
            let along = dot(vector, other);
            other.iter_mut().zip(vector).for_each(|(value, direction)| *value -= along * direction);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_directions_of_a_known_cloud() {
        // Along (1, 1, 0) with deviation 4, along (1, -1, 0) with 1, and nothing along the third axis.
        let row = |step: usize| {
            let (far, near) = (step as f32 - 49.5, ((step * 37) % 100) as f32 - 49.5);
            let (far, near) = (4.0 * far, near);
            vec![far + near, far - near, 7.0]
        };
        let rows: Vec<Vec<f32>> = (0..100).map(row).collect();
        let views: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
        let principal = PrincipalComponents::fit(&views, 2).whitened(0.25);
        let projected: Vec<Vec<f32>> = views.iter().map(|row| principal.project(row)).collect();
        let deviation = |component: usize| {
            let squares = projected.iter().map(|row| row[component].powi(2)).sum::<f32>();
            (squares / 100.0).sqrt()
        };
        // A deviation d becomes its root.
        let spread = 833.25_f32 * 2.0;
        assert!((deviation(0) / (16.0 * spread).powf(0.25) - 1.0).abs() < 0.02, "{}", deviation(0));
        assert!((deviation(1) / spread.powf(0.25) - 1.0).abs() < 0.02, "{}", deviation(1));
    }
}
