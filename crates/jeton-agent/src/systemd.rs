//! The service manager: told when the agent is ready, alive and stopping (sd_notify(3)), and asked for a socket that it
//! has opened already (sd_listen_fds(3)).
use listenfd::ListenFd;
use sd_notify::NotifyState;
use std::time::Duration;
use tokio::net::UnixListener;

/// It serves.
pub fn ready() {
    tell(&NotifyState::Ready);
}

/// It is about to end.
pub fn stopping() {
    tell(&NotifyState::Stopping);
}

/// Says that it lives, twice in each interval that the manager asks for; for ever, and never where it asks for none.
pub async fn watchdog() {
    let Some(interval) = sd_notify::watchdog_enabled().filter(|interval| *interval > Duration::ZERO) else {
        return std::future::pending().await;
    };
    loop {
        tell(&NotifyState::Watchdog);
        tokio::time::sleep(interval / 2).await;
    }
}

/// The unix socket that the manager has opened for us, if any.
#[must_use]
pub fn socket() -> Option<UnixListener> {
    let listener = ListenFd::from_env().take_unix_listener(0).ok().flatten()?;
    listener.set_nonblocking(true).ok()?;
    UnixListener::from_std(listener).ok()
}

fn tell(state: &NotifyState<'_>) {
    // Without a manager nobody listens, and that is fine.
    let _ = sd_notify::notify(std::slice::from_ref(state));
}
