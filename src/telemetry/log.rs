//! The log: text for people or JSON for machines, on standard error, filtered by directives.

use std::{io::IsTerminal, panic};

use tracing_subscriber::{EnvFilter, filter::ParseError, fmt, prelude::*};

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A readable line, in colour on a terminal.
    Text,
    /// A JSON object per line: `timestamp`, `level`, `target`, `message`, the event's fields and those of its span.
    Json,
}

/// The log cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter is not understood.
    #[error("log.filter {0:?}: {1}")]
    Filter(String, #[source] ParseError),
}

/// Whether `filter` would be understood by [`init`].
///
/// # Errors
/// What is wrong with it.
pub fn check_filter(filter: &str) -> Result<(), LogError> {
    parse(filter).map(drop)
}

/// Starts logging for the whole process. Only the first call has an effect: several servers in one test process share its log.
///
/// Panics are logged as `hubbub::panic` in the same form: place, thread, and the text if it stands word for word in the source. A
/// formatted one may quote what people wrote (slicing a string does), so it appears at no level (I12).
///
/// # Errors
/// The filter is not understood.
pub fn init(format: Format, filter: &str) -> Result<(), LogError> {
    let filter = parse(filter)?;
    let lines = match format {
        Format::Text => fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal()).boxed(),
        Format::Json => fmt::layer().json().flatten_event(true).with_span_list(false).with_writer(std::io::stderr).boxed(),
    };
    if tracing_subscriber::registry().with(filter).with(lines).try_init().is_ok() {
        panic::set_hook(Box::new(log_panic));
    }
    Ok(())
}

fn parse(filter: &str) -> Result<EnvFilter, LogError> {
    EnvFilter::builder().parse(filter).map_err(|error| LogError::Filter(filter.to_owned(), error))
}

fn log_panic(panic: &panic::PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let current = std::thread::current();
    let thread = current.name().unwrap_or("unnamed");
    match panic.payload().downcast_ref::<&'static str>() {
        Some(message) => tracing::error!(target: "hubbub::panic", place, thread, "panicked: {message}"),
        None => tracing::error!(target: "hubbub::panic", place, thread, "panicked"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::sync::{Arc, Mutex};

    #[test]
    fn filters_are_levels_or_directives() {
        for good in ["info", "info,hubbub::room=debug", "off", "warn,hubbub=trace"] {
            assert!(check_filter(good).is_ok(), "{good}");
        }
        for wrong in ["loud=yes=no", "info,hubbub::room=loud"] {
            assert!(check_filter(wrong).is_err(), "{wrong}");
        }
    }

    /// What is logged, kept.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_formatted_panic_text_is_logged_at_no_level() {
        let (kept, before) = (Kept::default(), panic::take_hook());
        let writer = kept.clone();
        let everything = fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).finish();
        panic::set_hook(Box::new(log_panic));
        tracing::subscriber::with_default(everything, || {
            let quoted = String::from("what somebody wrote");
            assert!(panic::catch_unwind(|| panic!("{quoted}")).is_err());
            assert!(panic::catch_unwind(|| panic!("from the source")).is_err());
        });
        panic::set_hook(before);
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        assert!(text.contains("hubbub::panic") && text.contains("from the source"), "{text}");
        assert!(!text.contains("somebody wrote"), "{text}");
    }
}
