//! Notices to a service manager that has set `NOTIFY_SOCKET`, as systemd does for `Type=notify`. Without
//! one they do nothing.

use sd_notify::NotifyState;

/// Tells that requests are now answered.
pub fn notify_ready() {
    notify(&[NotifyState::Ready]);
}

/// Tells that a stop has begun.
pub fn notify_stopping() {
    notify(&[NotifyState::Stopping]);
}

fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(error = &error as &dyn std::error::Error, "cannot notify the service manager");
    }
}
