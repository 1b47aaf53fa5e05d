//! The promises of the design, one file each, over real sockets. What would break them is in `tests/faults`, with the same checks.

mod i01_order;
mod i02_durable;
mod i02_synced;
mod i03_once;
mod i04_bounds;
mod i04_large_room;
mod i04_queues;
mod i05_no_waiting;
mod i06_start;
mod i07_at_size;
mod i07_histories;
mod i07_resume;
mod i09_full_disk;
mod i10_policy;
mod i11_drain;
mod i12_secrets;
