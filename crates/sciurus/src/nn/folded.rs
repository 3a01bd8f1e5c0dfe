//! Weights laid out for prediction, kept from pass to pass. In: a parameter and how its layer is made. Out: the layer.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use burn::module::ParamId;

/// Weights of a model as the kernels take them, made at their first use and kept: for passes over a model that does not
/// change. Cloning shares them.
#[derive(Clone, Default)]
pub struct FoldedLayers(Arc<Mutex<HashMap<(ParamId, usize), AnyLayer>>>);

type AnyLayer = Arc<dyn Any + Send + Sync>;

impl fmt::Debug for FoldedLayers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FoldedLayers")
    }
}

impl FoldedLayers {
    /// The layer of this parameter for numbers of which `per_word` fit into 32 bits, made if it is not there.
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
