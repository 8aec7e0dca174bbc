//! The `pool` command, with a home of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program::{Outcome, built};
use crate::server::Server;

/// Somebody who runs `pool` against one server.
pub struct Cli {
    home: PathBuf,
    server: String,
    token: String,
}

impl Cli {
    /// `home` keeps what the command remembers; `token` may be empty.
    #[must_use]
    pub fn new(home: &Path, server: &Server, token: &str) -> Self {
        Self { home: home.to_owned(), server: server.url(""), token: token.to_owned() }
    }

    /// The command with these arguments, to be run as the test likes.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(built("pool"));
        command
            .args(arguments)
            .env_clear()
            .env("HOME", &self.home)
            .env("NARPOOL_SERVER", &self.server);
        if !self.token.is_empty() {
            command.env("NARPOOL_TOKEN", &self.token);
        }
        command
    }

    /// Runs the command to its end.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Outcome {
        Outcome::of(&mut self.command(arguments))
    }
}
