//! One stream of events for all pages: what jobs are at, and what has changed. A page that connects hears of all jobs first, so it
//! may connect late, twice, or again after a fault.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures_util::stream::{self, Stream};
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;

use crate::Workspace;

/// A word now and then, so that both sides notice when the other has gone.
const PULSE: Duration = Duration::from_secs(10);
/// When a page that was cut off asks again; browsers take some seconds by themselves, and a studio that was started again is there
/// sooner.
const AGAIN: Duration = Duration::from_millis(500);

/// Sends events until the page goes.
pub(crate) async fn events(
    State(workspace): State<Workspace>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let receiver = workspace.jobs().listen();
    let events =
        stream::unfold((workspace, receiver, true), |(workspace, mut receiver, is_first)| async move {
            let data: Arc<str> = match is_first {
                true => snapshot(&workspace),
                false => match receiver.recv().await {
                    Ok(event) => event,
                    // A page that was too slow starts anew.
                    Err(RecvError::Lagged(_)) => snapshot(&workspace),
                    Err(RecvError::Closed) => return None,
                },
            };
            Some((Ok(Event::default().retry(AGAIN).data(&*data)), (workspace, receiver, false)))
        });
    Sse::new(events).keep_alive(KeepAlive::new().interval(PULSE))
}

fn snapshot(workspace: &Workspace) -> Arc<str> {
    whole(workspace).to_string().into()
}

/// All jobs, and how many changes there were.
fn whole(workspace: &Workspace) -> Value {
    json!({
        "event": "jobs", "instance": workspace.instance(), "changes": workspace.changes(),
        "jobs": workspace.jobs().all(),
    })
}

/// The same, for a page that another one tells of the stream.
pub(crate) async fn now(State(workspace): State<Workspace>) -> Json<Value> {
    Json(whole(&workspace))
}
