//! The licence of a photo. In: the codes, names and addresses that sources use for it. Out: a [`Licence`].

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A licence in any of its versions; the version is in its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Licence {
    /// Creative Commons Zero: all rights waived.
    Cc0,
    /// Public domain mark, or another statement that nobody holds rights.
    Pdm,
    /// Creative Commons Attribution.
    By,
    /// Attribution, share alike.
    BySa,
    /// Attribution, not commercial.
    ByNc,
    /// Attribution, no derivatives.
    ByNd,
    /// Attribution, not commercial, share alike.
    ByNcSa,
    /// Attribution, not commercial, no derivatives.
    ByNcNd,
    /// The Pexels licence.
    Pexels,
    /// The Pixabay content licence.
    Pixabay,
    /// The Unsplash licence.
    Unsplash,
    /// A licence with a name that is none of these; see its address.
    Other,
    /// The source says that all rights are reserved.
    AllRightsReserved,
    /// The source doesn't say.
    Unknown,
}

/// All licences with their names, the most open first.
const NAMES: [(Licence, &str); 14] = [
    (Licence::Cc0, "cc0"),
    (Licence::Pdm, "pdm"),
    (Licence::By, "by"),
    (Licence::BySa, "by-sa"),
    (Licence::ByNc, "by-nc"),
    (Licence::ByNd, "by-nd"),
    (Licence::ByNcSa, "by-nc-sa"),
    (Licence::ByNcNd, "by-nc-nd"),
    (Licence::Pexels, "pexels"),
    (Licence::Pixabay, "pixabay"),
    (Licence::Unsplash, "unsplash"),
    (Licence::Other, "other"),
    (Licence::AllRightsReserved, "all-rights-reserved"),
    (Licence::Unknown, "unknown"),
];

impl Licence {
    /// The six licences, the waiver and the mark of Creative Commons, the most open first.
    pub const CREATIVE_COMMONS: [Self; 8] =
        [Self::Cc0, Self::Pdm, Self::By, Self::BySa, Self::ByNc, Self::ByNd, Self::ByNcSa, Self::ByNcNd];

    /// What a source's own wording means: `cc-by`, `CC BY-SA 4.0`, `by-nc`, `Public domain`, an address at Creative
    /// Commons.
    ///
    /// ```
    /// use sciurus_photos::Licence;
    ///
    /// assert_eq!(Licence::read("CC BY-SA 4.0"), Licence::BySa);
    /// assert_eq!(Licence::read("http://creativecommons.org/licenses/by-nc/4.0/"), Licence::ByNc);
    /// assert_eq!(Licence::read("GFDL"), Licence::Other);
    /// assert_eq!(Licence::read(""), Licence::Unknown);
    /// ```
    #[must_use]
    pub fn read(words: &str) -> Self {
        let words = words.trim().to_lowercase();
        if words.is_empty() || words == "unknown" {
            return Self::Unknown;
        }
        let parts: Vec<&str> = words.split(|c: char| !c.is_ascii_alphanumeric()).collect();
        let has = |part: &str| parts.contains(&part);
        let any = |marks: &[&str]| marks.iter().any(|mark| words.contains(mark));
        if has("cc0") || any(&["publicdomain/zero", "cc zero", "cc-zero"]) {
            return Self::Cc0;
        }
        let public = ["public domain", "publicdomain", "no known copyright", "no rights reserved"];
        if has("pdm") || has("pd") || any(&public) {
            return Self::Pdm;
        }
        if any(&["rights reserved", "copyright", "©"]) || words == "c" {
            return Self::AllRightsReserved;
        }
        // A photo "by Ann" has no licence.
        let code = |part: &&str| matches!(*part, "by" | "nc" | "nd" | "sa") || part.parse::<u32>().is_ok();
        let creative_commons = has("cc") || words.contains("creativecommons.org/licenses/");
        if !has("by") || !(creative_commons || parts.iter().all(code)) {
            return Self::Other;
        }
        match (has("nc"), has("nd"), has("sa")) {
            (false, false, false) => Self::By,
            (false, false, true) => Self::BySa,
            (false, true, _) => Self::ByNd,
            (true, false, false) => Self::ByNc,
            (true, false, true) => Self::ByNcSa,
            (true, true, _) => Self::ByNcNd,
        }
    }

    /// The address of its newest version, for licences that have one text.
    #[must_use]
    pub fn url(self) -> Option<&'static str> {
        Some(match self {
            Self::Cc0 => "https://creativecommons.org/publicdomain/zero/1.0/",
            Self::Pdm => "https://creativecommons.org/publicdomain/mark/1.0/",
            Self::By => "https://creativecommons.org/licenses/by/4.0/",
            Self::BySa => "https://creativecommons.org/licenses/by-sa/4.0/",
            Self::ByNc => "https://creativecommons.org/licenses/by-nc/4.0/",
            Self::ByNd => "https://creativecommons.org/licenses/by-nd/4.0/",
            Self::ByNcSa => "https://creativecommons.org/licenses/by-nc-sa/4.0/",
            Self::ByNcNd => "https://creativecommons.org/licenses/by-nc-nd/4.0/",
            Self::Pexels => "https://www.pexels.com/license/",
            Self::Pixabay => "https://pixabay.com/service/license-summary/",
            Self::Unsplash => "https://unsplash.com/license",
            Self::Other | Self::AllRightsReserved | Self::Unknown => return None,
        })
    }

    /// Its name, as on the command line and in the ledger.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(licence, _)| *licence == self).map_or("unknown", |(_, name)| name)
    }
}

impl fmt::Display for Licence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Text that is not the name of a licence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a licence; choose from cc0, pdm, by, by-sa, by-nc, by-nd, by-nc-sa, by-nc-nd, pexels, pixabay, unsplash, \
         other, all-rights-reserved and unknown"
)]
pub struct NotALicence(String);

impl FromStr for Licence {
    type Err = NotALicence;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = text.trim().to_lowercase();
        let name = name.strip_prefix("cc-").unwrap_or(&name);
        NAMES.iter().find(|known| known.1 == name).map(|known| known.0).ok_or(NotALicence(text.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_all_sources_are_understood() {
        let cases = [
            ("cc-by-nc-nd", Licence::ByNcNd),
            ("by-nd", Licence::ByNd),
            ("CC BY 2.0", Licence::By),
            ("cc0", Licence::Cc0),
            ("CC0 1.0", Licence::Cc0),
            ("CC_BY_NC_4_0", Licence::ByNc),
            ("http://creativecommons.org/publicdomain/zero/1.0/legalcode", Licence::Cc0),
            ("https://creativecommons.org/publicdomain/mark/1.0/", Licence::Pdm),
            ("Public domain", Licence::Pdm),
            ("© All rights reserved", Licence::AllRightsReserved),
            ("http://creativecommons.org/licenses/by-nc-sa/3.0/us/", Licence::ByNcSa),
            ("CC BY-SA 3.0 de", Licence::BySa),
            ("PD-USGov", Licence::Pdm),
            ("Photo by Ann", Licence::Other),
            ("Copyright 2020 by the museum", Licence::AllRightsReserved),
            ("no known copyright restrictions", Licence::Pdm),
            ("GFDL", Licence::Other),
        ];
        for (words, licence) in cases {
            assert_eq!(Licence::read(words), licence, "{words}");
        }
    }

    #[test]
    fn names_are_read_back_and_are_those_of_serde() {
        for (licence, name) in NAMES {
            assert_eq!(name.parse(), Ok(licence));
            assert_eq!(serde_json::to_string(&licence).unwrap(), format!("\"{name}\""));
        }
        assert_eq!("CC-BY".parse(), Ok(Licence::By));
        assert!("gpl".parse::<Licence>().unwrap_err().to_string().contains("by-nc-nd"));
    }
}
