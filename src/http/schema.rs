//! How values of the domain look in the OpenAPI document. The domain itself knows nothing of it.

use utoipa::openapi::schema::{Object, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::openapi::{KnownFormat, RefOr};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::ids::{AuditId, ClientId, FilterId, LinkId, LoginId, RegistrationId, ReportId, RoomId, SessionId, UserId};
use crate::domain::member::{MemberState, Role};
use crate::domain::order::{Revision, Seq};
use crate::domain::room::{HistoryRule, RoomKind};

fn plain(object: impl Into<Object>) -> RefOr<Schema> {
    RefOr::T(Schema::Object(object.into()))
}

macro_rules! ids {
    ($($id:ident),*) => {$(
        impl PartialSchema for $id {
            fn schema() -> RefOr<Schema> {
                plain(ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid))))
            }
        }
        impl ToSchema for $id {}
    )*};
}

macro_rules! counters {
    ($($counter:ident),*) => {$(
        impl PartialSchema for $counter {
            fn schema() -> RefOr<Schema> {
                plain(ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)))
            }
        }
        impl ToSchema for $counter {}
    )*};
}

macro_rules! words {
    ($($word:ident: $($value:literal)*;)*) => {$(
        impl PartialSchema for $word {
            fn schema() -> RefOr<Schema> {
                plain(ObjectBuilder::new().schema_type(Type::String).enum_values(Some([$($value),*])))
            }
        }
        impl ToSchema for $word {}
    )*};
}

ids!(AuditId, ClientId, FilterId, LinkId, LoginId, RegistrationId, ReportId, RoomId, SessionId, UserId);
counters!(Seq, Revision);
words! {
    MemberState: "invited" "joined" "left" "banned";
    Role: "member" "moderator" "owner";
    RoomKind: "public" "private" "direct" "group";
    HistoryRule: "all" "since_joining";
}
