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
/// Panics are logged as `hubbub::panic` in the same form. A formatted panic message may quote what people wrote (slicing a
/// string does), so it appears at debug level only; place and thread always do (I12).
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
        None => {
            tracing::error!(target: "hubbub::panic", place, thread, "panicked");
            if let Some(message) = panic.payload().downcast_ref::<String>() {
                tracing::debug!(target: "hubbub::panic", place, thread, "panicked: {message}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_levels_or_directives() {
        for good in ["info", "info,hubbub::room=debug", "off", "warn,hubbub=trace"] {
            assert!(check_filter(good).is_ok(), "{good}");
        }
        for wrong in ["loud=yes=no", "info,hubbub::room=loud"] {
            assert!(check_filter(wrong).is_err(), "{wrong}");
        }
    }
}
