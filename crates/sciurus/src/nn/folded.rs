//! Keeps layers packed for prediction from pass to pass. In: a parameter, and how to make its layer. Out: the layer.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use burn::module::ParamId;

/// A model's weights, packed for the kernels at their first use and then kept. For models that don't change. Clones share the
/// same weights.
#[derive(Clone, Default)]
pub struct FoldedLayers(Arc<Mutex<HashMap<(ParamId, usize), AnyLayer>>>);

type AnyLayer = Arc<dyn Any + Send + Sync>;

impl fmt::Debug for FoldedLayers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FoldedLayers")
    }
}

impl FoldedLayers {
    /// The layer of this parameter, for numbers of which `per_word` fit into 32 bits; made if it isn't there yet.
    pub(crate) fn get<L: Any + Send + Sync>(
        &self,
        (id, per_word): (ParamId, usize),
        make: impl FnOnce() -> Option<L>,
    ) -> Option<Arc<L>> {
        let mut layers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (id, per_word);
        if let Some(layer) = layers.get(&key).and_then(|kept| kept.clone().downcast::<L>().ok()) {
            return Some(layer);
        }
        let layer = Arc::new(make()?);
        layers.insert(key, layer.clone());
        Some(layer)
    }
}
