//! Disks that are full, fail, or may not be written to; too many open files; clocks that jump. Readers
//! are served all the while, nothing that was acknowledged is lost, and once the cause is gone the pool
//! goes on without a hand.

mod clock;
mod full_disk;
mod injected;
mod load;
mod open_files;
