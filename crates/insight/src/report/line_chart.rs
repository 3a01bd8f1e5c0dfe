//! Lines over a shared axis as inline SVG. In: points. Out: a figure with title, axes, legend and a description for
//! screen readers.

use maud::{Markup, html};

use crate::Interval;

/// The size of the figure in its own units.
const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 210.0;
/// Space for the axis labels.
const LEFT: f64 = 52.0;
const RIGHT: f64 = 10.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 34.0;
/// Approximate number of labels on an axis.
const TICKS: f64 = 5.0;
/// Lines with more points than this are drawn without dots.
const DOTTED: usize = 40;
/// How many colours the style sheet has.
const COLOURS: usize = 6;

/// One line.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) name: String,
    pub(super) points: Vec<Point>,
}

/// A value, with its interval if there is one. A value that isn't finite leaves a gap.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) interval: Option<Interval>,
}

/// Lines, and the text around them.
#[derive(Debug)]
pub(super) struct LineChart {
    pub(super) title: String,
    /// What the horizontal axis counts.
    pub(super) across: &'static str,
    pub(super) series: Vec<Series>,
    /// Where on the horizontal axis something begins, and what it is.
    pub(super) marks: Vec<(f64, String)>,
}

impl LineChart {
    /// The figure; empty if there's no finite point.
    pub(super) fn figure(&self) -> Markup {
        let Some(frame) = Frame::around(&self.series) else { return html! {} };
        html! {
            figure class="chart" {
                figcaption { (self.title) }
                svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(self.told()) {
                    (frame.axes(self.across))
                    @for (i, (x, what)) in self.marks.iter().enumerate() { (frame.mark(i, *x, what)) }
                    @for (i, series) in self.series.iter().enumerate() {
                        g class=(format!("line c{}", i % COLOURS)) { (frame.line(series)) }
                    }
                }
                @if self.series.len() > 1 {
                    ul class="legend" aria-hidden="true" {
                        @for (i, series) in self.series.iter().enumerate() {
                            li class=(format!("c{}", i % COLOURS)) { (series.name) }
                        }
                    }
                }
            }
        }
    }

    /// A description: where every line begins and ends.
    fn told(&self) -> String {
        let ends = |series: &Series| {
            let mut finite = series.points.iter().filter(|point| point.y.is_finite());
            let first = finite.next()?;
            let last = finite.next_back().unwrap_or(first);
            Some(format!("{} from {} to {}", series.name, short(first.y), short(last.y)))
        };
        let lines: Vec<String> = self.series.iter().filter_map(ends).collect();
        format!("{} by {}: {}", self.title, self.across, lines.join("; "))
    }
}

/// The range of values that the figure spans.
#[derive(Debug, Clone, Copy)]
struct Frame {
    x: Axis,
    y: Axis,
}

impl Frame {
    fn around(series: &[Series]) -> Option<Self> {
        let points = || series.iter().flat_map(|line| &line.points).filter(|point| point.y.is_finite());
        let heights = points().flat_map(|point| {
            let ends = point.interval.map(|interval| [interval.low, interval.high]);
            [point.y].into_iter().chain(ends.into_iter().flatten())
        });
        // Losses, rates and learning rates are compared with 0, so the axis starts there, or below if values do.
        let y = Axis::of(heights.chain([0.0]))?.to_ticks();
        Some(Self { x: Axis::of(points().map(|point| point.x))?, y })
    }

    fn left(&self, x: f64) -> f64 {
        LEFT + self.x.share(x) * (WIDTH - LEFT - RIGHT)
    }

    fn top(&self, y: f64) -> f64 {
        HEIGHT - BOTTOM - self.y.share(y) * (HEIGHT - BOTTOM - TOP)
    }

    fn axes(&self, across: &str) -> Markup {
        html! {
            g class="axes" aria-hidden="true" {
                @for y in self.y.ticks() {
                    @let top = format!("{:.1}", self.top(y));
                    line class="grid" x1=(LEFT) x2=(WIDTH - RIGHT) y1=(top) y2=(top) {}
                    text x=(LEFT - 6.0) y=(top) dy="0.32em" text-anchor="end" { (short(y)) }
                }
                @for x in self.x.ticks().into_iter().filter(|x| x.fract() == 0.0) {
                    text x=(format!("{:.1}", self.left(x))) y=(HEIGHT - BOTTOM + 14.0) text-anchor="middle" { (x) }
                }
                text x=(f64::midpoint(LEFT, WIDTH - RIGHT)) y=(HEIGHT - 4.0) text-anchor="middle" { (across) }
            }
        }
    }

    /// Neighbouring marks are written on two lines, so that they don't run into each other.
    fn mark(&self, i: usize, x: f64, what: &str) -> Markup {
        let left = self.left(x).max(LEFT);
        html! {
            g class="mark" aria-hidden="true" {
                line x1=(format!("{left:.1}")) x2=(format!("{left:.1}")) y1=(TOP) y2=(HEIGHT - BOTTOM) {}
                text x=(format!("{:.1}", left + 4.0)) y=(TOP + 8.0 + 12.0 * (i % 2) as f64) { (what) }
            }
        }
    }

    fn line(&self, series: &Series) -> Markup {
        let dotted = series.points.len() <= DOTTED;
        html! {
            path d=(self.path(&series.points)) {}
            @for point in series.points.iter().filter(|point| dotted && point.y.is_finite()) {
                @let left = format!("{:.1}", self.left(point.x));
                @if let Some(Interval { low, high }) = point.interval {
                    line class="reach" x1=(left) x2=(left) y1=(format!("{:.1}", self.top(low)))
                        y2=(format!("{:.1}", self.top(high))) {}
                }
                circle cx=(left) cy=(format!("{:.1}", self.top(point.y))) r="3" {
                    title { (series.name) " " (short(point.y)) }
                }
            }
        }
    }

    /// Moves to the first point after every gap, and draws lines to the others.
    fn path(&self, points: &[Point]) -> String {
        let (mut path, mut pen) = (String::new(), 'M');
        for point in points {
            if point.y.is_finite() {
                path += &format!("{pen}{:.1} {:.1}", self.left(point.x), self.top(point.y));
                pen = 'L';
            } else {
                pen = 'M';
            }
        }
        path
    }
}

/// A range of values.
#[derive(Debug, Clone, Copy)]
struct Axis {
    low: f64,
    high: f64,
}

impl Axis {
    fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let whole = |axis: Option<Self>, value: f64| {
            let Self { low, high } = axis.unwrap_or(Self { low: value, high: value });
            Some(Self { low: low.min(value), high: high.max(value) })
        };
        values.filter(|value| value.is_finite()).fold(None, whole)
    }

    /// The position of a value, 0..=1; the middle if there's only one value.
    fn share(self, value: f64) -> f64 {
        let span = self.high - self.low;
        if span > 0.0 { (value - self.low) / span } else { 0.5 }
    }

    /// 1, 2 or 5 times a power of ten.
    fn step(self) -> f64 {
        let rough = (self.high - self.low) / TICKS;
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0].into_iter().find(|&step| step * power >= rough);
        step.unwrap_or(10.0) * power
    }

    /// The same axis with a tick at its upper end.
    fn to_ticks(self) -> Self {
        let step = self.step();
        if step > 0.0 { Self { high: (self.high / step).ceil() * step, ..self } } else { self }
    }

    fn ticks(self) -> Vec<f64> {
        let step = self.step();
        if !(step > 0.0 && step.is_finite()) {
            return vec![self.low];
        }
        let (first, last) =
            ((self.low / step - 1e-9).ceil() as i64, (self.high / step + 1e-9).floor() as i64);
        (first..=last).map(|i| i as f64 * step).collect()
    }
}

/// A number as an axis label: no more digits than needed, and powers of ten for small numbers.
fn short(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        "0".to_string()
    } else if !(0.0001..100_000.0).contains(&size) {
        let text = format!("{value:.1e}");
        text.replace(".0e", "e")
    } else {
        let text = format!("{value:.4}");
        text.trim_end_matches('0').trim_end_matches('.').to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        let ticks = |low, high| Axis { low, high }.ticks().into_iter().map(short).collect::<Vec<_>>();
        assert_eq!(ticks(0.0, 1.0), ["0", "0.2", "0.4", "0.6", "0.8", "1"]);
        assert_eq!(ticks(0.0, 0.0035), ["0", "0.001", "0.002", "0.003"]);
        assert_eq!(ticks(0.0, 0.00004), ["0", "1e-5", "2e-5", "3e-5", "4e-5"]);
        assert_eq!(ticks(1.0, 7.0), ["2", "4", "6"]);
        assert_eq!(ticks(3.0, 3.0), ["3"]);
        assert_eq!(ticks(-1.0, 1.0), ["-1", "-0.5", "0", "0.5", "1"]);
    }

    #[test]
    fn what_is_not_finite_leaves_a_gap() {
        let point = |x: u32, y| Point { x: f64::from(x), y, interval: None };
        let points = vec![point(0, 1.0), point(1, f64::NAN), point(2, 0.5), point(3, 0.0)];
        let frame = Frame::around(&[Series { name: "loss".into(), points: points.clone() }]).unwrap();
        assert_eq!(frame.path(&points), "M52.0 12.0M250.7 94.0L350.0 176.0");
        assert!(Frame::around(&[Series { name: "loss".into(), points: vec![point(0, f64::NAN)] }]).is_none());
    }
}
