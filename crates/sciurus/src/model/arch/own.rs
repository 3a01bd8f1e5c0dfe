//! Architectures of your own, which then work like ours: trained, saved, loaded, embedded with.

use std::hash::{Hash, Hasher};
use std::sync::{Mutex, PoisonError};

use burn::tensor::Device;
use sciurus_data::{BadOption, Normalize};

use super::Arch;
use crate::Error;
use crate::model::own::BoxedBody;

/// A network of your own: what it is called, what it needs, and how it is built.
///
/// ```no_run
/// use sciurus::model::{BoxedBody, OwnArch, OwnBody, ParamGroup, Pass};
/// # use burn::{module::Module, tensor::{Device, Tensor}};
/// # #[derive(Module, Debug)]
/// # struct Tiny { conv: burn::nn::conv::Conv2d }
/// # impl OwnBody for Tiny {
/// #     fn forward(&self, images: Tensor<4>, _: &mut Pass) -> Tensor<4> { self.conv.forward(images) }
/// # }
/// # fn tiny(device: &Device) -> Tiny { Tiny { conv: burn::nn::conv::Conv2dConfig::new([3, 16], [3, 3]).init(device) } }
/// static TINY: OwnArch = OwnArch {
///     name: "tiny",
///     channels: 16,
///     image_size: 64,
///     normalize: sciurus::data::Normalize { mean: [0.5; 3], std: [0.5; 3] },
///     body: |device| BoxedBody::new(tiny(device)),
/// };
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let arch = TINY.register()?;
/// let dls = sciurus::ImageDataLoaders::from_folder("squirrels").image_size(64).build()?;
/// let mut learner = sciurus::vision_learner(dls, arch).weights(sciurus::WeightSource::Random).build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct OwnArch {
    /// Its name, in settings and saved models; unlike that of any other architecture.
    pub name: &'static str,
    /// Channels of its features, which is also the width of an embedding.
    pub channels: usize,
    /// Image size that it is meant for (pixels).
    pub image_size: usize,
    /// How its images must be normalised.
    pub normalize: Normalize,
    /// Builds the body. Weights of its convolutions and linear layers are drawn anew, from the learner's seed.
    pub body: fn(&Device) -> BoxedBody,
}

/// Those that this program has registered.
static REGISTERED: Mutex<Vec<&'static OwnArch>> = Mutex::new(Vec::new());

impl OwnArch {
    /// Makes it known by its name, so that saved models of it can be loaded. To register it again changes nothing.
    ///
    /// # Errors
    /// Another architecture has its name, or the name is empty.
    pub fn register(&'static self) -> Result<Arch, Error> {
        let mut all = REGISTERED.lock().unwrap_or_else(PoisonError::into_inner);
        if all.iter().any(|known| std::ptr::eq(*known, self)) {
            return Ok(Arch::Own(self));
        }
        let is_taken = Arch::ALL.iter().any(|arch| arch.name() == self.name)
            || all.iter().any(|known| known.name == self.name);
        let advice = "choose a name that no other network has";
        BadOption::check("name", self.name, !is_taken && !self.name.is_empty(), advice)?;
        all.push(self);
        Ok(Arch::Own(self))
    }

    /// The one of this name, if the program has registered it.
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        let all = REGISTERED.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().find(|known| known.name == name).copied()
    }
}

impl PartialEq for OwnArch {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for OwnArch {}

impl Hash for OwnArch {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}
