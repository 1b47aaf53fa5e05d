//! The tables as the database itself describes them, and their rows as text: what a backup needs to hold every table there is, of any
//! schema version, without a list that somebody must keep.
//!
//! *Must not know*: what a table means.

use chrono::NaiveDateTime;
use diesel::QueryableByName;
use diesel::mysql::Mysql;
use diesel::sql_types::{BigInt, Binary, Nullable, Text, Timestamp};
use diesel::sqlite::Sqlite;
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

/// One value of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Nothing, in a column of this kind.
    Null(Kind),
    /// See [`Kind::Bytes`].
    Bytes(Vec<u8>),
    /// See [`Kind::Text`].
    Text(String),
    /// See [`Kind::Integer`].
    Integer(i64),
    /// See [`Kind::Instant`].
    Instant(NaiveDateTime),
}

/// Binds a cell to a boxed query of either database.
macro_rules! bind {
    ($query:expr, $cell:expr) => {
        match $cell {
            Cell::Null(Kind::Bytes) => $query.bind::<Nullable<Binary>, _>(None::<Vec<u8>>),
            Cell::Null(Kind::Text) => $query.bind::<Nullable<Text>, _>(None::<String>),
            Cell::Null(Kind::Integer) => $query.bind::<Nullable<BigInt>, _>(None::<i64>),
            Cell::Null(Kind::Instant) => $query.bind::<Nullable<Timestamp>, _>(None::<NaiveDateTime>),
            Cell::Bytes(bytes) => $query.bind::<Binary, _>(bytes),
            Cell::Text(text) => $query.bind::<Text, _>(text),
            Cell::Integer(integer) => $query.bind::<BigInt, _>(integer),
            Cell::Instant(instant) => $query.bind::<Timestamp, _>(instant),
        }
    };
}

const INSTANT: &str = "%Y-%m-%d %H:%M:%S%.f";

/// Reads a row as [`page`] gives it. `None` if it does not fit the columns.
pub fn cells(columns: &[Column], line: &str) -> Option<Vec<Cell>> {
    let values: Vec<serde_json::Value> = serde_json::from_str(line).ok()?;
    if values.len() != columns.len() {
        return None;
    }
    columns.iter().zip(values).map(|(column, value)| cell(column.kind, value)).collect()
}

fn cell(kind: Kind, value: serde_json::Value) -> Option<Cell> {
    use serde_json::Value;
    match (kind, value) {
        (kind, Value::Null) => Some(Cell::Null(kind)),
        (Kind::Bytes, Value::String(text)) => bytes(&text).map(Cell::Bytes),
        (Kind::Text, Value::String(text)) => Some(Cell::Text(text)),
        (Kind::Integer, Value::Number(number)) => number.as_i64().map(Cell::Integer),
        (Kind::Instant, Value::String(text)) => NaiveDateTime::parse_from_str(&text, INSTANT).ok().map(Cell::Instant),
        _ => None,
    }
}

fn bytes(hexadecimal: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    };
    hexadecimal.as_bytes().chunks(2).map(pair).collect()
}

impl Table {
    /// The cells of the primary key, picked out of a row.
    pub fn key_of(&self, row: &[Cell]) -> Vec<Cell> {
        self.key.iter().filter_map(|place| row.get(*place)).cloned().collect()
    }

    fn names(&self, places: impl Iterator<Item = usize>) -> Vec<String> {
        places.filter_map(|place| self.columns.get(place)).map(|column| format!("`{}`", column.name)).collect()
    }
}

/// Up to `limit` rows after the one whose key is `after`, in the order of the key; each as one line, a JSON array of the columns.
///
/// # Errors
/// Those of the database.
pub async fn page(db: &mut Db, table: &Table, after: Option<Vec<Cell>>, limit: usize) -> Result<Vec<String>, StoreError> {
    #[derive(QueryableByName)]
    struct Line {
        #[diesel(sql_type = Text)]
        line: String,
    }

    let (name, key) = (&table.name, table.names(table.key.iter().copied()));
    let order = key.join(", ");
    let from = |condition: String| if after.is_some() { format!("WHERE {condition}") } else { String::new() };
    let lines: Vec<Line> = match db {
        Db::Sqlite(c) => {
            let values: Vec<String> = table.columns.iter().map(sqlite_text).collect();
            let from = from(format!("({order}) > ({})", vec!["?"; key.len()].join(", ")));
            let values = values.join(", ");
            let sql = format!("SELECT json_array({values}) AS line FROM `{name}` {from} ORDER BY {order} LIMIT {limit}");
            let mut query = diesel::sql_query(sql).into_boxed::<Sqlite>();
            for cell in after.into_iter().flatten() {
                query = bind!(query, cell);
            }
            query.load(c).await?
        }
        Db::Mysql(c) => {
            let values: Vec<String> = table.columns.iter().map(mysql_text).collect();
            // Row values are no range to its optimizer; this is.
            let prefixes: Vec<String> = (1..=key.len()).map(|length| beyond(&key, length)).collect();
            let from = from(prefixes.join(" OR "));
            let values = values.join(", ");
            let sql =
                format!("SELECT CAST(JSON_ARRAY({values}) AS CHAR) AS line FROM `{name}` {from} ORDER BY {order} LIMIT {limit}");
            let mut query = diesel::sql_query(sql).into_boxed::<Mysql>();
            for length in 1..=key.len() {
                for cell in after.iter().flatten().take(length).cloned() {
                    query = bind!(query, cell);
                }
            }
            query.load(c).await?
        }
    };
    Ok(lines.into_iter().map(|line| line.line).collect())
}

/// The first `length - 1` parts of the key are the same and the next one is greater.
fn beyond(key: &[String], length: usize) -> String {
    let part = |(place, name): (usize, &String)| format!("{name} {} ?", if place + 1 == length { ">" } else { "=" });
    let parts: Vec<String> = key.iter().take(length).enumerate().map(part).collect();
    format!("({})", parts.join(" AND "))
}

fn sqlite_text(column: &Column) -> String {
    match column.kind {
        // hex(NULL) is an empty text.
        Kind::Bytes => format!("iif(`{0}` IS NULL, NULL, hex(`{0}`))", column.name),
        Kind::Text | Kind::Integer | Kind::Instant => format!("`{}`", column.name),
    }
}

fn mysql_text(column: &Column) -> String {
    match column.kind {
        Kind::Bytes => format!("HEX(`{}`)", column.name),
        Kind::Text | Kind::Integer => format!("`{}`", column.name),
        Kind::Instant => format!("DATE_FORMAT(`{}`, '%Y-%m-%d %H:%i:%s.%f')", column.name),
    }
}

/// Inserts rows whose cells stand in the order of `columns`.
///
/// # Errors
/// Those of the database.
pub async fn insert(db: &mut Db, table: &Table, rows: Vec<Vec<Cell>>) -> Result<(), StoreError> {
    let names = table.names(0..table.columns.len()).join(", ");
    let row = format!("({})", vec!["?"; table.columns.len()].join(", "));
    let sql = format!("INSERT INTO `{}` ({names}) VALUES {}", table.name, vec![row.as_str(); rows.len()].join(", "));
    match db {
        Db::Sqlite(c) => {
            let mut query = diesel::sql_query(sql).into_boxed::<Sqlite>();
            for cell in rows.into_iter().flatten() {
                query = bind!(query, cell);
            }
            query.execute(c).await?;
        }
        Db::Mysql(c) => {
            let mut query = diesel::sql_query(sql).into_boxed::<Mysql>();
            for cell in rows.into_iter().flatten() {
                query = bind!(query, cell);
            }
            query.execute(c).await?;
        }
    }
    Ok(())
}

/// What the database itself finds wrong with its file. A server checks each page as it reads it, so there is nothing to ask it.
///
/// # Errors
/// Those of the database.
pub async fn integrity(db: &mut Db) -> Result<Vec<String>, StoreError> {
    #[derive(QueryableByName)]
    struct Found {
        #[diesel(sql_type = Text)]
        integrity_check: String,
    }

    match db {
        Db::Sqlite(c) => {
            let found: Result<Vec<Found>, _> = diesel::sql_query("PRAGMA integrity_check").load(c).await;
            match found.map_err(StoreError::from) {
                Ok(found) => Ok(found.into_iter().map(|found| found.integrity_check).filter(|found| found != "ok").collect()),
                // So damaged that it cannot even be looked through.
                Err(StoreError::Corrupt(damage)) => Ok(vec![damage]),
                Err(error) => Err(error),
            }
        }
        Db::Mysql(_) => Ok(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_cells_of_their_columns_or_nothing() {
        let column = |kind| Column { name: String::new(), kind };
        let columns = [Kind::Bytes, Kind::Text, Kind::Integer, Kind::Instant, Kind::Text].map(column);
        let row = cells(&columns, r#"["00fF","a\n\"ü",-7,"2026-11-22 10:00:00.000001",null]"#).unwrap();
        assert_eq!(row[0], Cell::Bytes(vec![0, 255]));
        assert_eq!(row[1], Cell::Text("a\n\"ü".to_owned()));
        assert_eq!(row[2], Cell::Integer(-7));
        assert!(matches!(row[3], Cell::Instant(at) if at.and_utc().timestamp_subsec_micros() == 1));
        assert_eq!(row[4], Cell::Null(Kind::Text));
        for wrong in ["[1]", "nonsense", r#"["0","",1,"2026-11-22 10:00:00",""]"#, r#"["00","",1,"yesterday",""]"#] {
            assert_eq!(cells(&columns, wrong), None, "{wrong}");
        }
    }
}
