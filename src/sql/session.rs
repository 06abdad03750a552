//! One DataFusion session with its limits set on purpose.

use std::sync::Arc;

use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::{MemoryCatalogProvider, MemorySchemaProvider};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};

use super::{Error, functions};

/// What a session may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes that sorts, joins and aggregates may hold before they spill.
    pub memory_bytes: usize,
    /// Rows per batch.
    pub batch_rows: usize,
    /// Tasks per query.
    pub threads: usize,
}

impl Default for Limits {
    /// A quarter of a gibibyte leaves room for buffers in a half-gibibyte process;
    /// two tasks match the smallest machine that we care for.
    fn default() -> Self {
        Self { memory_bytes: 256 << 20, batch_rows: 8192, threads: 2 }
    }
}

/// A query session over one pipeline: catalogue = pipeline, schemas = repositories.
#[derive(Clone)]
pub struct Sql {
    context: SessionContext,
    catalog: Arc<MemoryCatalogProvider>,
}

impl std::fmt::Debug for Sql {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sql").finish_non_exhaustive()
    }
}

impl Sql {
    /// Opens a session whose default catalogue has this name.
    ///
    /// # Errors
    ///
    /// Fails if the engine refuses the limits.
    pub fn open(catalog_name: &str, limits: Limits) -> Result<Self, Error> {
        let mut config = SessionConfig::new()
            .with_batch_size(limits.batch_rows)
            .with_target_partitions(limits.threads)
            .with_information_schema(true)
            .with_create_default_catalog_and_schema(false)
            .with_default_catalog_and_schema(catalog_name, "plan");
        // One string type everywhere: tables read back equal tables built in
        // memory, and plain builders can be used for both.
        config.options_mut().execution.parquet.schema_force_view_types = false;
        config.options_mut().sql_parser.map_string_types_to_utf8view = false;
        // The rule names what it extracts after map keys and fails when two neutral
        // columns have such a name ("duplicate qualified field name").
        config.options_mut().optimizer.enable_leaf_expression_pushdown = false;
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(limits.memory_bytes)))
            .build_arc()
            .map_err(Error::engine("opening the query engine"))?;
        let context = SessionContext::new_with_config_rt(config, runtime);
        for function in functions::all() {
            context.register_udf(function);
        }
        let catalog = Arc::new(MemoryCatalogProvider::new());
        context.register_catalog(catalog_name, catalog.clone());
        let sql = Self { context, catalog };
        sql.schema("plan")?;
        Ok(sql)
    }

    /// Makes a schema if it does not exist.
    ///
    /// # Errors
    ///
    /// Fails if the engine refuses the name.
    pub fn schema(&self, name: &str) -> Result<(), Error> {
        use datafusion::catalog::CatalogProvider;
        if self.catalog.schema(name).is_none() {
            self.catalog
                .register_schema(name, Arc::new(MemorySchemaProvider::new()))
                .map_err(Error::engine(format!("making schema {name}")))?;
        }
        Ok(())
    }

    /// Takes another session's catalogue into this one, so that one statement can name both.
    pub fn adopt(&self, name: &str, other: &Sql) {
        self.context.register_catalog(name, other.catalog.clone());
    }

    /// Runs one statement that only reads, and streams its rows.
    ///
    /// # Errors
    ///
    /// Fails with the engine's words; [`Error::OnlyReading`] for a statement that
    /// would change tables, files or settings.
    pub async fn query(&self, statement: &str) -> Result<SendableRecordBatchStream, Error> {
        let what = "the statement";
        let plan = self.context.state().create_logical_plan(statement).await.map_err(Error::engine(what))?;
        let options =
            SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        if let Err(error) = options.verify_plan(&plan) {
            return Err(Error::OnlyReading { words: error.strip_backtrace() });
        }
        let frame = self.context.execute_logical_plan(plan).await.map_err(Error::engine(what))?;
        frame.execute_stream().await.map_err(Error::engine(what))
    }

    /// The engine's own handle, for what has no method here.
    pub fn context(&self) -> &SessionContext {
        &self.context
    }

    /// Runs a statement and collects its rows; `what` names it in errors.
    ///
    /// # Errors
    ///
    /// Fails with the engine's words.
    pub async fn rows(&self, what: &str, statement: &str) -> Result<Vec<RecordBatch>, Error> {
        let frame = self.context.sql(statement).await.map_err(Error::engine(what))?;
        frame.collect().await.map_err(Error::engine(what))
    }
}
