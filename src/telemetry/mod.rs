//! What the server tells its operator: the log, the metrics, the span of each request.
//!
//! *Neighbours*: everything above names metrics from [`metrics`] and writes through `tracing`; `app` and `cli` set both up.
//!
//! *Invariants*: no token, password or message text is logged, and none becomes a metric label (I12). Labels take values from
//! closed lists only, so the number of series is bounded (I4).
//!
//! *Must not know*: the parts that report, nor the settings: its inputs are plain values.

pub mod log;
pub mod metrics;
pub mod request;
