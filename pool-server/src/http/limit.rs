//! Whether somebody has had too much, before any handler looks at a request; and of its body, as it
//! comes.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use futures_util::stream::unfold;
use http_body::Body as _;

use super::Shared;
use super::error::EitherFailure;
use crate::clock;
use crate::config::Measure;
use crate::patience::linger;
use crate::pool::Pool;
use crate::quota::{Account, Prefix};
use crate::rejected::Rejected;

/// Lets requests in on their token's account or, without a token, on their address.
pub(super) async fn limit(
    State(pool): State<Shared>,
    mut request: Request,
    next: Next,
) -> Response {
    let uri = request.uri().clone();
    let account = match enter(&pool, &mut request) {
        Ok(account) => account,
        Err(over) => {
            // Who waits to be told to send its body has not begun.
            if !request.headers().contains_key(header::EXPECT) {
                linger(request.into_body().into_data_stream()).await;
            }
            return EitherFailure::at(&uri, over).into_response();
        }
    };
    let Some(account) = account else { return next.run(request).await };
    let over = Arc::new(Mutex::new(None));
    let metered = request.map(|body| Body::from_stream(metered(body, pool, account, &over)));
    let response = next.run(metered).await;
    let over = over.lock().unwrap_or_else(PoisonError::into_inner).take();
    match over {
        // What was whole before is kept.
        Some(over) if !response.status().is_success() => {
            EitherFailure::at(&uri, over).into_response()
        }
        _ => response,
    }
}

/// The account on which the request's body is, if that is limited.
fn enter(pool: &Pool, request: &mut Request) -> Result<Option<Account>, Rejected> {
    // Credentials that do not hold are no account; whether they matter is the handler's to say.
    let grant = pool.tokens.authenticate(request.headers(), clock::now()).ok();
    let account = grant.as_ref().and_then(|grant| grant.account(&pool.config.token_limits));
    if let Some(grant) = grant {
        request.extensions_mut().insert(grant);
    }
    let Some(account) = account else {
        return address(pool, request).map_or(Ok(()), |at| pool.accounts.ask(at)).map(|()| None);
    };
    pool.accounts.take(&account, Measure::Requests, 1)?;
    let body = request.body();
    if account.limits.rate(Measure::Bytes).is_none() || body.is_end_stream() {
        return Ok(None);
    }
    pool.accounts.begin(&account, Measure::Bytes, body.size_hint().lower())?;
    Ok(Some(account))
}

/// Where the request comes from.
fn address(pool: &Pool, request: &Request) -> Option<Prefix> {
    let ConnectInfo(peer) = request.extensions().get::<ConnectInfo<SocketAddr>>()?;
    Some(origin(peer.ip(), request.headers(), &pool.config.fronts).into())
}

/// Each front puts the address of who asked it after what it was told in `X-Forwarded-For`.
fn origin(peer: IpAddr, headers: &HeaderMap, fronts: &[IpAddr]) -> IpAddr {
    let lines = headers.get_all("x-forwarded-for").iter();
    let words = lines.flat_map(|line| line.to_str().unwrap_or_default().split(','));
    let mut told: Vec<&str> = words.map(str::trim).collect();
    let mut origin = peer.to_canonical();
    while fronts.contains(&origin)
        && let Some(before) = told.pop().and_then(|word| word.parse::<IpAddr>().ok())
    {
        origin = before.to_canonical();
    }
    origin
}

struct Metered {
    body: BodyDataStream,
    pool: Shared,
    account: Account,
    /// So many bytes have come.
    had: u64,
    over: Arc<Mutex<Option<Rejected>>>,
}

/// A body that breaks off once there was too much of it, and says why in `over`.
fn metered(
    body: Body,
    pool: Shared,
    account: Account,
    over: &Arc<Mutex<Option<Rejected>>>,
) -> impl futures_util::Stream<Item = Result<Bytes, axum::Error>> + use<> {
    let over = Arc::clone(over);
    let metered = Metered { body: body.into_data_stream(), pool, account, had: 0, over };
    unfold(Some(metered), |metered| async {
        let mut metered = metered?;
        let piece = match metered.body.next().await? {
            Ok(piece) => piece,
            Err(error) => return Some((Err(error), Some(metered))),
        };
        let (had, len) = (metered.had, piece.len() as u64);
        match metered.pool.accounts.go_on(&metered.account, Measure::Bytes, len, had) {
            Ok(()) => {
                metered.had += len;
                Some((Ok(piece), Some(metered)))
            }
            Err(over) => {
                let told = axum::Error::new(io::Error::other(over.detail.clone()));
                *metered.over.lock().unwrap_or_else(PoisonError::into_inner) = Some(over);
                linger(metered.body).await;
                Some((Err(told), None))
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_front_says_who_asked_it() {
        let asker = |peer: &str, forwarded: &[&str]| {
            let mut headers = HeaderMap::new();
            for line in forwarded {
                headers.append("x-forwarded-for", line.parse().unwrap());
            }
            let fronts = ["192.0.2.1", "::1"].map(|front| front.parse().unwrap());
            origin(peer.parse().unwrap(), &headers, &fronts).to_string()
        };
        for (peer, forwarded, wanted) in [
            ("192.0.2.9", &["203.0.113.1"][..], "192.0.2.9"),
            ("192.0.2.1", &[], "192.0.2.1"),
            ("192.0.2.1", &["203.0.113.1"], "203.0.113.1"),
            ("::ffff:192.0.2.1", &["203.0.113.1, 203.0.113.2"], "203.0.113.2"),
            ("192.0.2.1", &["203.0.113.1", "203.0.113.2, ::1"], "203.0.113.2"),
            ("192.0.2.1", &["203.0.113.1, unknown"], "192.0.2.1"),
            ("192.0.2.1", &["unknown, 203.0.113.1"], "203.0.113.1"),
        ] {
            assert_eq!(asker(peer, forwarded), wanted, "{peer} {forwarded:?}");
        }
    }
}
