//! Ctrl-C and a polite end from the system: the first signal ends a fit cleanly, the second one ends the program.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use sciurus::{Control, Error, Event, Observer};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::args::Show;
use crate::output::announce;

/// What a process listens to; it listens once, however many fits it has.
static LISTENING: OnceLock<Signals> = OnceLock::new();

/// Which signal came, if one did.
#[derive(Debug, Default)]
struct Signals {
    came: Arc<AtomicBool>,
    number: Arc<AtomicUsize>,
    told: AtomicBool,
}

/// Signals that ask a program to end.
#[cfg(unix)]
const ASKED_TO_END: [i32; 3] = [SIGINT, SIGTERM, signal_hook::consts::SIGHUP];
#[cfg(not(unix))]
const ASKED_TO_END: [i32; 2] = [SIGINT, SIGTERM];

/// Asks the fit to stop once a signal came.
#[derive(Debug)]
pub(crate) struct Interrupt {
    show: Show,
    told: &'static str,
}

impl Interrupt {
    /// Listens from now on; `told` is said when a signal came.
    pub(crate) fn listen(show: Show, told: &'static str) -> anyhow::Result<Self> {
        if LISTENING.get().is_none() {
            let signals = LISTENING.get_or_init(Signals::default);
            for signal in ASKED_TO_END {
                // In this order: the first signal finds `came` unset, the second one set.
                flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&signals.came))?;
                flag::register(signal, Arc::clone(&signals.came))?;
                flag::register_usize(signal, Arc::clone(&signals.number), signal as usize)?;
            }
        }
        Ok(Self { show, told })
    }

    /// Whether a signal came; the first time that this is known it is said.
    pub(crate) fn is_pressed(&self) -> bool {
        let Some(signals) = LISTENING.get().filter(|signals| signals.came.load(Ordering::SeqCst)) else {
            return false;
        };
        if !signals.told.swap(true, Ordering::SeqCst) && !self.show.quiet && !self.show.json {
            // Nothing is left to do if the terminal has gone.
            let _ = announce(self.told);
        }
        true
    }
}

/// The exit code of a program that a signal cut short, as shells have it: 130 after Ctrl-C, 143 after a plain `kill`.
pub(crate) fn exit_code() -> Option<u8> {
    let signals = LISTENING.get().filter(|signals| signals.told.load(Ordering::SeqCst))?;
    u8::try_from(128 + signals.number.load(Ordering::SeqCst)).ok()
}

/// Whether a signal came, if anything has listened.
pub(crate) fn was_pressed() -> bool {
    LISTENING.get().is_some_and(|signals| signals.came.load(Ordering::SeqCst))
}

/// What is said when a fit is to end.
pub(crate) const FIT: &str =
    "stopping after this batch; what was trained is validated and saved (Ctrl-C again: stop at once)";

impl Observer for Interrupt {
    fn observe(&mut self, _event: &Event) -> Result<Control, Error> {
        Ok(if self.is_pressed() { Control::Stop } else { Control::Continue })
    }
}
