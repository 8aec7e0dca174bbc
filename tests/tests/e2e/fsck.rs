//! What a damaged pool does: it says so, never serves what it cannot stand by, and gets back what is
//! to be had.

mod by_hand;
mod chance;
mod damage;
mod mirrored;
mod scene;
mod served;
mod truth;
