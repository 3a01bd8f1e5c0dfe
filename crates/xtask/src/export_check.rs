//! Exported models in the programs that run them: onnxruntime and tract from PyPI, onnxruntime-web from npm in a browser.
//!
//! In: a Python with the packages (`SCIURUS_PYTHON`), the folder `dist` of onnxruntime-web (`SCIURUS_ORT_WEB`). Out: whether the tests
//! of exports pass, with as many photos as asked for.

use std::process::Command;

use anyhow::{Context, ensure};

/// What `export-check` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Real photos that a trained network's export is compared on
    #[arg(long, default_value_t = 1000)]
    photos: usize,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let python = std::env::var("SCIURUS_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let packages = Command::new(&python).args(["-c", "import onnxruntime, tract"]).status();
    let has_packages = packages.with_context(|| format!("{python} can't be started"))?.success();
    ensure!(has_packages, "{python} lacks packages; `{python} -m pip install onnxruntime tract` adds them");
    let tests = Command::new("cargo")
        .args(["nextest", "run", "--workspace", "-E", "test(exported)", "--no-fail-fast"])
        .env("SCIURUS_PYTHON", python)
        .env("SCIURUS_EXPORT_PHOTOS", args.photos.to_string())
        .status()?;
    ensure!(tests.success(), "exports differ, or the tests could not run");
    if std::env::var_os("SCIURUS_ORT_WEB").is_none() {
        crate::report("the browser was passed over: SCIURUS_ORT_WEB names no onnxruntime-web");
    }
    Ok(())
}
