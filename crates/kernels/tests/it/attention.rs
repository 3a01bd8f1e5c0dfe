//! Attention and its gradients against their formulas in f64.

use half::bf16;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use sciurus_kernels::{AttentionShape, Element, attention, attention_gradient};

use crate::determinism::same_in_every_pool;
use crate::values::{bits, close, config, error, filled, kind, nan, place, random, sets, wide};

fn shapes() -> impl Strategy<Value = AttentionShape> {
    let few = (1..4_usize, 1..=70_usize, 1..4_usize, 1..=20_usize);
    let many = (1..2_usize, 90..=200_usize, 1..2_usize, 30..=36_usize);
    prop_oneof![9 => few, 1 => many].prop_map(|(batch, tokens, heads, half)| AttentionShape {
        batch,
        tokens,
        heads,
        features: 2 * half,
    })
}

/// What attention gives one head of one image, in f64.
struct Head {
    probabilities: Vec<Vec<f64>>,
    output: Vec<Vec<f64>>,
    /// Of queries, keys and values.
    gradients: [Vec<Vec<f64>>; 3],
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// `Σ weights[i] * rows[i]`.
fn mixed(weights: impl Iterator<Item = f64>, rows: &[Vec<f64>]) -> Vec<f64> {
    let mut sum = vec![0.0; rows[0].len()];
    for (weight, row) in weights.zip(rows) {
        sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += weight * value);
    }
    sum
}

impl Head {
    fn new([q, k, v]: [&[Vec<f64>]; 3], upstream: &[Vec<f64>]) -> Self {
        let scale = (q[0].len() as f64).sqrt().recip();
        let tokens = 0..q.len();
        let probabilities: Vec<Vec<f64>> = q
            .iter()
            .map(|q| {
                let terms: Vec<f64> = k.iter().map(|k| (scale * dot(q, k)).exp()).collect();
                let sum: f64 = terms.iter().sum();
                terms.iter().map(|term| term / sum).collect()
            })
            .collect();
        let scores: Vec<Vec<f64>> = probabilities
            .iter()
            .zip(upstream)
            .map(|(p, upstream)| {
                let g: Vec<f64> = v.iter().map(|v| dot(upstream, v)).collect();
                let mean = dot(p, &g);
                p.iter().zip(&g).map(|(p, g)| scale * p * (g - mean)).collect()
            })
            .collect();
        let by_key = |weights: &[Vec<f64>], rows: &[Vec<f64>]| {
            tokens.clone().map(|key| mixed(weights.iter().map(|row| row[key]), rows)).collect::<Vec<_>>()
        };
        let by_query = |weights: &[Vec<f64>], rows: &[Vec<f64>]| {
            weights.iter().map(|row| mixed(row.iter().copied(), rows)).collect::<Vec<_>>()
        };
        let gradients = [by_query(&scores, k), by_key(&scores, q), by_key(&probabilities, upstream)];
        Self { output: by_query(&probabilities, v), probabilities, gradients }
    }
}

/// Part `part` of `parts` of a head's tokens.
fn rows<E: Element>(
    values: &[E],
    shape: &AttentionShape,
    [image, head]: [usize; 2],
    [part, parts]: [usize; 2],
) -> Vec<Vec<f64>> {
    let AttentionShape { tokens, heads, features, .. } = *shape;
    let row = |token| ((((image * tokens + token) * parts) + part) * heads + head) * features;
    (0..tokens).map(|token| wide(&values[row(token)..][..features])).collect()
}

/// Each head's results, gradients and shape of softmax, from kernels.
fn run<E: Element>(
    isa: sciurus_kernels::Isa,
    shape: &AttentionShape,
    qkv: &[E],
    upstream: &[E],
) -> (Box<[E]>, Box<[E]>) {
    let mut output = filled(nan::<E>(), shape.output_len());
    let log_sums = attention(isa, shape, qkv, &mut output);
    let mut gradient = filled(nan::<E>(), qkv.len());
    attention_gradient(isa, shape, (qkv, &output, &log_sums), upstream, &mut gradient);
    (output, gradient)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn attention_is_its_formula_and_so_are_its_gradients(shape in shapes(), seed: u64) {
        formula::<f32>(&shape, seed)?;
        formula::<bf16>(&shape, seed)?;
    }

    #[test]
    fn attention_is_not_finite_only_in_the_head_that_is_not(shape in shapes(), at: prop::sample::Index, seed: u64) {
        intruded::<f32>(&shape, at, seed)?;
        intruded::<bf16>(&shape, at, seed)?;
    }
}

fn formula<E: Element>(shape: &AttentionShape, seed: u64) -> TestCaseResult {
    let qkv: Vec<E> =
        random::<f32>(seed, 3 * shape.output_len()).iter().map(|v| E::narrow(3.0 * v)).collect();
    let upstream = random::<E>(seed ^ 1, shape.output_len());
    // What rounding probabilities and the scores' gradients to the kind costs, relative to the sum of magnitudes.
    let rounding = if E::PER_WORD == 1 { 0.0 } else { 1.0 / f64::from(1 << 8) };
    for isa in sets() {
        let place = place::<E>("attention", isa, shape);
        let (output, gradient) = run(isa, shape, &qkv, &upstream);
        for image in 0..shape.batch {
            for head in 0..shape.heads {
                let at = [image, head];
                let [q, k, v] = [0, 1, 2].map(|part| rows(&qkv, shape, at, [part, 3]));
                let u = rows(&upstream, shape, at, [0, 1]);
                let want = Head::new([&q, &k, &v], &u);
                let got = rows(&output, shape, at, [0, 1]);
                let terms = shape.tokens + shape.features;
                for (got, want) in got.iter().flatten().zip(want.output.iter().flatten()) {
                    // Values of up to 3 with weights that add up to 1; scores of up to 9 sqrt(features).
                    let allowed = error::<E>(*want, terms, 30.0 * (1.0 + shape.features as f64).sqrt());
                    close(&place, *got, *want, allowed + 3.0 * rounding)?;
                }
                for (part, want_part) in want.gradients.iter().enumerate() {
                    let got = rows(&gradient, shape, at, [part, 3]);
                    let magnitude = magnitude(part, &want, [&q, &k, &v], &u);
                    for ((got, want), magnitude) in
                        got.iter().flatten().zip(want_part.iter().flatten()).zip(magnitude)
                    {
                        let allowed = error::<E>(*want, terms, 40.0 * magnitude);
                        close(&place, *got, *want, allowed + 4.0 * rounding * magnitude)?;
                    }
                }
            }
        }
        same_in_every_pool(&place, || {
            let (output, gradient) = run(isa, shape, &qkv, &upstream);
            vec![bits(&output), bits(&gradient)]
        })?;
    }
    Ok(())
}

/// What a gradient's terms add up to without their signs, each of them with the largest value there is.
fn magnitude(part: usize, head: &Head, [q, _, v]: [&[Vec<f64>]; 3], upstream: &[Vec<f64>]) -> Vec<f64> {
    let features = q[0].len();
    let largest = |rows: &[Vec<f64>]| rows.iter().flatten().fold(0.0_f64, |most, v| most.max(v.abs()));
    // A score's gradient is at most its probability times this.
    let slope = 2.0 * features as f64 * largest(upstream) * largest(v);
    let per_token = |token: usize| match part {
        0 => 3.0 * slope,
        1 => 3.0 * slope * head.probabilities.iter().map(|row| row[token]).sum::<f64>(),
        _ => head.probabilities.iter().map(|row| row[token]).sum::<f64>() * features as f64,
    };
    (0..q.len()).flat_map(|token| std::iter::repeat_n(per_token(token), features)).collect()
}

fn intruded<E: Element>(shape: &AttentionShape, at: prop::sample::Index, seed: u64) -> TestCaseResult {
    let qkv = random::<E>(seed, 3 * shape.output_len());
    let upstream = random::<E>(seed ^ 1, shape.output_len());
    let at = at.index(qkv.len());
    let width = shape.heads * shape.features;
    let (image, part, head) = (at / (3 * width * shape.tokens), at / width % 3, at % width / shape.features);
    for intruder in [f32::NAN, f32::INFINITY] {
        let mut with = qkv.clone();
        with[at] = E::narrow(intruder);
        for isa in sets() {
            let place = format!("{} with {intruder} in part {part}", place::<E>("attention", isa, shape));
            let [before, after] = [&qkv, &with].map(|qkv| run(isa, shape, qkv, &upstream));
            for other in 0..shape.batch * shape.heads {
                let here = [other / shape.heads, other % shape.heads];
                let [before, after] =
                    [&before.0, &after.0].map(|output| rows(output, shape, here, [0, 1]).concat());
                if here == [image, head] {
                    let reached = after.iter().any(|value| !value.is_finite());
                    // An infinite score of minus infinity is a probability of zero, as it should be.
                    let vanished = part == 1 && intruder.is_infinite();
                    prop_assert!(reached || vanished, "{place}: {} stays finite", kind::<E>());
                } else {
                    prop_assert_eq!(before, after, "{} of head {:?}", place, here);
                }
            }
        }
    }
    Ok(())
}

#[test]
fn a_query_whose_scores_are_all_minus_infinity_has_no_result() {
    let shape = AttentionShape { batch: 1, tokens: 2, heads: 1, features: 2 };
    // Of each token: query, key, value. The first query is infinite where both keys are negative.
    let qkv = [f32::INFINITY, 0.0, -1.0, 2.0, 1.0, 1.0, 1.0, 0.0, -2.0, 1.0, 1.0, 1.0];
    for isa in sets() {
        let mut output = [0.0; 4];
        attention(isa, &shape, &qkv, &mut output);
        assert!(output[..2].iter().all(|value| value.is_nan()), "{isa}: {output:?}");
        assert!(output[2..].iter().all(|value| (value - 1.0).abs() < 1e-5), "{isa}: {output:?}");
    }
}
