//! Ctrl-C: the first one ends a fit cleanly, the second one ends the program.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use sciurus::{Control, Error, Event, Observer};

use crate::args::Show;
use crate::output::announce;

/// Whether it was pressed; a process listens once, however many fits it has.
static PRESSED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Asks the fit to stop once Ctrl-C was pressed.
#[derive(Debug)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Listens from now on; `told` is said when it is pressed.
    pub(crate) fn listen(show: Show, told: &'static str) -> anyhow::Result<Self> {
        if let Some(pressed) = PRESSED.get() {
            return Ok(Self(Arc::clone(pressed)));
        }
        let pressed = Arc::clone(PRESSED.get_or_init(Arc::default));
        let flag = Arc::clone(&pressed);
        ctrlc::set_handler(move || {
            if flag.swap(true, Ordering::SeqCst) {
                std::process::exit(130);
            }
            if !show.quiet && !show.json {
                // Nothing is left to do if the terminal has gone.
                let _ = announce(told);
            }
        })?;
        Ok(Self(pressed))
    }

    /// Whether it was pressed.
    pub(crate) fn is_pressed(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Whether it was pressed, if anything has listened.
pub(crate) fn was_pressed() -> bool {
    PRESSED.get().is_some_and(|pressed| pressed.load(Ordering::SeqCst))
}

/// What is said when a fit is to end.
pub(crate) const FIT: &str =
    "stopping after this batch; what was trained is measured and saved (Ctrl-C again: stop at once)";

impl Observer for Interrupt {
    fn observe(&mut self, _event: &Event) -> Result<Control, Error> {
        Ok(if self.is_pressed() { Control::Stop } else { Control::Continue })
    }
}
