//! What is new is at the mirror at once.
