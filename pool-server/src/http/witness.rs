//! `/witness/add-checkpoint`, exactly as c2sp.org/tlog-witness has it.

use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use schema::tlog::witness::{MAX_ADD_CHECKPOINT_LEN, TREE_SIZE_MEDIA_TYPE, print_tree_size};

use super::Shared;
use super::body::read_body;
use super::error::CacheFailure;
use crate::ledger::witness::Unwitnessed;

/// Cosigns the next checkpoint of a log that this pool witnesses.
pub(super) async fn add_checkpoint(
    State(pool): State<Shared>,
    body: Body,
) -> Result<Response, CacheFailure> {
    let body = read_body(body, MAX_ADD_CHECKPOINT_LEN, &pool.config).await?;
    Ok(match pool.add_checkpoint(body).await {
        Ok(lines) => ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], lines).into_response(),
        Err(Unwitnessed::Malformed(why)) => (StatusCode::BAD_REQUEST, line(why)).into_response(),
        Err(Unwitnessed::Unsigned(why)) => (StatusCode::FORBIDDEN, line(why)).into_response(),
        Err(Unwitnessed::UnknownLog(why)) => (StatusCode::NOT_FOUND, line(why)).into_response(),
        Err(Unwitnessed::Inconsistent(why)) => {
            (StatusCode::UNPROCESSABLE_ENTITY, line(why)).into_response()
        }
        Err(Unwitnessed::Conflict(size)) => {
            let content_type = [(header::CONTENT_TYPE, TREE_SIZE_MEDIA_TYPE)];
            (StatusCode::CONFLICT, content_type, print_tree_size(size)).into_response()
        }
        Err(Unwitnessed::Rejected(rejected)) => return Err(rejected.into()),
        Err(Unwitnessed::Failed(error)) => return Err(error.into()),
    })
}

fn line(mut why: String) -> String {
    why.push('\n');
    why
}
