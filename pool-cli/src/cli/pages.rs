//! Completion scripts and man pages, made from the command line's own definition.

use std::io;
use std::path::Path;

use clap::CommandFactory;

use super::Cli;

pub(crate) use clap_complete::Shell;

/// The script for `shell`.
pub(crate) fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "pool", &mut script);
    script
}

/// `pool.1`.
pub(crate) fn man_page() -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page)?;
    Ok(page)
}

/// Writes one page a command into `dir`.
pub(crate) fn write_man_pages(dir: &Path) -> io::Result<()> {
    clap_mangen::generate_to(Cli::command().disable_help_subcommand(true), dir)
}
