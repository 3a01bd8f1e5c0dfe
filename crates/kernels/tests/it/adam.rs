//! A step of Adam against its formula in f64.

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use sciurus_kernels::{AdamStep, adam_step};

use crate::values::{F32_ROUNDING, close, config, filled, place, random, random_between, sets};

fn steps() -> impl Strategy<Value = AdamStep> {
    let shares = (0.0..1.0_f32, 0.9..1.0_f32);
    (0.9..=1.0_f32, shares, 1e-4..0.1_f32, 0.01..1.0_f32, prop_oneof![Just(1e-8_f32), Just(1e-5)]).prop_map(
        |(keep, (momentum, squared_momentum), rate, debias_square, epsilon)| AdamStep {
            keep,
            momentum,
            squared_momentum,
            rate,
            debias_square,
            epsilon,
        },
    )
}

/// Mostly short; some fill several of the chunks that threads take.
fn lengths() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 1..200_usize, 1 => 16_300..50_000_usize]
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn adam_steps_as_its_formula_says(step in steps(), len in lengths(), seed: u64) {
        steps_agree(step, len, seed)?;
    }
}

/// One weight before a step.
#[derive(Debug, Clone, Copy)]
struct Weight {
    weight: f64,
    gradient: f64,
    average: f64,
    square: f64,
}

impl Weight {
    /// Weight, average and square after the step, each with the error that f32 is allowed.
    fn stepped(self, step: AdamStep) -> [(f64, f64); 3] {
        let fields = [step.keep, step.rate, step.debias_square, step.epsilon];
        let [keep, rate, debias_square, epsilon] = fields.map(f64::from);
        let moved = |share: f32, kept: f64, new: f64| {
            let terms = [f64::from(share) * kept, f64::from(1.0 - share) * new];
            (terms[0] + terms[1], 4.0 * F32_ROUNDING * (terms[0].abs() + terms[1].abs()))
        };
        let (average, average_error) = moved(step.momentum, self.average, self.gradient);
        let (square, square_error) = moved(step.squared_momentum, self.square, self.gradient * self.gradient);
        let below = (square / debias_square).sqrt() + epsilon;
        let change = rate * average / below;
        let next = self.weight * keep - change;
        let allowed = 8.0 * F32_ROUNDING * (self.weight.abs() + change.abs()) + rate * average_error / below;
        [(next, allowed + 1e-37), (average, average_error + 1e-37), (square, square_error + 1e-37)]
    }
}

fn steps_agree(step: AdamStep, len: usize, seed: u64) -> TestCaseResult {
    let [weights, gradient, average] = [0, 1, 2].map(|more| random::<f32>(seed ^ more, len));
    let square = random_between::<f32>(seed ^ 3, len, [0.0, 1.0]);
    for isa in sets() {
        let place = place::<f32>("adam_step", isa, &(step, len, seed));
        let (mut got_average, mut got_square) = (average.clone(), square.clone());
        let mut next = filled(f32::NAN, len);
        adam_step(isa, step, [&weights, &gradient], [&mut got_average, &mut got_square], &mut next);
        for at in 0..len {
            let [weight, gradient, average, square] =
                [weights[at], gradient[at], average[at], square[at]].map(f64::from);
            let want = Weight { weight, gradient, average, square }.stepped(step);
            let got = [next[at], got_average[at], got_square[at]].map(f64::from);
            for (name, (got, (want, allowed))) in
                ["weight", "average", "square"].iter().zip(got.into_iter().zip(want))
            {
                close(&format!("{name} {at} of {place}"), got, want, allowed)?;
            }
        }
    }
    Ok(())
}
