//! Log and metric names.
