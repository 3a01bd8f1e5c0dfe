//! How well `sciurus clean` finds errors that were planted, beside other orders. Prints the tables of docs/cleaning.md.
//!
//! `cargo xtask clean-bench` runs it. Errors are planted into labels (and rows of other photos into the data) after embedding, so
//! that a set is embedded once; near copies are planted into pixels by `cargo bench -p sciurus-data --bench duplicates`.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs, reason = "a program to look at, not a library")]

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
use orders::{Order, ranked};
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
    /// Also orders that were tried and not taken
    #[arg(long)]
    tried: bool,
    /// Set by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let args = Args::parse();
    let seeds = args.first..args.first + args.seeds;
    let sets = sets::load(&args.shared, args.set.as_deref());
    println!("| set | planted | order | AUROC | AP | P@20 | P@50 | P@100 | found in 5 % | in 10 % | shown for 90 % | stop rule: shown | found |");
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|");
    for set in &sets {
        for noise in Noise::ALL {
            if !noise.fits(set.classes()) {
                continue;
            }
            for order in Order::all(args.tried) {
                row(set, noise, order, seeds.clone(), &sets);
            }
        }
    }
}

fn row(set: &Set, noise: Noise, order: Order, seeds: std::ops::Range<u64>, sets: &[Set]) {
    let of_seed = |seed: u64| {
        let case = planted(set, noise, seed, sets);
        Measures::of(&ranked(order, &case, seed), &case.wrong)
    };
    let results: Vec<Measures> = seeds.map(of_seed).collect();
    println!("| {} | {noise} | {order} | {} |", set.name, mean(&results));
}
