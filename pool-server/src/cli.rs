//! The command line: subcommands, and a flag for each key of the configuration.

mod upkeep;

use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Arg, ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};
use pool_server::auth::{Scopes, Token};
use pool_server::config::{Invalid, KEYS, Key, Limit, Settings, parse_size, parse_span};

pub(crate) use upkeep::{
    BackupArguments, ContinueArguments, ReindexArguments, RestoreArguments, UpkeepCommand,
};

/// What to do.
pub(crate) enum Command {
    Serve,
    CheckConfig,
    ConfigKeys,
    Token(TokenCommand),
    Upkeep(UpkeepCommand),
    Fsck(FsckArguments),
}

/// Keep NARs, and the attestations of whoever signs for them, and serve them to package managers.
///
/// Without arguments, everything is kept in ./narpool-data and served on 127.0.0.1:8484.
#[derive(Debug, Parser)]
#[command(name = "pool-server", version, max_term_width = 100)]
struct Arguments {
    /// Read settings from this TOML file; variables and flags win over it [NARPOOL_CONFIG].
    #[arg(long, global = true, value_name = "FILE", env = "NARPOOL_CONFIG", hide_env = true)]
    config: Option<PathBuf>,
    /// Print the settings in effect and where each is from, and exit: 0 if they can be used.
    #[arg(long)]
    check_config: bool,
    #[command(subcommand)]
    command: Option<Subcommands>,
}

#[derive(Debug, Subcommand)]
enum Subcommands {
    /// Manage tokens; a running pool takes note at once.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Print every key of the configuration as a table in Markdown.
    ConfigKeys,
    #[command(flatten)]
    Upkeep(UpkeepCommand),
    /// Look through all that the pool keeps, served or stopped, and tell what is damaged; exit 1 if
    /// anything is, and 2 if that cannot be told.
    Fsck(FsckArguments),
}

#[derive(Debug, clap::Args)]
pub(crate) struct FsckArguments {
    /// Read and hash every NAR and every log, too. One that was stopped is gone on with.
    #[arg(long)]
    pub(crate) deep: bool,
    /// Withdraw damaged NARs, so that they are brought again; make anew from the ledger what
    /// contradicts it; remove files that nothing refers to.
    #[arg(long)]
    pub(crate) repair: bool,
    /// How much to read in a second at most, as in 50MiB.
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) rate: Option<u64>,
    /// Print a JSON object a line: each finding, and the summary at last.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token and print it, this once.
    Create {
        /// What it is for, so that one knows later whether to revoke it.
        #[arg(long)]
        label: String,
        /// What it allows: some of read, upload, attest, pin, admin, with commas.
        #[arg(long, value_name = "SCOPE,…")]
        scope: Scopes,
        /// After this time it allows nothing any more, as in 90d. Without it, it never ends.
        #[arg(long, value_name = "TIME", value_parser = parse_span)]
        expires: Option<Duration>,
        /// How much of it, as in nars=1000/1h or bytes=50GiB/1d; requests and attestations can be
        /// limited, too. `nars=none` lifts the default. May be repeated.
        #[arg(long, value_name = "WHAT=N/TIME")]
        limit: Vec<Limit>,
    },
    /// Show every token ever made, but not its text, which is kept nowhere.
    List,
    /// Take all power from a token, for ever.
    Revoke {
        /// As `token list` shows it.
        id: String,
    },
}

/// Reads arguments, variables and the file. Help and mistakes of usage end the program here.
pub(crate) fn parse() -> Result<(Settings, Command), Invalid> {
    let matches = definition().get_matches();
    let arguments = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let variables = env::vars_os()
        .filter_map(|(name, text)| Some((name.into_string().ok()?, text.into_string().ok()?)));
    let settings = settings(arguments.config.as_deref(), variables, &matches)?;
    let command = match arguments.command {
        Some(Subcommands::Token(command)) => Command::Token(command),
        Some(Subcommands::Upkeep(command)) => Command::Upkeep(command),
        Some(Subcommands::ConfigKeys) => Command::ConfigKeys,
        Some(Subcommands::Fsck(arguments)) => Command::Fsck(arguments),
        None if arguments.check_config => Command::CheckConfig,
        None => Command::Serve,
    };
    Ok((settings, command))
}

fn settings(
    file: Option<&Path>,
    variables: impl IntoIterator<Item = (String, String)>,
    matches: &ArgMatches,
) -> Result<Settings, Invalid> {
    let mut settings = Settings::default();
    if let Some(file) = file {
        settings.add_file(file)?;
    }
    settings.add_variables(variables)?;
    for key in KEYS.iter() {
        if let Some(text) = matches.get_one::<String>(&key.name) {
            settings.add_flag(&key.name, text)?;
        }
    }
    Ok(settings)
}

fn definition() -> clap::Command {
    Arguments::command().args(KEYS.iter().map(flag))
}

fn flag(key: &'static Key) -> Arg {
    let help = format!("{} [default: {}] [{}]", key.help, key.default_text(), key.variable());
    let arg = Arg::new(key.name.as_str())
        .long(key.name.as_str())
        .value_name(key.holder)
        .help(help)
        .help_heading("Settings, each also a key of the file and a variable")
        // Commands that work on a pool's directory need to find it.
        .global(key.name == "data");
    if key.is_flag() { arg.num_args(0..=1).default_missing_value("true") } else { arg }
}

/// Tokens for people to look at.
pub(crate) fn token_table(tokens: &[Token], now: u64) -> String {
    let head =
        ["ID", "SCOPES", "CREATED", "EXPIRES", "STATE", "LIMITS", "LABEL"].map(str::to_owned);
    let rows: Vec<[String; 7]> =
        std::iter::once(head).chain(tokens.iter().map(|token| token_row(token, now))).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let mut out = String::new();
    for row in &rows {
        for (column, cell) in row[..6].iter().enumerate() {
            out += &format!("{cell:<0$}  ", width(column));
        }
        out += &row[6];
        out.push('\n');
    }
    out
}

fn token_row(token: &Token, now: u64) -> [String; 7] {
    let state = match (token.revoked_at, token.expires_at) {
        (Some(_), _) => "revoked",
        (None, Some(at)) if at <= now => "expired",
        (None, _) => "valid",
    };
    [
        token.id.clone(),
        token.scopes.to_string(),
        date(token.created_at),
        token.expires_at.map_or_else(|| "never".to_owned(), date),
        state.to_owned(),
        if token.limits.is_empty() { "-".to_owned() } else { token.limits.to_string() },
        token.label.clone(),
    ]
}

/// POSIX seconds as a day in UTC. Source: Howard Hinnant, "chrono-Compatible Low-Level Date
/// Algorithms", `civil_from_days`.
fn date(seconds: u64) -> String {
    let days = seconds / 86_400 + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Settings, String> {
        let arguments = std::iter::once("pool-server").chain(arguments.iter().copied());
        let matches = definition().try_get_matches_from(arguments).map_err(|it| it.to_string())?;
        settings(None, Vec::new(), &matches).map_err(|it| it.to_string())
    }

    #[test]
    fn the_definition_is_sound() {
        definition().debug_assert();
    }

    #[test]
    fn every_key_is_a_flag_and_in_the_help() {
        let help = definition().render_long_help().to_string();
        for key in KEYS.iter() {
            assert!(help.contains(&format!("--{}", key.name)), "{}", key.name);
            assert!(help.contains(&key.variable()), "{}", key.variable());
        }
        let config = parsed(&["--listen", "[::1]:0", "--max-uploads=3"]).unwrap().config().unwrap();
        assert_eq!(
            (config.listen.to_string(), config.max_uploads.get()),
            ("[::1]:0".to_owned(), 3)
        );
    }

    #[test]
    fn a_flag_may_stand_alone() {
        for (arguments, private) in [
            (&["--private"][..], true),
            (&["--private", "--listen", "[::1]:0"], true),
            (&["--private", "true"], true),
            (&["--private=false"], false),
            (&[], false),
        ] {
            let config = parsed(arguments).unwrap().config().unwrap();
            assert_eq!(config.private, private, "{arguments:?}");
        }
    }

    #[test]
    fn commands_are_told_the_directory_before_or_after() {
        for arguments in [
            ["--data", "elsewhere", "token", "list"],
            ["token", "--data", "elsewhere", "list"],
            ["token", "list", "--data", "elsewhere"],
        ] {
            let config = parsed(&arguments).unwrap().config().unwrap();
            assert_eq!(config.data, Path::new("elsewhere"));
        }
    }

    #[test]
    fn mistakes_are_told() {
        let told = parsed(&["--max-nar-size", "64G"]).unwrap_err();
        assert!(told.starts_with("--max-nar-size: \"64G\" is no value"), "{told}");
        assert!(parsed(&["--lisen", "x"]).unwrap_err().contains("--listen"));
        let create = ["token", "create", "--label", "x", "--scope"];
        assert!(parsed(&[&create[..], &["everything"]].concat()).unwrap_err().contains("no scope"));
        assert!(parsed(&[&create[..], &["read", "--expires", "1y"]].concat()).is_err());
        let told = parsed(&[&create[..], &["read", "--limit", "nars=5"]].concat()).unwrap_err();
        assert!(told.contains("write an amount and a time"), "{told}");
    }

    #[test]
    fn days_are_told_as_the_calendar_has_them() {
        for (seconds, day) in [
            (0, "1970-01-01"),
            (951_782_399, "2000-02-28"),
            (951_782_400, "2000-02-29"),
            (951_868_800, "2000-03-01"),
            (1_798_761_599, "2026-12-31"),
            (4_107_542_400, "2100-03-01"),
        ] {
            assert_eq!(date(seconds), day);
        }
    }
}
