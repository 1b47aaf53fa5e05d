//! Catching panics and saying what they were.
//!
//! Purpose: run something that may panic and get a [`PanicReport`] instead of an unwinding thread; and, through the process's
//! panic hook, have every panic in the log exactly once: the supervisor logs the caught ones with the actor's path, the hook
//! that was there before logs all others.
//! Neighbours: `supervisor` catches, the command line installs the hook. Invariants: `catch` never unwinds; only texts that are
//! written in the source are reported, at whatever level, since a formatted one may quote what people wrote (slicing a string does, I12).
//! Must not know: actors.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};

use serde::Serialize;

/// What a panic said and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PanicReport {
    /// The panic's own text, if it was not formatted: that of `panic!("so")`, not that of `unwrap`.
    pub text: Option<&'static str>,
    /// `file:line:column`; known only if the hook is installed.
    pub location: Option<Box<str>>,
}

impl PanicReport {
    fn new(payload: &dyn Any, location: Option<Box<str>>) -> Self {
        Self { text: payload.downcast_ref::<&'static str>().copied(), location }
    }

    /// The text, or a placeholder for logs.
    pub fn text(&self) -> &'static str {
        self.text.unwrap_or("(a formatted text, withheld)")
    }

    /// The location, or a placeholder for logs.
    pub fn place(&self) -> &str {
        self.location.as_deref().unwrap_or("unknown place")
    }
}

/// What the hook does with a panic on this thread.
enum Watch {
    /// Nobody catches: log it here.
    Off,
    /// `catch` is running: leave it to the catcher.
    On,
    /// The hook has described the panic that `catch` is about to see.
    Seen(PanicReport),
}

thread_local! {
    /// The hook gets no context from the code that panics, so the two meet here.
    static WATCH: RefCell<Watch> = const { RefCell::new(Watch::Off) };
}

/// Makes every panic of the process end up in the log exactly once. To be called when the log has its own hook.
pub fn install_hook() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !leave_to_catcher(panic) {
            before(panic);
        }
    }));
}

/// Describes a panic for the `catch` around it, if there is one.
fn leave_to_catcher(panic: &PanicHookInfo<'_>) -> bool {
    let left = WATCH.try_with(|watch| match watch.try_borrow_mut() {
        Ok(mut watch) if matches!(*watch, Watch::On) => {
            let location = panic.location().map(|place| place.to_string().into());
            *watch = Watch::Seen(PanicReport::new(panic.payload(), location));
            true
        }
        // A second panic while the first unwinds aborts the process: say it while there is time.
        _ => false,
    });
    // At the end of a thread the cell is gone, and so is whoever might catch.
    left.unwrap_or(false)
}

/// Runs `work` and returns its result, or what its panic said.
///
/// Whatever `work` left half done must be rebuilt by the caller, as unwind safety cannot be checked here.
pub(super) fn catch<T>(work: impl FnOnce() -> T) -> Result<T, PanicReport> {
    let outer = WATCH.replace(Watch::On);
    let result = catch_unwind(AssertUnwindSafe(work));
    let seen = WATCH.replace(outer);
    match (result, seen) {
        (Ok(value), Watch::Seen(report)) => {
            // Something inside `work` caught it on its own account.
            tracing::error!(place = report.place(), panic = report.text(), "a panic was caught below the supervisor");
            Ok(value)
        }
        (Ok(value), _) => Ok(value),
        (Err(_), Watch::Seen(report)) => Err(report),
        (Err(payload), _) => Err(PanicReport::new(payload.as_ref(), None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn a_result_passes_through() {
        assert_eq!(catch(|| 5), Ok(5));
    }

    #[test]
    fn a_text_from_the_source_is_reported() {
        let report = catch(|| panic!("plain")).map(|(): ()| ()).unwrap_err();
        assert_eq!(report.text, Some("plain"));
    }

    #[test]
    fn a_formatted_text_is_withheld() {
        let quoted = String::from("what somebody wrote");
        let report = catch(|| panic!("{quoted}")).map(|(): ()| ()).unwrap_err();
        assert_eq!(report.text, None);
    }

    #[test]
    fn a_formatted_text_is_logged_at_no_level() {
        let counted = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&counted);
        let writer = move || {
            seen.fetch_add(1, Ordering::Relaxed);
            std::io::sink()
        };
        let everything = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(writer).finish();
        tracing::subscriber::with_default(everything, || {
            tracing::trace!("heard");
            let quoted = String::from("what somebody wrote");
            assert!(catch(|| panic!("{quoted}")).map(|(): ()| ()).is_err());
        });
        assert_eq!(counted.load(Ordering::Relaxed), 1, "whoever catches says it, with nothing but the report");
    }

    #[test]
    fn a_catch_inside_a_catch_leaves_the_outer_one_watching() {
        let outer = catch(|| {
            let inner: Result<(), _> = catch(|| panic!("inner"));
            assert_eq!(inner.unwrap_err().text(), "inner");
            panic!("outer");
        });
        assert_eq!(outer.map(|(): ()| ()).unwrap_err().text(), "outer");
    }

    #[test]
    fn the_hook_adds_the_location() {
        install_hook();
        let report = catch(|| panic!("where")).map(|(): ()| ()).unwrap_err();
        assert!(report.place().contains("panic.rs:"), "{}", report.place());
    }
}
