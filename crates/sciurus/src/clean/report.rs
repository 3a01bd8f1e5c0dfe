//! A plan as one HTML page, with pictures of its photos.

use sciurus_data::{DecodeLimits, decode_file};

use sciurus_clean::CleanReport;
use sciurus_clean::plan::{CleanPlan, PlanItem};
use sciurus_photos::small_jpeg;

use super::{CleanSummary, Cleaner};

/// How many photos get a picture, worst first.
const PICTURES: usize = 300;
/// The longer side of a small picture (pixels).
const SIDE: u32 = 200;
/// JPEG quality (1..=100) of small pictures.
const QUALITY: u8 = 80;

impl Cleaner {
    /// A page about a plan for this data set. Photos that can no longer be read have no picture.
    pub fn report(&self, plan: &CleanPlan) -> CleanReport {
        let summary = CleanSummary::of(plan, 0);
        let picture = |item: &PlanItem| {
            let photo = decode_file(self.dataset.root.join(&item.path), &DecodeLimits::default()).ok()?;
            Some((item.path.clone(), small_jpeg(photo, SIDE, QUALITY)?))
        };
        let worst = plan.items.iter().filter(|item| !item.issues.is_empty()).take(PICTURES);
        CleanReport::new(plan.clone())
            .fact("photos", summary.images.to_string())
            .fact("with something to look into", summary.with_issues.to_string())
            .fact("to relabel", summary.relabel.to_string())
            .fact("to set aside", summary.set_aside.to_string())
            .fact("looked at by", &plan.model)
            .pictures(worst.filter_map(picture))
    }
}
