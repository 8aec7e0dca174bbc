//! Mirrors of some of the NARs, which say where the others are.
