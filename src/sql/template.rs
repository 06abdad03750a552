//! The statements of `sql/`: compiled into the binary, rendered with quoting filters.

use include_dir::{Dir, include_dir};
use minijinja::{Environment, UndefinedBehavior, Value};

use super::Error;

static SQL: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/sql");

/// The statements of `sql/`, ready to render.
#[derive(Debug)]
pub struct Statements {
    environment: Environment<'static>,
}

impl Default for Statements {
    fn default() -> Self {
        Self::new()
    }
}

impl Statements {
    /// Prepares the renderer: `| ident` quotes a name, `| lit` a text, and what
    /// is undefined is an error.
    pub fn new() -> Self {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.add_filter("ident", |name: String| Value::from_safe_string(identifier(&name)));
        environment.add_filter("lit", |text: String| Value::from_safe_string(literal(&text)));
        Self { environment }
    }

    /// Lists the files below a folder of `sql/`, as paths below `sql/`, in name order.
    pub fn list(folder: &str) -> Vec<String> {
        let mut paths: Vec<String> = SQL
            .get_dir(folder)
            .map(|dir| dir.files().map(|f| f.path().to_string_lossy().into_owned()).collect())
            .unwrap_or_default();
        paths.sort();
        paths
    }

    /// Returns the text of a statement as written.
    ///
    /// # Errors
    ///
    /// Fails if there is no such file.
    pub fn text(path: &str) -> Result<&'static str, Error> {
        SQL.get_file(path)
            .and_then(|file| file.contents_utf8())
            .ok_or_else(|| Error::NoStatement { path: path.into() })
    }

    /// Renders a statement.
    ///
    /// # Errors
    ///
    /// Fails if there is no such file or a value that it names is not given.
    pub fn render(&self, path: &str, values: Value) -> Result<String, Error> {
        let text = Self::text(path)?;
        self.environment
            .render_named_str(path, text, values)
            .map_err(|source| Error::Template { path: path.into(), source: Box::new(source) })
    }

    /// Renders a neutral view of a system: `source()` and `view()` become names in
    /// the repository's schema.
    ///
    /// # Errors
    ///
    /// Fails like [`Statements::render`].
    pub fn render_view(&self, path: &str, repository: &str) -> Result<String, Error> {
        let qualified = {
            let schema = repository.to_owned();
            move |table: String| {
                Value::from_safe_string(format!("{}.{}", identifier(&schema), identifier(&table)))
            }
        };
        let source = Value::from_function(qualified.clone());
        let view = Value::from_function(qualified);
        self.render(path, minijinja::context! { source, view })
    }
}

/// Quotes a name.
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Quotes a text.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
