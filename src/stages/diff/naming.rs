//! Changes to relationships alone: where the artifact lives and what people call it.

use std::collections::HashMap;

use minijinja::context;

use super::{Texts, Work};
use crate::model::{PairId, Side};
use crate::sql;
use crate::stages::spec::Integration;
use crate::stages::transform;

impl Work<'_> {
    /// Gives changes without a field the project and title that a changed field would have brought.
    pub(super) async fn name_changes(&mut self, integration: &Integration) -> Result<(), sql::Error> {
        for side in Side::BOTH {
            let mut nameless: HashMap<String, PairId> = HashMap::new();
            for ((pair, on), change) in &self.changes {
                if *on == side && change.integration == integration.name && change.project.is_empty() {
                    nameless.extend(change.key.clone().map(|key| (key, pair.clone())));
                }
            }
            if nameless.is_empty() {
                continue;
            }
            let mut keys: Vec<String> = nameless.keys().cloned().collect();
            keys.sort();
            let collection = integration.side(side);
            let values = context! { relation => transform::relation(collection), keys };
            let statement = self.inputs.statements.render("diff/named.sql", values)?;
            for batch in self.inputs.sql.rows(&format!("naming {}", collection.name), &statement).await? {
                let texts = Texts(&batch);
                for row in 0..batch.num_rows() {
                    let pair = texts.get("key", row).and_then(|key| nameless.get(key));
                    let change = pair.and_then(|pair| self.changes.get_mut(&(pair.clone(), side)));
                    if let Some(change) = change {
                        texts.get("project", row).unwrap_or_default().clone_into(&mut change.project);
                        texts.get("title", row).unwrap_or_default().clone_into(&mut change.title);
                    }
                }
            }
        }
        Ok(())
    }
}
