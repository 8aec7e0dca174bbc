//! Stock clients, and mirrors whose pool is away.
