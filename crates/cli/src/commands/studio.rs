//! `sciurus studio`: the same in a browser.

use anyhow::Context;
use sciurus_studio::{Access, Workspace, serve};
use serde_json::json;

use crate::args::StudioArgs;
use crate::output::{Outcome, json_line, note, text};
use crate::paint::Paint;

pub(super) fn run(args: &StudioArgs) -> anyhow::Result<Outcome> {
    super::use_threads(args.threads)?;
    let busy = || {
        format!("port {} cannot be used; choose another with --port, or 0 for any that is free", args.port)
    };
    let (listener, access) = Access::listen(&args.folder, args.port).with_context(busy)?;
    let workspace = Workspace::open(&args.folder, access)?;
    let address = workspace.access().address();
    if args.json {
        json_line(&json!({ "event": "studio", "address": address }))?;
    } else {
        text(format!("studio:  {}", Paint::Command.on(&address)))?;
    }
    if !args.no_open && open::that_detached(workspace.access().address_once()?).is_err() {
        note("no browser could be opened; open the address above in one");
    }
    serve(listener, &workspace)?;
    Ok(Outcome::Done)
}
