//! One person: their devices, what they hide, and how that looks to others.

use std::time::{Duration, Instant};

use chrono::{DurationRound, TimeDelta};

use crate::domain::ids::{SessionId, UserId};
use crate::domain::time::Timestamp;
use crate::protocol::v1::command::DeviceState;
use crate::protocol::v1::push::{PresenceState, UserPresence};

/// What the store knows of a person's presence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Whose.
    pub user: UserId,
    /// They are shown as offline, on request.
    pub invisible: bool,
    /// When they were last active, as last written.
    pub last_active: Option<Timestamp>,
}

/// How somebody looks to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) state: PresenceState,
    /// To the minute; `None` for those who hide.
    pub(super) last_active: Option<Timestamp>,
}

impl Shown {
    /// What is shown of those who hide, and of those nothing is known of.
    pub(super) const HIDDEN: Self = Self { state: PresenceState::Offline, last_active: None };

    /// Whether watchers should hear of the change to `self`. The passing of minutes alone is no change: it would make a push per minute
    /// and person out of nothing.
    pub(super) fn differs(self, told: Self) -> bool {
        self.state != told.state || self.last_active.is_some() != told.last_active.is_some()
    }

    pub(super) fn of(self, user: UserId) -> UserPresence {
        UserPresence { user, state: self.state, last_active: self.last_active }
    }
}

#[derive(Debug)]
struct Device {
    session: SessionId,
    declared: DeviceState,
    active_at: Instant,
}

/// A person who is connected, was a moment ago, or is watched.
#[derive(Debug)]
pub(super) struct Person {
    devices: Vec<Device>,
    /// Until when a device that has left still counts as in use, or as connected: a reconnect within that time is not seen.
    online_until: Option<Instant>,
    away_until: Option<Instant>,
    /// `None` until the store has said so: such a person is hidden, and nothing is told of them.
    invisible: Option<bool>,
    last_active: Option<Timestamp>,
    /// What watchers believe.
    pub(super) told: Shown,
}

impl Person {
    pub(super) const fn new() -> Self {
        Self {
            devices: Vec::new(),
            online_until: None,
            away_until: None,
            invisible: None,
            last_active: None,
            told: Shown::HIDDEN,
        }
    }

    pub(super) fn learn(&mut self, profile: &Profile) {
        self.invisible = Some(profile.invisible);
        // What was seen here is newer than what was written, or the same.
        self.last_active = self.last_active.max(profile.last_active);
    }

    pub(super) const fn set_invisible(&mut self, invisible: bool) {
        self.invisible = Some(invisible);
    }

    /// The store has said what this person hides.
    pub(super) const fn is_known(&self) -> bool {
        self.invisible.is_some()
    }

    pub(super) const fn last_active(&self) -> Option<Timestamp> {
        self.last_active
    }

    pub(super) fn connect(&mut self, session: SessionId, declared: DeviceState, active_at: Instant) {
        self.devices.retain(|device| device.session != session);
        self.devices.push(Device { session, declared, active_at });
    }

    /// Notes that somebody is at the device. When they were active before is not needed any more.
    pub(super) fn touch(&mut self, session: SessionId, declared: Option<DeviceState>, instant: Instant, time: Timestamp) {
        if let Some(device) = self.devices.iter_mut().find(|device| device.session == session) {
            device.declared = declared.unwrap_or(device.declared);
            if device.declared == DeviceState::Online {
                device.active_at = instant;
                self.last_active = self.last_active.max(Some(time));
            }
        }
    }

    /// Takes a device away; what it showed lingers until `now + offline_after`.
    pub(super) fn disconnect(&mut self, session: SessionId, now: Instant, away_after: Duration, offline_after: Duration) {
        let Some(place) = self.devices.iter().position(|device| device.session == session) else {
            return;
        };
        let device = self.devices.swap_remove(place);
        let lingers = match device.state(now, away_after) {
            PresenceState::Online => &mut self.online_until,
            PresenceState::Away | PresenceState::Offline => &mut self.away_until,
        };
        *lingers = (*lingers).max(now.checked_add(offline_after));
    }

    /// When a device in use will count as away if nobody touches it.
    pub(super) fn idle_at(&self, session: SessionId, away_after: Duration) -> Option<Instant> {
        let device = self.devices.iter().find(|device| device.session == session)?;
        (device.declared == DeviceState::Online).then(|| device.active_at.checked_add(away_after)).flatten()
    }

    pub(super) const fn has_device(&self) -> bool {
        !self.devices.is_empty()
    }

    /// No device, and none that lingers.
    pub(super) fn is_gone(&self, now: Instant) -> bool {
        self.state(now, Duration::ZERO) == PresenceState::Offline
    }

    pub(super) fn shown(&self, now: Instant, away_after: Duration) -> Shown {
        if self.invisible != Some(false) {
            return Shown::HIDDEN;
        }
        Shown { state: self.state(now, away_after), last_active: self.last_active.and_then(to_the_minute) }
    }

    /// The best of all devices.
    fn state(&self, now: Instant, away_after: Duration) -> PresenceState {
        let lingers = |until: Option<Instant>| until.is_some_and(|until| now < until);
        let connected = self.devices.iter().map(|device| device.state(now, away_after)).max();
        let online = lingers(self.online_until).then_some(PresenceState::Online);
        let away = lingers(self.away_until).then_some(PresenceState::Away);
        connected.max(online).max(away).unwrap_or(PresenceState::Offline)
    }
}

impl Device {
    fn state(&self, now: Instant, away_after: Duration) -> PresenceState {
        let idle = now.saturating_duration_since(self.active_at) >= away_after;
        match self.declared {
            DeviceState::Online if !idle => PresenceState::Online,
            DeviceState::Online | DeviceState::Away => PresenceState::Away,
        }
    }
}

fn to_the_minute(time: Timestamp) -> Option<Timestamp> {
    time.duration_trunc(TimeDelta::minutes(1)).ok()
}
