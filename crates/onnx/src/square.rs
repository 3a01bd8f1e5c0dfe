//! The crop and the resize of `sciurus-data` as operations of a graph, to the last bit.
//!
//! In: photos as uint8 `[batch, height, width, 3]`, of any size. Out: squares `[batch, 3, size, size]`.
//!
//! ONNX's own `Resize` has another arithmetic, which changes probabilities by up to .02. The resize of `fast_image_resize` is two
//! products with matrices of whole numbers, first along the columns, then along the rows, each divided by a power of 2 and rounded. The
//! graph computes the matrices in double precision, with the same steps in the same order, from nothing but the photo's size; whole
//! numbers below 2^53 stay exact there.

use sciurus_data::{Normalize, ResizeMethod};

use crate::graph::{Attribute, Data, Element, Graph, Size, Value};

/// Bits of a weight without its sign: `fast_image_resize` keeps weights in 16 bits.
const WEIGHT_BITS: u32 = 15;
/// The largest precision of weights (bits): 32 less those of a byte and two to spare.
const MOST_BITS: u32 = 21;
/// Photos with more pixels are shrunk before they are padded, if padding would make them four times as large.
const HUGE: f64 = 64_000_000.0;

/// A length as a double, `[1]`: all lengths in the graph are.
type Length = Value;

/// Photos `[batch, height, width, 3]` (uint8) to squares of `size` pixels `[batch, 3, size, size]`, as doubles with whole values
/// from 0 to 255.
pub fn photo_to_square(graph: &mut Graph, photo: &Value, size: usize, method: ResizeMethod) -> Value {
    let [height, width] = lengths(graph, photo);
    let size = number(graph, size as f64);
    match method {
        ResizeMethod::Squish => {
            let pixels = graph.cast(photo, Element::F64);
            resized(graph, &pixels, [&height, &width], [&size, &size])
        }
        ResizeMethod::Crop => {
            let shorter = graph.op("Min", &[&height, &width]);
            let side = square_side(graph, &shorter, &size);
            let corner = [&height, &width].map(|length| offset(graph, length, &side));
            let end = corner.each_ref().map(|corner| {
                let side = graph.cast(&side, Element::I64);
                graph.op("Add", &[corner, &side])
            });
            let starts = concat(graph, &[&corner[0], &corner[1]]);
            let ends = concat(graph, &[&end[0], &end[1]]);
            let axes = graph.ints(&[1, 2]);
            let cropped = graph.op("Slice", &[photo, &starts, &ends, &axes]);
            let pixels = graph.cast(&cropped, Element::F64);
            resized(graph, &pixels, [&side, &side], [&size, &size])
        }
        ResizeMethod::Pad => {
            let pixels = graph.cast(photo, Element::F64);
            let pixels = shrunk_if_huge(graph, &pixels, [&height, &width], &size);
            let [height, width] = lengths(graph, &pixels);
            let longer = graph.op("Max", &[&height, &width]);
            let side = square_side(graph, &longer, &size);
            let rows = mirrored_places(graph, &height, &side);
            let columns = mirrored_places(graph, &width, &side);
            let tall = graph.op_with("Gather", &[&pixels, &rows], vec![("axis", Attribute::Int(1))]);
            let both = graph.op_with("Gather", &[&tall, &columns], vec![("axis", Attribute::Int(2))]);
            resized(graph, &both, [&side, &side], [&size, &size])
        }
    }
}

/// Squares `[batch, 3, size, size]` with values from 0 to 255 to what a network sees: `(value / 255 - mean) / std`, in the order and
/// the precision of [`Normalize::write`].
pub fn normalized(graph: &mut Graph, square: &Value, normalize: &Normalize) -> Value {
    let values = graph.cast(square, Element::F32);
    let most = graph.constant("most", &[], Data::F32(vec![255.0]));
    let mean = graph.constant("mean", &[1, 3, 1, 1], Data::F32(normalize.mean.to_vec()));
    let std = graph.constant("std", &[1, 3, 1, 1], Data::F32(normalize.std.to_vec()));
    let share = graph.op("Div", &[&values, &most]);
    let centred = graph.op("Sub", &[&share, &mean]);
    graph.op("Div", &[&centred, &std])
}

fn number(graph: &mut Graph, value: f64) -> Length {
    graph.constant("number", &[1], Data::F64(vec![value]))
}

fn concat(graph: &mut Graph, parts: &[&Value]) -> Value {
    graph.op_with("Concat", parts, vec![("axis", Attribute::Int(0))])
}

/// Height and width of `[batch, height, width, 3]`.
fn lengths(graph: &mut Graph, photo: &Value) -> [Length; 2] {
    let shape = graph.op("Shape", &[photo]);
    [1, 2].map(|axis| {
        let axis = graph.ints(&[axis]);
        let length = graph.op_with("Gather", &[&shape, &axis], vec![("axis", Attribute::Int(0))]);
        graph.cast(&length, Element::F64)
    })
}

/// fastai's `int(length / size * size)`: the length, or by rounding one pixel less.
fn square_side(graph: &mut Graph, length: &Length, size: &Length) -> Length {
    let ratio = graph.op("Div", &[length, size]);
    let product = graph.op("Mul", &[&ratio, size]);
    let whole = graph.op("Floor", &[&product]);
    let one = number(graph, 1.0);
    graph.op("Max", &[&whole, &one])
}

/// Where a centred square begins (int64), towards zero, as Python's `int` rounds.
fn offset(graph: &mut Graph, length: &Length, side: &Length) -> Value {
    let over = graph.op("Sub", &[length, side]);
    let half = number(graph, 0.5);
    let half = graph.op("Mul", &[&half, &over]);
    graph.cast(&half, Element::I64)
}

/// `0, 1, …` up to a length (int64).
fn range(graph: &mut Graph, length: &Length) -> Value {
    let length = graph.cast(length, Element::I64);
    let axis = graph.ints(&[0]);
    let length = graph.op("Squeeze", &[&length, &axis]);
    let zero = graph.constant("zero", &[], Data::I64(vec![0]));
    let one = graph.constant("one", &[], Data::I64(vec![1]));
    graph.op("Range", &[&zero, &length, &one])
}

/// For each place of a square's side the place of a photo's side that it shows: beyond its ends the photo is mirrored, and the pixel at
/// the end isn't repeated.
fn mirrored_places(graph: &mut Graph, length: &Length, side: &Length) -> Value {
    let first = offset(graph, length, side);
    let places = range(graph, side);
    let places = graph.op("Add", &[&places, &first]);
    let (one, two) = (graph.ints(&[1]), graph.ints(&[2]));
    let length = graph.cast(length, Element::I64);
    let last = graph.op("Sub", &[&length, &one]);
    let twice = graph.op("Mul", &[&last, &two]);
    // A photo of one pixel shows that one everywhere.
    let period = graph.op("Max", &[&twice, &one]);
    let within = graph.op("Mod", &[&places, &period]);
    let back = graph.op("Sub", &[&period, &within]);
    graph.op("Min", &[&within, &back])
}

/// A photo that would become a huge square is first made as small as the square that is wanted.
fn shrunk_if_huge(graph: &mut Graph, pixels: &Value, [height, width]: [&Length; 2], size: &Length) -> Value {
    let longer = graph.op("Max", &[height, width]);
    let square = graph.op("Mul", &[&longer, &longer]);
    let area = graph.op("Mul", &[height, width]);
    let (four, least) = (number(graph, 4.0), number(graph, HUGE));
    let limit = graph.op("Mul", &[&area, &four]);
    let limit = graph.op("Max", &[&limit, &least]);
    let is_large = graph.op("Greater", &[&square, &limit]);
    let is_longer = graph.op("Greater", &[&longer, size]);
    let is_huge = graph.op("And", &[&is_large, &is_longer]);
    let any_size = ["batch", "rows", "columns", "colour"].map(Size::Named);

    let mut then = graph.branch("huge");
    let scaled = [height, width].map(|length| {
        let product = then.op("Mul", &[length, size]);
        let length = then.op("Div", &[&product, &longer]);
        let rounded = rounded(&mut then, &length);
        let one = number(&mut then, 1.0);
        then.op("Max", &[&rounded, &one])
    });
    let small = resized(&mut then, pixels, [height, width], [&scaled[0], &scaled[1]]);
    let small = then.op_with("Transpose", &[&small], vec![("perm", Attribute::Ints(vec![0, 2, 3, 1]))]);
    then.output("pixels", &small, Element::F64, &any_size);
    let mut otherwise = graph.branch("usual");
    otherwise.output("pixels", pixels, Element::F64, &any_size);

    let branches = vec![
        ("then_branch", Attribute::Graph(Box::new(then))),
        ("else_branch", Attribute::Graph(Box::new(otherwise))),
    ];
    graph.op_with("If", &[&is_huge], branches)
}

/// Half away from zero, for what isn't negative.
fn rounded(graph: &mut Graph, value: &Value) -> Value {
    let half = number(graph, 0.5);
    let more = graph.op("Add", &[value, &half]);
    graph.op("Floor", &[&more])
}

/// Pixels `[batch, height, width, 3]` to `[batch, 3, rows, columns]`.
fn resized(
    graph: &mut Graph,
    pixels: &Value,
    [height, width]: [&Length; 2],
    [rows, columns]: [&Length; 2],
) -> Value {
    let down = Weights::new(graph, height, rows);
    let shape = graph.ints(&[0, 0, -1]);
    let lines = graph.op("Reshape", &[pixels, &shape]);
    let lines = graph.op("MatMul", &[&down.matrix, &lines]);
    let lines = down.divided(graph, &lines);
    let shape = graph.ints(&[0, 0, -1, 3]);
    let short = graph.op("Reshape", &[&lines, &shape]);
    let planes = graph.op_with("Transpose", &[&short], vec![("perm", Attribute::Ints(vec![0, 3, 1, 2]))]);
    let across = Weights::new(graph, width, columns);
    let turned = graph.op_with("Transpose", &[&across.matrix], vec![("perm", Attribute::Ints(vec![1, 0]))]);
    let square = graph.op("MatMul", &[&planes, &turned]);
    across.divided(graph, &square)
}

/// What each pixel of a resized line is made of.
struct Weights {
    /// Whole numbers `[to, from]`, whose rows add up to about `one`.
    matrix: Value,
    /// The power of 2 that stands for 1, `[1]`.
    one: Value,
}

impl Weights {
    /// Pillow's antialiased triangle, in whole numbers: `precompute_coefficients` and `Normalizer16` of `fast_image_resize`.
    fn new(graph: &mut Graph, from: &Length, to: &Length) -> Self {
        let scale = graph.op("Div", &[from, to]);
        let unit = number(graph, 1.0);
        let reach = graph.op("Max", &[&scale, &unit]);
        let per_pixel = graph.op("Div", &[&unit, &reach]);
        let half = number(graph, 0.5);

        let out = range(graph, to);
        let out = graph.cast(&out, Element::F64);
        let out = graph.op("Add", &[&out, &half]);
        let centres = graph.op("Mul", &[&out, &scale]);
        let centres = graph.op("Sub", &[&centres, &half]);
        let axis = graph.ints(&[1]);
        let centres = graph.op("Unsqueeze", &[&centres, &axis]);
        let places = range(graph, from);
        let places = graph.cast(&places, Element::F64);

        let distances = graph.op("Sub", &[&places, &centres]);
        let distances = graph.op("Mul", &[&distances, &per_pixel]);
        let distances = graph.op("Abs", &[&distances]);
        let heights = graph.op("Sub", &[&unit, &distances]);
        let zero = number(graph, 0.0);
        let heights = graph.op("Max", &[&heights, &zero]);
        let sums = graph.op("ReduceSum", &[&heights, &axis]);
        let shares = graph.op("Div", &[&heights, &sums]);

        let one = power(graph, &shares);
        let scaled = graph.op("Mul", &[&shares, &one]);
        Self { matrix: rounded(graph, &scaled), one }
    }

    /// Sums of products as bytes: divided, rounded, and at most 255.
    fn divided(&self, graph: &mut Graph, sums: &Value) -> Value {
        let shares = graph.op("Div", &[sums, &self.one]);
        let whole = rounded(graph, &shares);
        let most = number(graph, 255.0);
        graph.op("Min", &[&whole, &most])
    }
}

/// The largest power of 2, up to 2^21, at which the largest of the weights still fits into 15 bits, `[1]`.
fn power(graph: &mut Graph, shares: &Value) -> Value {
    let no_axes = vec![("keepdims", Attribute::Int(0))];
    let most = graph.op_with("ReduceMax", &[shares], no_axes.clone());
    let powers: Vec<f64> = (0..=MOST_BITS).map(|bits| f64::from(1_u32 << bits)).collect();
    let next = graph.constant("next", &[MOST_BITS as usize], Data::F64(powers[1..].to_vec()));
    let products = graph.op("Mul", &[&next, &most]);
    let products = rounded(graph, &products);
    let limit = number(graph, f64::from(1_u32 << WEIGHT_BITS));
    let fits = graph.op("Less", &[&products, &limit]);
    let fits = graph.cast(&fits, Element::I64);
    let axis = graph.ints(&[0]);
    let bits = graph.op("ReduceSum", &[&fits, &axis]);
    let powers = graph.constant("powers", &[powers.len()], Data::F64(powers));
    graph.op_with("Gather", &[&powers, &bits], vec![("axis", Attribute::Int(0))])
}
