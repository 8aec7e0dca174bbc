//! Somebody who answers on a port of their own, on a thread of their own: tests wait for programs that
//! ask them.

use std::net::{SocketAddr, TcpListener};
use std::thread::{self, JoinHandle};

use axum::Router;
use tokio::sync::oneshot;

/// Answers until this goes.
pub(super) struct Serving {
    address: SocketAddr,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Serving {
    pub(super) fn start(router: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("the kernel has a port");
        let address = listener.local_addr().expect("it is bound");
        let (end, ended) = oneshot::channel();
        let thread = thread::spawn(move || serve(listener, router, ended));
        Self { address, end: Some(end), thread: Some(thread) }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.end.take().map(|end| end.send(()));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn serve(listener: TcpListener, router: Router, ended: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        listener.set_nonblocking(true).expect("it can be asked without waiting");
        let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
        // Not gracefully: a lie may be never to end.
        tokio::select! {
            _ = axum::serve(listener, router).into_future() => {}
            _ = ended => {}
        }
    });
}
