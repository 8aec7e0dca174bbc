//! The pool's logs, as others see them.

mod audit;
mod followed;
mod foreign;
mod keys;
mod served;
mod witness;
mod witnessed;
