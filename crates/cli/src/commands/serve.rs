//! `sciurus serve`: models behind HTTP.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use sciurus::data::fs::read_regular;
use sciurus::{Predictor, Run};
use sciurus_serve::{Models, ServeSettings, serve};
use serde_json::json;

use crate::args::ServeArgs;
use crate::output::{Outcome, json_line, note, text};
use crate::paint::Paint;

/// Where a key is read from if no file is named.
const KEY: &str = "SCIURUS_SERVE_KEY";
/// Most bytes of a file with a key.
const LONGEST_KEY: u64 = 4096;
/// A megabyte.
const MB: usize = 1 << 20;

pub(super) fn run(args: &ServeArgs) -> anyhow::Result<Outcome> {
    super::use_threads(args.threads)?;
    let settings = settings(args)?;
    let has_key = settings.key.is_some();
    let files = args.models.iter().map(|model| named(model)).collect::<anyhow::Result<Vec<_>>>()?;
    let (device, rejects) = (args.device, !args.no_reject);
    let load = move |path: &Path| {
        let predictor = Predictor::load_on(path, device)?;
        Ok(if rejects { predictor } else { predictor.without_rejection() })
    };
    let models = Models::load(&files, settings, load)?;
    let address = SocketAddr::new(args.host, args.port);
    let listener = TcpListener::bind(address).with_context(|| {
        format!("{address} cannot be used; choose another with --port, or 0 for any that is free")
    })?;
    let address = format!("http://{}/", listener.local_addr()?);
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_target(false)
        .with_writer(std::io::stderr)
        .init();
    if args.json {
        json_line(
            &json!({ "event": "serving", "address": address, "models": models.names().collect::<Vec<_>>() }),
        )?;
    } else {
        text(format!("serving:  {}", Paint::Command.on(&address)))?;
        for name in models.names() {
            text(format!("  {name}"))?;
        }
    }
    if !args.host.is_loopback() && !has_key {
        note(format!(
            "whoever reaches this machine can ask; to let in only those with a key, set {KEY} or --key-file"
        ));
    }
    serve(listener, models)?;
    Ok(Outcome::Done)
}

fn settings(args: &ServeArgs) -> anyhow::Result<ServeSettings> {
    let key = match &args.key_file {
        Some(path) => {
            let bytes = read_regular(path, LONGEST_KEY)
                .with_context(|| format!("{} cannot be read", path.display()))?;
            Some(String::from_utf8(bytes).with_context(|| format!("{} is not text", path.display()))?)
        }
        None => std::env::var(KEY).ok(),
    };
    let key = key.map(|key| key.trim().to_owned());
    anyhow::ensure!(key.as_deref() != Some(""), "the key is empty; write one into the file or into {KEY}");
    Ok(ServeSettings {
        queue: args.queue.max(1),
        batch: args.batch_size.max(1),
        largest_request: args.max_request as usize * MB,
        most_photos: args.batch_size.max(1).min(args.queue.max(1)),
        timeout: Duration::from_secs(args.timeout),
        connections: args.max_connections as usize,
        top: args.top.max(1),
        local: key.is_none() && args.host.is_loopback(),
        key,
        origins: args.origin.clone(),
        ..ServeSettings::default()
    })
}

/// A model's name and file: `NAME=RUN`, or the run's own name.
fn named(model: &str) -> anyhow::Result<(String, PathBuf)> {
    if let Some((name, path)) = model.split_once('=').filter(|_| !Path::new(model).exists()) {
        return Ok((name.to_owned(), Run::model_at(Path::new(path))?));
    }
    let file = Run::model_at(Path::new(model))?;
    let stem = file.file_stem().unwrap_or_default();
    // Every run calls its model the same.
    let folder = file.parent().and_then(|folder| folder.canonicalize().ok());
    let folder = folder.as_deref().and_then(Path::file_name);
    let name = if stem == "model" { folder.unwrap_or(stem) } else { stem };
    let plain = |one: char| if one.is_ascii_alphanumeric() || "._-".contains(one) { one } else { '-' };
    Ok((name.to_string_lossy().chars().map(plain).collect(), file))
}
