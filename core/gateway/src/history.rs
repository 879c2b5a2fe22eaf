//! Questions about the past: from a request's words to the history room's, and its answer back. Both sides of the gateway
//! ask here, on a thread that may block.

use crate::origin::filter_of;
use headwater_history::{Aggregate, Budget, Cursor, Granularity, HistoryError, Order, Query, Span, Withdrawal};
use headwater_protocol::{self as protocol, ErrorCode, HistoryData, HistoryRequest, Options, RequestError};
use headwater_router::{EngineError, Router};

/// Answers with a page. `None`: it was withdrawn, and nobody waits for it. Blocks on a disk.
pub(crate) fn answer(
    asked: &HistoryRequest,
    router: &Router,
    withdrawal: &Withdrawal,
) -> Option<Result<HistoryData, RequestError>> {
    match found(asked, router, withdrawal) {
        Ok(data) => Some(Ok(data)),
        Err(HistoryError::Withdrawn) => None,
        Err(error) => Some(Err(refusal(&error))),
    }
}

fn found(asked: &HistoryRequest, router: &Router, withdrawal: &Withdrawal) -> Result<HistoryData, HistoryError> {
    let filter = filter_of(&asked.filter, &Options::default()).map_err(|error| HistoryError::Wrong(error.message))?;
    let query = Query {
        channels: asked.channel.clone(),
        span: Span { since: asked.since, until: asked.until },
        filter,
        order: match asked.order {
            protocol::Order::Ascending => Order::Ascending,
            protocol::Order::Descending => Order::Descending,
        },
        limit: asked.limit,
        cursor: asked.cursor.as_deref().map(Cursor::parse).transpose()?,
    };
    let Span { since, until } = query.span();
    let data = HistoryData { since, until, ..HistoryData::default() };
    let Some(spec) = &asked.aggregate else {
        let page = query.page(router, Budget::PAGE, withdrawal)?;
        let cursor = page.cursor.map(|cursor| cursor.to_string());
        return Ok(HistoryData {
            count: page.events.len() as u64,
            events: Some(page.events),
            gaps: page.gaps,
            cursor,
            ..data
        });
    };
    let granularity = match spec.granularity {
        protocol::Granularity::Second => Granularity::Second,
        protocol::Granularity::Minute => Granularity::Minute,
        protocol::Granularity::Hour => Granularity::Hour,
        protocol::Granularity::Day => Granularity::Day,
    };
    let points = query.points(&Aggregate::new(granularity, &spec.metrics)?, router, Budget::POINTS, withdrawal)?;
    Ok(HistoryData {
        granularity: Some(granularity.as_str()),
        count: points.count,
        points: Some(points.json),
        gaps: points.gaps,
        cursor: points.cursor.map(|cursor| cursor.to_string()),
        ..data
    })
}

/// What the asker is told.
pub(crate) fn refusal(error: &HistoryError) -> RequestError {
    let code = match error {
        HistoryError::Wrong(_) | HistoryError::TooLarge(_) | HistoryError::Engine(EngineError::Refused(_)) => {
            ErrorCode::Validation
        }
        HistoryError::Engine(EngineError::Busy(_) | EngineError::Down(_)) | HistoryError::Withdrawn => {
            ErrorCode::Unavailable
        }
    };
    RequestError::new(code, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_never_be_answered_is_told_apart_from_what_may_be_later() {
        for (error, code) in [
            (HistoryError::Wrong("x".into()), ErrorCode::Validation),
            (HistoryError::TooLarge("x".into()), ErrorCode::Validation),
            (HistoryError::Engine(EngineError::Busy("x".into())), ErrorCode::Unavailable),
            (HistoryError::Engine(EngineError::Down("x".into())), ErrorCode::Unavailable),
        ] {
            assert_eq!(refusal(&error).code, code, "{error}");
        }
    }
}
