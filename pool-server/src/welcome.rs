//! What a new pool tells whoever started it first.

use std::net::SocketAddr;
use std::path::absolute;

use pool_server::auth::ADMIN_TOKEN_FILE;
use pool_server::config::Config;

/// The address by which clients on this host find the pool.
pub(crate) fn url(config: &Config, address: SocketAddr) -> String {
    let scheme = if config.tls().is_some() { "https" } else { "http" };
    format!("{scheme}://{address}")
}

/// How to push, and what goes into nix.conf.
pub(crate) fn text(config: &Config, url: &str) -> String {
    let data = absolute(&config.data).unwrap_or_else(|_| config.data.clone());
    let token_file = data.join(ADMIN_TOKEN_FILE);
    let (token_file, data) = (token_file.display(), data.display());
    let host = url.rsplit_once("//").map_or(url, |(_, rest)| rest);
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host).trim_matches(['[', ']']);
    format!(
        "\
A new pool is in {data}.
Its first token allows everything; it is in {token_file}.

A builder (here called builder-1) makes a key, is enrolled, and pushes:
    pool login {url} --token-file {token_file}
    pool key generate builder-1 --out builder-1.secret
    pool signer enrol builder-1.secret
    pool push --key builder-1.secret /nix/store/...
or pushes with stock Nix, once enrolled, with the token in the file that nix.conf's `netrc-file`
names (`machine {host} login pool password npt_...`):
    nix copy --to '{url}/as/builder-1?compression=zstd&secret-key=builder-1.secret' /nix/store/...

To substitute from this pool, nix.conf needs the keys of the builders that are to be trusted:
    extra-substituters = {url}
    extra-trusted-public-keys = <what `pool key public builder-1.secret` prints>

"
    )
}
