//! People and what they say of themselves, as it travels.

use super::item::User;
use super::own::{expected, present};
use crate::domain::emoji::Emoji;
use crate::domain::fault::Refusal;
use crate::domain::ids::UserId;
use crate::domain::order::Revision;
use crate::domain::profile::{self, About, ProfileChange};
use crate::domain::text::{DisplayName, StatusText};
use crate::domain::time::Timestamp;
use crate::domain::time_zone::TimeZone;
use crate::domain::user::FoundUpTo;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What somebody is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Status {
    /// In words, at most 100 characters; may be empty where there is an emoji.
    #[serde(default)]
    pub text: String,
    /// As one emoji.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emoji: Option<String>,
    /// Until when; absent: until it is changed. At most 366 days ahead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
}

impl Status {
    fn checked(self, now: Timestamp) -> Result<profile::Status, Refusal> {
        let emoji = self.emoji.as_deref().map(Emoji::parse).transpose();
        let emoji = expected(emoji, "status.emoji is one emoji, such as 🌴.")?;
        let status = profile::Status::from_now(StatusText::parse(&self.text)?, emoji, self.until, now);
        expected(status, "status.until is to come, and at most 366 days ahead.")
    }
}

/// What somebody says of themselves; what is absent they do not say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Said {
    /// About themselves, on any number of lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// What they are doing. One whose `until` has passed means nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// Where they are, as a name of IANA's list of time zones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
}

impl From<&profile::Profile> for Said {
    fn from(profile: &profile::Profile) -> Self {
        let status = |status: &profile::Status| Status {
            text: status.text.as_str().to_owned(),
            emoji: status.emoji.map(|emoji| emoji.as_str().to_owned()),
            until: status.until,
        };
        Self {
            about: profile.about.said().map(str::to_owned),
            status: profile.status.as_ref().map(status),
            time_zone: profile.time_zone.map(|zone| zone.as_str().to_owned()),
        }
    }
}

/// A person as who asks may see them. What they say of themselves is only for those who share a room or conversation with them and whom
/// they do not block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Person {
    /// What everybody may know.
    #[serde(flatten)]
    pub user: User,
    /// What they say of themselves.
    #[serde(flatten)]
    pub said: Said,
}

impl From<&profile::Person> for Person {
    fn from(person: &profile::Person) -> Self {
        Self { user: (&person.user).into(), said: (&person.profile).into() }
    }
}

/// My profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Profile {
    /// The revision of my stream at which this last changed.
    #[schema(value_type = u64)]
    pub revision: Revision,
    /// How I am shown to others.
    pub user: User,
    /// I am shown as offline to everybody.
    pub invisible: bool,
    /// I may administer the server.
    pub admin: bool,
    /// What I say of myself.
    #[serde(flatten)]
    pub said: Said,
}

impl From<&profile::OwnProfile> for Profile {
    fn from(own: &profile::OwnProfile) -> Self {
        let profile::OwnProfile { user, profile, revision } = own;
        Self { revision: *revision, user: user.into(), invisible: user.invisible, admin: user.admin, said: profile.into() }
    }
}

/// New values; what is absent stays. The body in REST, and `change_profile` on a socket.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeProfile {
    /// How to be shown.
    #[serde(default)]
    pub display_name: Option<String>,
    /// Be shown as offline to everybody.
    #[serde(default)]
    pub invisible: Option<bool>,
    /// About me, at most 500 characters on any number of lines; null: nothing.
    #[schema(value_type = Option<String>)]
    #[serde(default, deserialize_with = "present")]
    pub about: Option<Option<String>>,
    /// What I am doing: all of it; null: nothing.
    #[schema(value_type = Option<Status>)]
    #[serde(default, deserialize_with = "present")]
    pub status: Option<Option<Status>>,
    /// A name of IANA's list of time zones, such as `Europe/Berlin`; null: none. My quiet hours go by it.
    #[schema(value_type = Option<String>)]
    #[serde(default, deserialize_with = "present")]
    pub time_zone: Option<Option<String>>,
}

impl ChangeProfile {
    /// As a change that is made now.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn change(self, now: Timestamp) -> Result<ProfileChange, Refusal> {
        let Self { display_name, invisible, about, status, time_zone } = self;
        let about = about.map(|about| About::parse(&about.unwrap_or_default())).transpose();
        let time_zone = time_zone.map(|zone| zone.as_deref().map(TimeZone::parse).transpose()).transpose();
        Ok(ProfileChange {
            display_name: display_name.as_deref().map(DisplayName::parse).transpose()?,
            invisible,
            about: expected(about, "about is lines of text: no control characters, and none that turn text around.")?,
            status: status.map(|status| status.map(|status| status.checked(now)).transpose()).transpose()?,
            time_zone: expected(time_zone, "time_zone is a name of IANA's list of time zones, such as Europe/Berlin.")?,
        })
    }
}

/// `people`: these, by `users`, or those found by `prefix`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct People {
    /// Whom to look at.
    #[serde(default)]
    pub users: Option<Vec<UserId>>,
    /// The beginning of a log-in name or display name.
    #[serde(default)]
    pub prefix: Option<String>,
    /// `next` of the part before.
    #[serde(default)]
    pub after: Option<FoundUpTo>,
    /// How many at most.
    #[serde(default)]
    pub limit: Option<usize>,
}
