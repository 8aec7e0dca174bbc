//! Pools that lie to whoever mirrors them. Each time it is named what they were caught at, nothing of
//! it is kept, and what was verified before goes on being served.

mod forks;
mod histories;
mod lies;
mod nars;
mod origins;
mod story;
mod uploads;
