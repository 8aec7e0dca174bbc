//! `pool proxy`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::proxy::door::Loopback;
use crate::proxy::printed::Which;

#[derive(Debug, Args)]
#[command(after_long_help = AFTER_HELP)]
pub(crate) struct Proxy {
    /// The policy: what of all that is in the pools this host believes. `pool policy check` reads it.
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: PathBuf,

    /// A pool whose ledger counts; may be given several times. Default: the one of --server.
    ///
    /// Every ledger that is asked must be heard: one that keeps something back can then make nobody
    /// believe anything. NARs are taken from these pools, too.
    #[arg(long = "pool", value_name = "URL")]
    pub(crate) pools: Vec<String>,

    /// Where NARs may be had besides: a mirror, or any binary cache; may be given several times.
    ///
    /// It is asked when no pool gives a NAR, without any token, and is believed in nothing: what it
    /// sends must have the hash that the policy allows.
    #[arg(long, value_name = "URL")]
    pub(crate) from: Vec<String>,

    /// Take NARs from no mirrors but those named here.
    ///
    /// Without this, each pool is asked which mirrors it has, and those are asked for NARs, too: the
    /// nearest first, without any token. They are believed in nothing. A pool that is asked by https
    /// leads only to mirrors by https.
    #[arg(long)]
    pub(crate) no_mirrors: bool,

    /// Where to listen: an address of this machine's own loopback. Port 0 lets the kernel choose.
    ///
    /// A socket that systemd hands over is used instead.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8485")]
    pub(crate) listen: Loopback,

    /// Where the host's key lies, and what was seen of the pools.
    ///
    /// Default: $STATE_DIRECTORY, which systemd sets, else $XDG_STATE_HOME/narpool/proxy
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,

    /// Print how to set up this host, instead of serving: nix.conf, nixos, guix, guix-system, systemd,
    /// or all that fits the policy's store.
    ///
    /// The host's key is made if there is none yet, since the package manager is told of it.
    #[arg(
        long,
        value_name = "WHAT",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "all"
    )]
    pub(crate) print_config: Option<Which>,
}

impl ValueEnum for Which {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::All, Self::NixConf, Self::NixOs, Self::Guix, Self::GuixSystem, Self::Systemd]
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(match self {
            Self::All => "all",
            Self::NixConf => "nix.conf",
            Self::Systemd => "systemd",
            Self::NixOs => "nixos",
            Self::Guix => "guix",
            Self::GuixSystem => "guix-system",
        }))
    }
}

const AFTER_HELP: &str = "\
To set up a host, as root:
  pool proxy --policy /etc/narpool/policy.toml --pool https://pool.example.org \\
    --state-dir /var/lib/narpool-proxy --print-config
  prints what goes into nix.conf and which units to install. Then:
  systemctl enable --now narpool-proxy.socket

For Guix, with a policy whose store_dir is \"/gnu/store\":
  guix-daemon then takes substitutes from the proxy alone, whose key is the only one in its list. What
  is refused is printed here with the reason: Guix itself says only that there is no substitute.

What the package manager remembers:
  Nix remembers for an hour that a path was refused, and for a month that it was shown. The first is
  why the printed nix.conf sets narinfo-cache-negative-ttl to 0; where it is not set, remove
  ~/.cache/nix/binary-cache-v*.sqlite* (root's, with a daemon) after the missing signer has attested.
  No Nix can set it for one substituter. The second does no harm: the policy is asked again when the
  NAR is fetched.

What the proxy answers:
  /                   how it fares, in plain text; with each source of NARs, mirrors among them
  /metrics, /healthz  for Prometheus, and for whoever looks whether it runs
  <hash>.narinfo      what the policy allows, signed with the host's key; else 404 with the reason
  signing-key.pub     the host's key
  nar/…               the NAR, unpacked and checked, from whichever source gives the right one

With --json, the line that tells the address is {\"address\": URL}.";

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::cli::{Cli, Command};
    use crate::proxy::printed::Which;

    #[test]
    fn a_proxy_has_a_policy_and_stays_on_its_host() {
        let read = |rest: &str| {
            Cli::try_parse_from(format!("pool proxy {rest}").split_whitespace()).map(|cli| {
                let Command::Proxy(proxy) = cli.command else { unreachable!("it is a proxy") };
                proxy
            })
        };
        let proxy = read("--policy p --pool http://a --pool http://b --from http://c").unwrap();
        assert_eq!((proxy.pools.len(), proxy.from.len(), proxy.print_config), (2, 1, None));
        assert_eq!(proxy.listen.to_string(), "127.0.0.1:8485");
        assert!(read("").is_err());
        assert!(read("--policy p --listen 0.0.0.0:80").is_err());
        assert!(read("--policy p --listen [::1]:80").is_ok());
        for (option, which) in [
            ("--print-config", Which::All),
            ("--print-config=nix.conf", Which::NixConf),
            ("--print-config=systemd", Which::Systemd),
            ("--print-config=nixos", Which::NixOs),
        ] {
            let proxy = read(&format!("{option} --policy p")).unwrap();
            assert_eq!(proxy.print_config, Some(which), "{option}");
        }
        assert!(read("--policy p --print-config=debian").is_err());
    }
}
