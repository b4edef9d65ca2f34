//! What the control plane answers: a pure function of the request and of what there is to tell.

use std::sync::Arc;

use crate::http::{Method, RequestHead, Response, Status};
use crate::worker::metrics::{self, Metrics};

/// What Prometheus calls its text format.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Whether the server takes new connections.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Health {
    /// It does.
    Ready,
    /// It is ending those that it has.
    Draining,
}

/// The answer to the request of `head`.
///
/// What the workers count is followed by what `more` appends.
pub(super) fn answer(
    head: &RequestHead,
    health: Health,
    metrics: &[Arc<Metrics>],
    more: impl Fn(&mut String),
) -> Response {
    let found = match (head.path(), health) {
        ("/metrics", _) => exposition(metrics, more),
        ("/health/live", _) => Response::text(Status::OK, "live\n"),
        ("/health/ready", Health::Ready) => Response::text(Status::OK, "ready\n"),
        ("/health/ready", Health::Draining) => Response::text(Status::UNAVAILABLE, "draining\n"),
        _ => {
            let what = "here are /metrics, /health/live and /health/ready\n";
            return Response::text(Status::NOT_FOUND, what);
        }
    };
    match head.method() {
        Method::Get | Method::Head => found.with_header("Cache-Control", "no-store"),
        _ => Response::text(Status::METHOD_NOT_ALLOWED, "only GET and HEAD\n")
            .with_header("Allow", "GET, HEAD"),
    }
}

fn exposition(metrics: &[Arc<Metrics>], more: impl Fn(&mut String)) -> Response {
    let mut page = metrics::encode_prometheus(metrics);
    more(&mut page);
    Response {
        status: Status::OK,
        headers: vec![("Content-Type", EXPOSITION.into())],
        body: page.into_bytes().into(),
    }
}
