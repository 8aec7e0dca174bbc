//! A body, as the thread reads it that checks it.

use std::io::{self, Read};

use bytes::{Buf, Bytes};
use tokio::sync::mpsc;

use crate::ingest::BrokeOff;

/// A part of a body, or that no more comes.
pub(super) type Piece = Result<Bytes, BrokeOff>;

/// Parts that have come, and those that are yet to come.
pub(super) struct Inbox {
    inbox: mpsc::Receiver<Piece>,
    current: Bytes,
}

impl Inbox {
    pub(super) fn new(inbox: mpsc::Receiver<Piece>) -> Self {
        Self { inbox, current: Bytes::new() }
    }
}

impl Read for Inbox {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.inbox.blocking_recv() {
                Some(Ok(piece)) => self.current = piece,
                Some(Err(broke_off)) => return Err(io::Error::other(broke_off)),
                None => return Ok(0),
            }
        }
        let len = buffer.len().min(self.current.len());
        self.current.copy_to_slice(&mut buffer[..len]);
        Ok(len)
    }
}
