//! Mirrors: pools that carry what others hold, and cannot cheat.

mod carried;
mod cheating;
mod followed;
mod merged;
mod partial;
mod partition;
mod scene;
mod station;
mod stock;
