//! The map of all photos: how soon there are dots on it.

use crate::Bench;
use crate::bars::Bar;
use crate::look::asked;

/// Opens the map; after how many milliseconds something is drawn on it.
const DOTS: &str = "
    const done = arguments[0];
    const canvas = document.getElementById('dots');
    const began = performance.now();
    document.getElementById('mapped').click();
    const look = () => {
        const { width, height } = canvas;
        const all = width && height ? canvas.getContext('2d').getImageData(0, 0, width, height).data : [];
        if (all.some((value) => value > 0)) done(performance.now() - began); else requestAnimationFrame(look);
    };
    look();";

/// The photos must have been looked at.
pub(crate) async fn measure(bench: &mut Bench) {
    first_dots(bench, "Look: first dots on the map").await;
}

/// The same for very many photos, which nobody has looked at yet.
pub(crate) async fn measure_many(bench: &mut Bench, photos: usize) {
    bench.browser.driver.goto(&bench.program.address).await.unwrap();
    bench.idle().await;
    // Opening it has every photo looked at.
    bench.painted("/clean").await;
    let looking = bench.idle().await.as_secs_f64();
    bench.table.add(format!("looking at {photos} small photos"), "s", looking, None);
    first_dots(bench, &format!("Look: first dots on a map of {photos}")).await;
}

async fn first_dots(bench: &mut Bench, what: &str) {
    bench.painted("/look").await;
    bench.browser.until("document.querySelectorAll('.grid.live .cell').length > 12").await;
    let dots = asked(bench, DOTS, Vec::new()).await.as_f64().unwrap();
    bench.table.add(what, "ms", dots, Bar::Below(2000.0));
}
