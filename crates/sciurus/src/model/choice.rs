//! Which network to train: one that was named, or the best at hand.
//!
//! In: a choice, and where weights may be. Out: an architecture, and why it was chosen.

use std::fmt;
use std::str::FromStr;

use sciurus_data::Normalize;
use serde::{Deserialize, Serialize};

use super::Arch;
use super::weights::{self, DownloadProgress, WeightPlaces, WeightSource};
use crate::Error;

/// A network that was named, or `auto`: ResNet-18 if its weights are on this machine or arrive after one quick try, else
/// [`Arch::Hazel`], whose weights are part of the program.
///
/// ```
/// use sciurus::{Arch, ArchChoice};
/// assert_eq!("auto".parse::<ArchChoice>()?, ArchChoice::Auto);
/// assert_eq!("squeezenet1_1".parse::<ArchChoice>()?, Arch::SqueezeNet1_1.into());
/// # Ok::<(), sciurus::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum ArchChoice {
    /// The best at hand.
    #[default]
    Auto,
    /// This one, or an error if its weights can't be had.
    Named(Arch),
}

/// The network that is used if nobody chose one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChosenArch {
    /// The network.
    pub arch: Arch,
    /// Where its weights are: the file, if it was looked for to decide.
    pub weights: WeightSource,
    /// Why not the preferred one, and how to have it; `None` if it is that, or was named.
    pub instead: Option<String>,
}

impl ArchChoice {
    /// What `auto` prefers.
    pub const PREFERRED: Arch = Arch::ResNet18;
    /// What `auto` is without it.
    pub const BUILT_IN: Arch = Arch::Hazel;

    /// Decides. For `auto` the preferred network's weights are downloaded if that works at once.
    ///
    /// # Errors
    /// A weight file on this machine cannot be read.
    pub fn choose(
        self,
        source: &WeightSource,
        places: &WeightPlaces,
        on_download: &mut dyn FnMut(DownloadProgress),
    ) -> Result<ChosenArch, Error> {
        let preferred = |weights| ChosenArch { arch: Self::PREFERRED, weights, instead: None };
        match (self, source) {
            (Self::Named(arch), _) => Ok(ChosenArch { arch, weights: source.clone(), instead: None }),
            (Self::Auto, WeightSource::File(_) | WeightSource::Random) => Ok(preferred(source.clone())),
            (Self::Auto, WeightSource::Pretrained) => {
                match weights::arrive(Self::PREFERRED, places, on_download) {
                    Ok(file) => Ok(preferred(WeightSource::File(file))),
                    Err(error @ (Error::Offline { .. } | Error::Download { .. } | Error::Io { .. })) => {
                        let (arch, weights) = (Self::BUILT_IN, WeightSource::Pretrained);
                        Ok(ChosenArch { arch, weights, instead: Some(instead(&error)) })
                    }
                    Err(error) => Err(error),
                }
            }
        }
    }

    /// How images must be normalised: `auto` chooses among networks that are alike in this.
    pub fn normalize(self) -> Normalize {
        match self {
            Self::Auto => Self::PREFERRED.normalize(),
            Self::Named(arch) => arch.normalize(),
        }
    }
}

/// One line for people: what was chosen instead of the preferred network, why, and how to have that.
fn instead(error: &Error) -> String {
    let why = match error {
        Error::Offline { .. } => {
            "its weights are not on this machine, and downloads are turned off".to_owned()
        }
        Error::Download { reason, .. } => format!("its weights could not be fetched ({reason})"),
        error => format!("its weights could not be fetched ({error})"),
    };
    format!(
        "{} is used, whose weights are built in, instead of {}: {why}; for that one put its file into SCIURUS_MODELS, or \
         name it with --arch",
        ArchChoice::BUILT_IN,
        ArchChoice::PREFERRED
    )
}

impl From<Arch> for ArchChoice {
    fn from(arch: Arch) -> Self {
        Self::Named(arch)
    }
}

/// The name of `auto` in settings.
const AUTO: &str = "auto";

impl fmt::Display for ArchChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str(AUTO),
            Self::Named(arch) => arch.fmt(f),
        }
    }
}

impl FromStr for ArchChoice {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        if name == AUTO { Ok(Self::Auto) } else { name.parse().map(Self::Named) }
    }
}

impl From<ArchChoice> for String {
    fn from(choice: ArchChoice) -> Self {
        choice.to_string()
    }
}

impl TryFrom<String> for ArchChoice {
    type Error = Error;

    fn try_from(name: String) -> Result<Self, Error> {
        name.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nowhere() -> WeightPlaces {
        let folder = std::env::temp_dir().join("sciurus-there-is-no-such-folder");
        WeightPlaces { models: None, cache: folder, mirrors: Vec::new(), offline: true }
    }

    #[test]
    fn what_is_built_in_is_chosen_only_if_nothing_was_named() {
        let choose = |choice: ArchChoice, source: &WeightSource| {
            choice.choose(source, &nowhere(), &mut |_| ()).unwrap()
        };
        let auto = choose(ArchChoice::Auto, &WeightSource::Pretrained);
        assert_eq!(auto.arch, Arch::Hazel);
        assert!(auto.instead.unwrap().contains("instead of resnet18"));
        let named = choose(Arch::ResNet18.into(), &WeightSource::Pretrained);
        let weights = WeightSource::Pretrained;
        assert_eq!(named, ChosenArch { arch: Arch::ResNet18, weights, instead: None });
        // Without weights of a publisher there is nothing to do without.
        let random = choose(ArchChoice::Auto, &WeightSource::Random);
        let weights = WeightSource::Random;
        assert_eq!(random, ChosenArch { arch: Arch::ResNet18, weights, instead: None });
    }

    #[test]
    fn a_choice_is_written_as_it_is_typed() {
        for choice in [ArchChoice::Auto, Arch::Hazel.into(), Arch::ResNet10Narrow.into()] {
            let text = serde_json::to_string(&choice).unwrap();
            assert_eq!(text, format!("\"{choice}\""));
            assert_eq!(serde_json::from_str::<ArchChoice>(&text).unwrap(), choice);
        }
        assert!("oto".parse::<ArchChoice>().is_err());
    }
}
