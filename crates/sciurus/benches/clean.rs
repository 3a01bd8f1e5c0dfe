//! How well `sciurus clean` finds errors that were planted, beside other orders. Prints the tables of docs/cleaning-benchmarks.md.
//!
//! `cargo xtask clean-bench` runs it. Errors are planted into labels (and rows of other photos into the data) after embedding, so
//! that a set is embedded once; near copies are planted into pixels by `cargo bench -p sciurus-data --bench duplicates`.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "a program to look at, not a library"
)]

#[path = "clean/after.rs"]
mod after;
#[path = "clean/in_sample.rs"]
mod in_sample;
#[path = "clean/large.rs"]
mod large;
#[path = "clean/measures.rs"]
mod measures;
#[path = "clean/orders.rs"]
mod orders;
#[path = "clean/planted.rs"]
mod planted;
#[path = "clean/sets.rs"]
mod sets;

use std::path::PathBuf;

use clap::Parser;
use measures::{Measures, mean};
use orders::{Order, Scored};
use planted::{Noise, planted};
use sets::Set;

#[derive(Debug, Parser)]
struct Args {
    /// Folder with data and models
    #[arg(long, env = "SCIURUS_SHARED", default_value = "../shared")]
    shared: PathBuf,
    /// First seed: the tables are made with 2000, choices were made with 1000 and above
    #[arg(long, default_value_t = 2000)]
    first: u64,
    /// Number of seeds
    #[arg(long, default_value_t = 5)]
    seeds: u64,
    /// One data set only
    #[arg(long)]
    set: Option<String>,
    /// These networks look, instead of the set's usual ones, separated by commas; the last says what is off-topic
    #[arg(long, value_delimiter = ',')]
    arch: Vec<sciurus::Arch>,
    /// Also orders that were tried and not taken
    #[arg(long)]
    tried: bool,
    /// Fine-tune a model for each seed instead, for fastai's order at symmetric 20 %: minutes
    #[arg(long)]
    in_sample: bool,
    /// Train with right, wrong and cleaned labels for each seed instead, at symmetric 20 %: minutes
    #[arg(long)]
    after: bool,
    /// Time big sets instead: 100,000 embeddings, and a million rows of scores
    #[arg(long)]
    large: bool,
    /// Set by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let args = Args::parse();
    if args.large {
        return large::time();
    }
    let seeds = args.first..args.first + args.seeds;
    let sets = sets::load(&args.shared, args.set.as_deref(), &args.arch);
    if args.after {
        return after_table(&args, &sets);
    }
    println!(
        "| set | planted | order | AUROC | AP | P@20 | P@50 | P@100 | found in 5 % | in 10 % | shown for 90 % | stop rule: shown | found |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|");
    if args.in_sample {
        return sets.iter().for_each(|set| in_sample_rows(set, &args, &sets));
    }
    for set in &sets {
        for noise in Noise::ALL {
            if !noise.fits(set.classes()) {
                continue;
            }
            let orders = if args.tried { Order::with_tried() } else { Order::shown() };
            let results = measured(set, noise, (seeds.clone(), orders), &sets);
            for (order, measures) in results {
                println!("| {} | {noise} | {order} | {} |", set.name, mean(&measures));
            }
        }
    }
}

/// What cleaning is worth, at symmetric 20 %.
fn after_table(args: &Args, sets: &[Set]) {
    println!("| set | planted | right labels | wrong labels | cleaned | gap closed | reviewed | minutes |");
    println!("|---|---|---|---|---|---|---|---|");
    let noise = Noise::Symmetric(0.2);
    for set in sets {
        let of_seed = |seed| after::after(set, &planted(set, noise, seed, sets), (seed, &args.shared));
        let all: Vec<after::After> = (args.first..args.first + args.seeds).map(of_seed).collect();
        println!("| {} | {noise} | {} |", set.name, after::row(&all));
    }
}

/// Every order's figures, one for each seed.
fn measured(
    set: &Set,
    noise: Noise,
    (seeds, orders): (std::ops::Range<u64>, Vec<Order>),
    sets: &[Set],
) -> Vec<(Order, Vec<Measures>)> {
    let mut results: Vec<(Order, Vec<Measures>)> =
        orders.into_iter().map(|order| (order, Vec::new())).collect();
    for seed in seeds {
        let case = planted(set, noise, seed, sets);
        if !case.wrong.contains(&true) {
            return Vec::new();
        }
        let scored = Scored::new(&case);
        for (order, measures) in &mut results {
            let promised = scored.promised(*order);
            measures.push(Measures::of(&scored.ranked(*order, seed), &case.wrong, promised.as_deref()));
        }
    }
    results
}

/// Orders for which a model is trained.
fn in_sample_rows(set: &Set, args: &Args, sets: &[Set]) {
    let noise = Noise::Symmetric(0.2);
    let mut rows: Vec<(String, Vec<Measures>)> = Vec::new();
    for seed in args.first..args.first + args.seeds {
        let case = planted(set, noise, seed, sets);
        for (at, (name, order)) in in_sample::orders(set, &case, (seed, &args.shared)).into_iter().enumerate()
        {
            if rows.len() == at {
                rows.push((name, Vec::new()));
            }
            rows[at].1.push(Measures::of(&order, &case.wrong, None));
        }
    }
    for (name, measures) in rows {
        println!("| {} | {noise} | {name} | {} |", set.name, mean(&measures));
    }
}
