//! The tables as the database itself describes them, and their rows as text: what a backup needs to hold every table there is, of any
//! schema version, without a list that somebody must keep.
//!
//! *Must not know*: what a table means.

use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;
use serde::{Deserialize, Serialize};

use super::backend::Db;
use super::error::StoreError;

/// What a column holds, the same on both databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Identifiers and hashes; hexadecimal in text.
    Bytes,
    /// Unicode.
    Text,
    /// Numbers, codes, truth values.
    Integer,
    /// UTC instants.
    Instant,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Its columns in their order.
    pub columns: Vec<Column>,
    /// Places in `columns` of the primary key's parts, in the key's order.
    pub key: Vec<usize>,
}

#[derive(QueryableByName)]
struct Described {
    #[diesel(sql_type = Text)]
    table_name: String,
    #[diesel(sql_type = Text)]
    column_name: String,
    #[diesel(sql_type = Text)]
    declared: String,
    #[diesel(sql_type = BigInt)]
    place: i64,
}

/// Names of all tables, ours or not.
///
/// # Errors
/// Those of the database.
pub async fn names(db: &mut Db) -> Result<Vec<String>, StoreError> {
    let mut names: Vec<String> = describe(db).await?.into_iter().map(|column| column.table_name).collect();
    names.dedup();
    Ok(names)
}

/// The tables of the schema, by name; not those of the database itself or of the migrations.
///
/// # Errors
/// [`StoreError::Internal`] for a column or table of a sort no migration of ours makes.
pub async fn tables(db: &mut Db) -> Result<Vec<Table>, StoreError> {
    let mut tables: Vec<Table> = Vec::new();
    let mut keys: Vec<Vec<(i64, usize)>> = Vec::new();
    for column in describe(db).await? {
        if column.table_name.starts_with("__diesel") || column.table_name.starts_with("sqlite_") {
            continue;
        }
        if tables.last().is_none_or(|table| table.name != column.table_name) {
            tables.push(Table { name: column.table_name.clone(), columns: Vec::new(), key: Vec::new() });
            keys.push(Vec::new());
        }
        let (Some(table), Some(key)) = (tables.last_mut(), keys.last_mut()) else { continue };
        if column.place > 0 {
            key.push((column.place, table.columns.len()));
        }
        let kind = kind(&column)?;
        table.columns.push(Column { name: column.column_name, kind });
    }
    for (table, mut key) in tables.iter_mut().zip(keys) {
        key.sort_unstable();
        table.key = key.into_iter().map(|(_, column)| column).collect();
        if table.key.is_empty() {
            return Err(StoreError::Internal(format!("table {} has no primary key", table.name)));
        }
    }
    Ok(tables)
}

async fn describe(db: &mut Db) -> Result<Vec<Described>, StoreError> {
    Ok(match db {
        Db::Sqlite(c) => {
            diesel::sql_query(
                "SELECT t.name AS table_name, c.name AS column_name, c.type AS declared, c.pk AS place \
                 FROM sqlite_schema t, pragma_table_info(t.name) c WHERE t.type = 'table' ORDER BY t.name, c.cid",
            )
            .load(c)
            .await?
        }
        Db::Mysql(c) => {
            diesel::sql_query(
                "SELECT CAST(c.TABLE_NAME AS CHAR) AS table_name, CAST(c.COLUMN_NAME AS CHAR) AS column_name, \
                 CAST(c.DATA_TYPE AS CHAR) AS declared, CAST(COALESCE(k.ORDINAL_POSITION, 0) AS SIGNED) AS place \
                 FROM information_schema.COLUMNS c LEFT JOIN information_schema.KEY_COLUMN_USAGE k \
                 ON k.TABLE_SCHEMA = c.TABLE_SCHEMA AND k.TABLE_NAME = c.TABLE_NAME AND k.COLUMN_NAME = c.COLUMN_NAME \
                 AND k.CONSTRAINT_NAME = 'PRIMARY' \
                 WHERE c.TABLE_SCHEMA = DATABASE() ORDER BY c.TABLE_NAME, c.ORDINAL_POSITION",
            )
            .load(c)
            .await?
        }
    })
}

fn kind(column: &Described) -> Result<Kind, StoreError> {
    match column.declared.to_ascii_uppercase().as_str() {
        "BLOB" | "BINARY" | "VARBINARY" | "MEDIUMBLOB" | "LONGBLOB" => Ok(Kind::Bytes),
        "TEXT" | "VARCHAR" | "CHAR" | "MEDIUMTEXT" | "LONGTEXT" => Ok(Kind::Text),
        "BIGINT" | "SMALLINT" | "INTEGER" | "INT" | "TINYINT" | "BOOLEAN" => Ok(Kind::Integer),
        "TIMESTAMP" | "DATETIME" => Ok(Kind::Instant),
        other => {
            let (table, column) = (&column.table_name, &column.column_name);
            Err(StoreError::Internal(format!("column {table}.{column} is of type {other}, which backups do not know")))
        }
    }
}
