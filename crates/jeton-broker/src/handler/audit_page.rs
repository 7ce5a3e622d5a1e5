//! `GET /audit`.
use crate::answer::Answer;
use crate::audit;
use crate::call::{Access, Call};
use crate::listing::Wanted;
use crate::problem::Problem;

pub(crate) async fn list(call: &Call, _: &Access) -> Result<Answer, Problem> {
    let wanted = Wanted::read(call, &["seq"])?;
    let (total, items) = audit::page(
        &call.broker.store,
        wanted.search.as_deref(),
        wanted.size,
        wanted.offset(),
    )
    .await?;
    Ok(wanted.answer("AuditList", total, &items))
}
