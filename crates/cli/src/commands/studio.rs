//! `sciurus studio`: the same in a browser.

use anyhow::Context;
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use sciurus::gather::Keys;
use sciurus_studio::{Access, Reach, Services, Workspace, serve};
use serde_json::json;

use crate::args::{ServiceArgs, StudioArgs};
use crate::output::{Outcome, json_line, note, text};
use crate::paint::Paint;

pub(super) fn run(args: &StudioArgs) -> anyhow::Result<Outcome> {
    super::use_threads(args.threads)?;
    let busy = || {
        format!("port {} cannot be used; choose another with --port, or 0 for any that is free", args.port)
    };
    let reach = if args.listen { Reach::Network } else { Reach::Machine };
    let (listener, access) = Access::listen(&args.folder, args.port, reach).with_context(busy)?;
    let workspace = Workspace::open(&args.folder, access)?;
    workspace.ask(services(&args.services));
    let (address, network) = (workspace.access().address(), workspace.access().network_addresses());
    if args.json {
        json_line(&json!({ "event": "studio", "address": address, "network": network }))?;
    } else {
        text(format!("studio:  {}", Paint::Command.on(&address)))?;
        if args.listen {
            tell_network(&network)?;
        }
    }
    let is_open = !args.no_open && open::that_detached(workspace.access().address_once()?).is_ok();
    if !is_open && !args.no_open {
        note("no browser could be opened; open the address above in one");
    }
    if let Some(here) = from_afar().filter(|_| !args.json && !args.listen) {
        let port = workspace.access().port();
        note(format!(
            "from the machine you sit at: ssh -L {port}:127.0.0.1:{port} {here}, then open the address above"
        ));
    }
    serve(listener, &workspace)?;
    Ok(Outcome::Done)
}

/// Who is asked for photos, and how.
fn services(args: &ServiceArgs) -> Services {
    Services {
        keys: Keys::from_env(),
        contact: args.contact.clone(),
        endpoints: args.endpoint.clone(),
        private_hosts: args.allow_private_hosts.clone(),
    }
}

/// Addresses for other machines of the network, and what opening it up means.
fn tell_network(addresses: &[String]) -> anyhow::Result<()> {
    note(
        "other machines of this network can open the studio now, if they have the address with its secret. What is sent is not \
         encrypted: whoever controls the network can read it. Ctrl-C ends it",
    );
    let Some(first) = addresses.first() else {
        note("this machine has no address in a network, so nobody else can reach it");
        return Ok(());
    };
    for address in addresses {
        text(format!("network: {}", Paint::Command.on(address)))?;
    }
    if let Ok(code) = QrCode::new(first) {
        text(code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build())?;
        note("point the camera of a phone at it");
    }
    Ok(())
}

/// How this machine is reached by ssh, if that is how somebody works on it: user and address.
fn from_afar() -> Option<String> {
    let connection = std::env::var("SSH_CONNECTION").ok()?;
    // Client's address and port, then this machine's.
    let address = connection.split_whitespace().nth(2)?.parse::<std::net::IpAddr>().ok()?;
    let user = std::env::var("USER")
        .ok()
        .filter(|user| user.chars().all(|one| one.is_ascii_alphanumeric() || "._-".contains(one)));
    Some(user.map_or_else(|| address.to_string(), |user| format!("{user}@{address}")))
}
