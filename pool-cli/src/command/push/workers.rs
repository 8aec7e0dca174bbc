//! One thread a core for all that costs time on the processor, each with one compressor.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, anyhow};
use tokio::sync::oneshot;

use crate::compress::{Compressor, Method};

/// The threads; they end with this.
#[derive(Clone)]
pub(super) struct Workers {
    tasks: Sender<Task>,
}

/// What a thread keeps from one task to the next.
pub(super) struct Worker {
    /// Its compressor.
    pub(super) compressor: Compressor,
    /// Room for a whole NAR.
    pub(super) nar: Vec<u8>,
}

type Task = Box<dyn FnOnce(&mut Worker) + Send>;

/// The result of a task, some time later.
pub(super) struct Pending<T>(oneshot::Receiver<Result<T>>);

impl Workers {
    /// Starts `count` threads.
    pub(super) fn start(count: usize, method: Method) -> Result<Self> {
        let (tasks, queue) = mpsc::channel();
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..count {
            let worker = Worker { compressor: Compressor::new(method)?, nar: Vec::new() };
            let queue = Arc::clone(&queue);
            thread::Builder::new()
                .name("pack".to_owned())
                .spawn(move || work(worker, &queue))
                .context("starting a thread")?;
        }
        Ok(Self { tasks })
    }

    /// Has `task` done when a thread is free; tasks are begun in order.
    pub(super) fn submit<T: Send + 'static>(
        &self,
        task: impl FnOnce(&mut Worker) -> Result<T> + Send + 'static,
    ) -> Pending<T> {
        let (done, pending) = oneshot::channel();
        let task = move |worker: &mut Worker| {
            // Nobody may be left to wait for it.
            let _ = done.send(task(worker));
        };
        // Should the threads be gone, waiting for the result says so.
        let _ = self.tasks.send(Box::new(task));
        Pending(pending)
    }
}

impl<T> Pending<T> {
    /// Waits for the task to be done.
    pub(super) async fn done(self) -> Result<T> {
        self.0.await.map_err(|_| anyhow!("a thread that packs NARs has died"))?
    }
}

fn work(mut worker: Worker, queue: &Mutex<Receiver<Task>>) {
    loop {
        let task = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match task {
            Ok(task) => task(&mut worker),
            Err(_) => return,
        }
    }
}
