//! `sciurus completions`: completion scripts and manual pages, made from the same words as `--help`.

use anyhow::Context;
use clap_complete::{Shell, generate};

use crate::args::{CompletionTarget, CompletionsArgs, command};
use crate::output::{Outcome, text};

pub(super) fn run(args: &CompletionsArgs) -> anyhow::Result<Outcome> {
    let shell = match args.target {
        CompletionTarget::Bash => Shell::Bash,
        CompletionTarget::Elvish => Shell::Elvish,
        CompletionTarget::Fish => Shell::Fish,
        CompletionTarget::Powershell => Shell::PowerShell,
        CompletionTarget::Zsh => Shell::Zsh,
        CompletionTarget::Man => return manual(args),
    };
    let mut script = Vec::new();
    generate(shell, &mut command(), "sciurus", &mut script);
    text(String::from_utf8(script)?.trim_end())?;
    Ok(Outcome::Done)
}

fn manual(args: &CompletionsArgs) -> anyhow::Result<Outcome> {
    let into = args.into.display();
    std::fs::create_dir_all(&args.into).with_context(|| format!("{into}: cannot make the folder"))?;
    clap_mangen::generate_to(command(), &args.into)
        .with_context(|| format!("{into}: cannot write manual pages"))?;
    text(format!(
        "wrote sciurus.1 and a page for each verb to {into}; read them with: man -l {into}/sciurus.1"
    ))?;
    Ok(Outcome::Done)
}
