//! Work that nobody waits for, on threads that let others go first.

use std::io;
use std::thread;

use rustix::process::setpriority_process;
use tokio::runtime::Handle;

use crate::rejected::Error;

/// A nice value: where every processor is busy, such a thread has a tenth of what another one has.
const NICENESS: i32 = 10;

/// Does it on a thread of its own, which may block. As with all that blocks, the runtime does not end
/// before it does.
///
/// # Errors
/// A thread that cannot be started, or that panicked.
pub(crate) async fn run<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    let (name, runtime) = (name.to_owned(), Handle::current());
    let waiting = tokio::task::spawn_blocking(move || {
        let thread = thread::Builder::new().name(name).spawn(move || {
            let _runtime = runtime.enter();
            // A process that is nicer already may not be less so, and need not.
            let _ = setpriority_process(None, NICENESS);
            work()
        });
        thread?.join().map_err(|_| io::Error::other("it panicked"))
    });
    let done = waiting.await.map_err(io::Error::other).flatten();
    done.map_err(Error::io("work in the background"))
}

#[cfg(test)]
mod tests {
    use rustix::process::getpriority_process;

    use super::*;

    #[tokio::test]
    async fn only_its_own_thread_stands_back() {
        let before = getpriority_process(None).unwrap();
        let niceness = run("test", || getpriority_process(None).unwrap()).await.unwrap();
        assert_eq!(niceness, before.max(NICENESS));
        assert_eq!(getpriority_process(None).unwrap(), before);
    }

    #[tokio::test]
    async fn a_panic_is_an_error() {
        let panicked = run("test", || panic!("on purpose")).await;
        assert!(matches!(panicked, Err(Error::Io { .. })));
    }
}
