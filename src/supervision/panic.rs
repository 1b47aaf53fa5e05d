//! Catching panics and saying what they were.
//!
//! Purpose: run something that may panic and get a [`PanicReport`] instead of an unwinding thread; and, through the process's
//! panic hook, log every panic exactly once: the supervisor logs the caught ones with the actor's path, the hook all others.
//! Neighbours: `supervisor` catches, `main` installs the hook. Invariant: `catch` never unwinds. Must not know: actors.
//! A panic's text is logged and shown to operators, so no message text may be formatted into one (I12).

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};

use serde::Serialize;

/// Longer panic texts are cut here, in characters: the first line of an `assert_eq!` of big values is enough.
const MAX_TEXT: usize = 300;

/// What a panic said and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PanicReport {
    /// The panic's own text.
    pub text: Box<str>,
    /// `file:line:column`; known only if the hook is installed.
    pub location: Option<Box<str>>,
}

impl PanicReport {
    fn new(payload: &dyn Any, location: Option<Box<str>>) -> Self {
        let text = if let Some(text) = payload.downcast_ref::<&str>() {
            text
        } else if let Some(text) = payload.downcast_ref::<String>() {
            text.as_str()
        } else {
            "a panic without text"
        };
        Self { text: text.chars().take(MAX_TEXT).collect(), location }
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

/// Makes every panic of the process end up in the log exactly once. Call it once, from `main`.
pub fn install_hook() {
    std::panic::set_hook(Box::new(on_panic));
}

fn on_panic(info: &PanicHookInfo<'_>) {
    let location = info.location().map(|place| place.to_string().into());
    let report = PanicReport::new(info.payload(), location);
    // At the end of a thread the cell may be gone, and inside `catch` it is never borrowed: then nobody catches either.
    let unseen = WATCH.try_with(|watch| match watch.try_borrow_mut() {
        Ok(mut watch) if matches!(*watch, Watch::On) => {
            *watch = Watch::Seen(report.clone());
            false
        }
        // A second panic while the first unwinds aborts the process: say it while there is time.
        _ => true,
    });
    if unseen.unwrap_or(true) {
        log_unsupervised(&report);
    }
}

fn log_unsupervised(report: &PanicReport) {
    tracing::error!(location = report.place(), panic = &*report.text, "a panic outside the supervision tree");
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
            log_unsupervised(&report);
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

    #[test]
    fn a_result_passes_through() {
        assert_eq!(catch(|| 5), Ok(5));
    }

    #[test]
    fn the_text_of_a_panic_is_kept_and_cut() {
        let long = "x".repeat(10 * MAX_TEXT);
        let report = catch(|| panic!("{long}")).map(|(): ()| ()).unwrap_err();
        assert_eq!(report.text.len(), MAX_TEXT);
        let report = catch(|| panic!("plain")).map(|(): ()| ()).unwrap_err();
        assert_eq!(&*report.text, "plain");
    }

    #[test]
    fn a_panic_without_text_is_described() {
        let report = catch(|| std::panic::panic_any(5_u8)).map(|(): ()| ());
        assert_eq!(&*report.unwrap_err().text, "a panic without text");
    }

    #[test]
    fn a_catch_inside_a_catch_leaves_the_outer_one_watching() {
        let outer = catch(|| {
            let inner: Result<(), _> = catch(|| panic!("inner"));
            assert_eq!(&*inner.unwrap_err().text, "inner");
            panic!("outer");
        });
        assert_eq!(&*outer.map(|(): ()| ()).unwrap_err().text, "outer");
    }

    #[test]
    fn the_hook_adds_the_location() {
        // The hook is the process's: the other tests' failures must still be printed by the one before.
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            on_panic(info);
            before(info);
        }));
        let report = catch(|| panic!("where")).map(|(): ()| ()).unwrap_err();
        assert!(report.place().contains("panic.rs:"), "{}", report.place());
    }
}
