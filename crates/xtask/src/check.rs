//! The one check command. Tools that cargo does not bring are used where they are there, and named where they are not.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::ensure;

use crate::layout;

/// One step of the check.
struct Step {
    name: &'static str,
    /// The tool's own presence test; none for what cargo always has.
    needs: Option<&'static [&'static str]>,
    command: &'static [&'static str],
    /// Whether CI fails without the tool, instead of passing the step over.
    in_ci: bool,
}

const TESTS: [Step; 2] = [
    Step {
        name: "tests",
        needs: Some(&["cargo", "nextest", "--version"]),
        command: &["cargo", "nextest", "run", "--workspace", "--no-fail-fast"],
        in_ci: false,
    },
    Step {
        name: "tests",
        needs: None,
        command: &["cargo", "test", "--workspace", "--lib", "--bins", "--tests", "--no-fail-fast"],
        in_ci: false,
    },
];

const STEPS: [Step; 8] = [
    Step {
        name: "format",
        needs: Some(&["cargo", "fmt", "--version"]),
        command: &["cargo", "fmt", "--all", "--check"],
        in_ci: false,
    },
    Step {
        name: "lints",
        needs: Some(&["cargo", "clippy", "--version"]),
        command: &["cargo", "clippy", "--workspace", "--all-targets", "--", "-D", "warnings"],
        in_ci: false,
    },
    // Programs that only predict build the library without what trains.
    Step {
        name: "prediction alone",
        needs: Some(&["cargo", "clippy", "--version"]),
        command: &[
            "cargo",
            "clippy",
            "-p",
            "sciurus",
            "--no-default-features",
            "--features",
            "predict",
            "--",
            "-D",
            "warnings",
        ],
        in_ci: false,
    },
    Step {
        name: "doc tests",
        needs: None,
        command: &["cargo", "test", "--workspace", "--doc"],
        in_ci: false,
    },
    Step {
        name: "licences and bans",
        needs: Some(&["cargo", "deny", "--version"]),
        command: &["cargo", "deny", "--offline", "check", "bans", "licenses", "sources"],
        in_ci: false,
    },
    // The database of advisories is a repository that not every machine can reach; one that was fetched before will do.
    Step {
        name: "advisories",
        needs: Some(&["cargo", "deny", "fetch", "db"]),
        command: &["cargo", "deny", "check", "advisories"],
        in_ci: false,
    },
    Step { name: "spelling", needs: Some(&["typos", "--version"]), command: &["typos"], in_ci: false },
    // TypeScript's compiler, which reads the types in the comments of the studio's scripts and writes nothing.
    Step {
        name: "script types",
        needs: Some(&["tsc", "--version"]),
        command: &["tsc", "-p", "crates/studio/assets/tsconfig.json"],
        in_ci: true,
    },
];

/// Runs every step and fails if any fails; later steps still run, so that one call shows everything.
pub(crate) fn run() -> anyhow::Result<()> {
    let tests = if present(&TESTS[0]) { &TESTS[0] } else { &TESTS[1] };
    let mut failed = Vec::new();
    if !layout_holds()? {
        failed.push("layout");
    }
    for step in STEPS.iter().take(2).chain([tests]).chain(STEPS.iter().skip(2)) {
        if !present(step) {
            let probe = step.needs.unwrap_or_default().join(" ");
            report(&format!("{}: passed over, as `{probe}` does not work here", step.name));
            if step.in_ci && std::env::var_os("CI").is_some_and(|ci| ci == "true") {
                failed.push(step.name);
            }
        } else if !passes(step) {
            failed.push(step.name);
        }
    }
    ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
    report("all checks pass");
    Ok(())
}

/// Which crate may use which, and circles of files; told before minutes of building.
fn layout_holds() -> anyhow::Result<bool> {
    let faults = layout::faults(Path::new("."))?;
    faults.iter().for_each(|fault| report(&format!("layout: {fault}")));
    report(if faults.is_empty() { "layout: ok" } else { "layout: FAILED" });
    Ok(faults.is_empty())
}

fn present(step: &Step) -> bool {
    let Some(probe) = step.needs else { return true };
    command(probe).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

fn passes(step: &Step) -> bool {
    report(&format!("{}: {}", step.name, step.command.join(" ")));
    let started = Instant::now();
    let passed = command(step.command).status().is_ok_and(|status| status.success());
    let verdict = if passed { "ok" } else { "FAILED" };
    report(&format!("{}: {verdict} in {:.0} s", step.name, started.elapsed().as_secs_f64()));
    passed
}

fn command(words: &[&str]) -> Command {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    command
}

#[allow(clippy::print_stderr)]
fn report(line: &str) {
    eprintln!("[check] {line}");
}
