//! SQL, transactions, dialect differences, numbering.
