//! What is swept away while the broker runs: what nobody can ask for any more.
use crate::broker::Broker;
use crate::limits::window;
use crate::replay;
use crate::session::record;
use crate::store::change;
use std::time::Duration;

/// How often.
const EVERY: Duration = Duration::from_secs(60);

/// Sweeps for ever.
pub async fn run(broker: &Broker) {
    loop {
        tokio::time::sleep(EVERY).await;
        let now = broker.now();
        let tokens = replay::sweep(&broker.store, now).await.map(drop);
        let sessions = record::sweep(&broker.store, now).await.map(drop);
        let windows = window::sweep(&broker.store, now).await.map(drop);
        let changes = change::sweep(&broker.store).await;
        if let Err(error) = tokens.and(sessions).and(windows).and(changes) {
            broker
                .log
                .warning(&format!("not everything was swept away: {error}"));
        }
    }
}
