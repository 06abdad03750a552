//! Puts staged tables, neutral views and results of statements into a session.

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::TableReference;
use datafusion::datasource::MemTable;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};

use super::{Error, Sql, Statements, neutral};

/// The live files of one table.
#[derive(Clone, Debug)]
pub struct TableFiles {
    /// The table's name.
    pub name: String,
    /// Its full schema.
    pub schema: SchemaRef,
    /// Absolute paths or URLs of its Parquet files.
    pub files: Vec<String>,
}

/// Registers a table over Parquet files; without files it is empty.
///
/// # Errors
///
/// Fails if a path is not one or the engine refuses the table.
pub fn register_files(sql: &Sql, schema: &str, table: &TableFiles) -> Result<(), Error> {
    if table.files.is_empty() {
        return register_batches(sql, schema, &table.name, table.schema.clone(), vec![]);
    }
    let what = format!("opening table {schema}.{}", table.name);
    let urls = table
        .files
        .iter()
        .map(ListingTableUrl::parse)
        .collect::<Result<Vec<_>, _>>()
        .map_err(Error::engine(what.clone()))?;
    let options = ListingOptions::new(Arc::new(ParquetFormat::default())).with_file_extension(".parquet");
    let config = ListingTableConfig::new_with_multi_paths(urls)
        .with_listing_options(options)
        .with_schema(table.schema.clone());
    let provider = ListingTable::try_new(config).map_err(Error::engine(what.clone()))?;
    replace(sql, schema, &table.name, Arc::new(provider)).map_err(Error::engine(what))
}

/// Registers rows in memory as a table.
///
/// # Errors
///
/// Fails if the rows do not have that schema.
pub fn register_batches(
    sql: &Sql,
    schema: &str,
    name: &str,
    columns: SchemaRef,
    rows: Vec<RecordBatch>,
) -> Result<(), Error> {
    let what = format!("making table {schema}.{name}");
    let table = MemTable::try_new(columns, vec![rows]).map_err(Error::engine(what.clone()))?;
    replace(sql, schema, name, Arc::new(table)).map_err(Error::engine(what))
}

/// Registers a statement as a view.
///
/// # Errors
///
/// Fails if the statement does not plan.
pub async fn register_statement(sql: &Sql, schema: &str, name: &str, statement: &str) -> Result<(), Error> {
    let what = format!("planning {schema}.{name}");
    let frame = sql.context().sql(statement).await.map_err(Error::engine(what.clone()))?;
    replace(sql, schema, name, frame.into_view()).map_err(Error::engine(what))
}

/// Registers every neutral view of a repository over its native tables.
///
/// # Errors
///
/// Fails with the first statement that does not plan even after all others did.
pub async fn register_neutral_views(
    sql: &Sql,
    statements: &Statements,
    system: &str,
    repository: &str,
) -> Result<(), Error> {
    let mut open: Vec<String> = neutral::views().iter().map(|v| v.name.to_owned()).collect();
    while !open.is_empty() {
        let mut waiting = Vec::new();
        let mut last = None;
        for name in &open {
            let text = statements.render_view(&format!("{system}/{name}.sql"), repository)?;
            if let Err(error) = register_statement(sql, repository, name, &text).await {
                waiting.push(name.clone());
                last = Some(error);
            }
        }
        match last {
            // A view may read one that comes later in the list.
            Some(error) if waiting.len() == open.len() => return Err(error),
            _ => open = waiting,
        }
    }
    Ok(())
}

fn replace(
    sql: &Sql,
    schema: &str,
    name: &str,
    table: Arc<dyn datafusion::catalog::TableProvider>,
) -> datafusion::error::Result<()> {
    sql.schema(schema).map_err(|e| datafusion::error::DataFusionError::External(Box::new(e)))?;
    let reference = TableReference::partial(schema, name);
    sql.context().deregister_table(reference.clone())?;
    sql.context().register_table(reference, table)?;
    Ok(())
}
