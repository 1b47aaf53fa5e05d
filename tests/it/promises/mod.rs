//! The promises of the design, one file each, over real sockets.

mod i01_order;
mod i02_durable;
mod i03_once;
mod i05_no_waiting;
mod i07_resume;
