//! The page Look: how soon there is something to see, and how it scrolls.

use serde_json::{Value, json};

use crate::Bench;
use crate::bars::{Bar, quantile};

/// Scrolls as fast as is asked for in each frame, and tells how long each frame took, in milliseconds, and which of the cells that
/// should be seen have no picture 150 ms after the end. Nothing asked for: jumps to a share of the whole.
const SCROLL: &str = "
    const [speed, frames, share, done] = arguments;
    const grid = document.getElementById('grid');
    const took = [];
    let [last, count] = [0, 0];
    const box = grid.getBoundingClientRect();
    const isSeen = (cell) => {
        const { top, bottom } = cell.getBoundingClientRect();
        return bottom > box.top + 1 && top < box.bottom - 1;
    };
    const end = () => setTimeout(() => {
        const cells = [...grid.querySelectorAll('.cell')].filter(isSeen);
        const isBlank = (cell) => { const picture = cell.querySelector('img'); return !(picture?.complete && picture.naturalWidth > 0); };
        done({ took, seen: cells.length, blank: cells.filter(isBlank).length, top: grid.scrollTop });
    }, 150);
    const step = (now) => {
        if (last) took.push(now - last);
        last = now;
        grid.scrollTop += speed;
        if (count++ < frames) requestAnimationFrame(step); else end();
    };
    if (frames > 0) return requestAnimationFrame(step);
    grid.scrollTop = share * (grid.scrollHeight - grid.clientHeight);
    end();";

/// What has moved on a page without being asked to, since it was opened: how much in all, and which elements.
const SHIFTS: &str = "
    const done = arguments[0];
    const told = { sum: 0, moved: [] };
    const name = ({ node }) => node ? `${node.nodeName.toLowerCase()}.${node.className}#${node.id}` : '';
    new PerformanceObserver((list) => {
        for (const one of list.getEntries()) {
            if (one.hadRecentInput) continue;
            told.sum += one.value;
            told.moved.push(...one.sources.map(name));
        }
    }).observe({ type: 'layout-shift', buffered: true });
    setTimeout(() => done(told), 200);";

/// Waits for all pictures that can be seen; when they were there, in milliseconds since the page was opened.
const COMPLETE: &str = "
    const done = arguments[0];
    const look = () => {
        const grid = document.querySelector('.grid.live');
        const all = [...document.querySelectorAll('.grid.live .cell img')].slice(0, 14);
        if (grid && all.length === 14 && all.every((one) => one.complete && one.naturalWidth > 0)) done(performance.now());
        else setTimeout(look, 10);
    };
    look();";

pub(crate) async fn measure(bench: &mut Bench) {
    let plain = plain(bench).await;
    bench.table.add("a page of plain text: frames under 17 ms while scrolling", "%", plain, None);
    bench.browser.driver.goto(&bench.program.address).await.unwrap();
    let painted = bench.painted("/look").await;
    bench.table.add("Look: first paint while the folder is being read", "ms", painted, Bar::Below(1000.0));
    let read = bench.idle().await.as_secs_f64();
    bench.table.add("reading the folder", "s", read, None);
    bench.browser.tools("Network.clearBrowserCache", json!({})).await;
    let painted = bench.painted("/look").await;
    bench.table.add("Look: first paint, cold", "ms", painted, Bar::Below(1000.0));
    let complete = asked(bench, COMPLETE, Vec::new()).await.as_f64().unwrap();
    bench.table.add("Look: first two rows, cold", "ms", complete, None);
    scrolled(bench).await;
    let mut warm = Vec::new();
    for _ in 0..5 {
        warm.push(bench.painted("/look").await);
    }
    bench.table.add("Look: first paint, warm", "ms", quantile(&warm, 0.5), Bar::Below(500.0));
    let complete = asked(bench, COMPLETE, Vec::new()).await.as_f64().unwrap();
    bench.table.add("Look: first two rows, warm", "ms", complete, None);
}

/// What the machine can do at best: the share of smooth frames (in percent) on a page with nothing but text.
async fn plain(bench: &Bench) -> f64 {
    bench.browser.driver.goto("about:blank").await.unwrap();
    let text = "document.body.innerHTML = '<div id=grid style=\"height: 700px; overflow: auto\">' + '<p>text</p>'.repeat(3000) + '</div>'";
    bench.browser.driver.execute(text, Vec::new()).await.unwrap();
    let told = asked(bench, SCROLL, vec![json!(20), json!(300), json!(0)]).await;
    100.0 * smooth(&frames(&told))
}

/// How long each frame took, in milliseconds.
fn frames(told: &Value) -> Vec<f64> {
    told["took"].as_array().unwrap().iter().map(|one| one.as_f64().unwrap()).collect()
}

/// The share of frames that are smooth.
fn smooth(took: &[f64]) -> f64 {
    took.iter().filter(|took| **took < 17.0).count() as f64 / took.len() as f64
}

/// Scrolls slowly, as people do with a wheel, and as fast as a wheel goes; then jumps, as people do with the bar.
async fn scrolled(bench: &mut Bench) {
    let mut took: Vec<f64> = Vec::new();
    let mut stops = Vec::new();
    for (speed, count) in [(20_i32, 180), (60, 180), (200, 120), (-60, 120)] {
        let told = asked(bench, SCROLL, vec![json!(speed), json!(count), json!(0)]).await;
        took.extend(frames(&told));
        stops.push((format!("scrolling at {} pixels a second", (60 * speed).abs()), told));
    }
    let share = 100.0 * smooth(&took);
    bench.table.add("Look: frames under 17 ms while scrolling", "%", share, Bar::AtLeast(95.0));
    bench.table.add("Look: slowest frame while scrolling", "ms", quantile(&took, 1.0), None);
    for (how, told) in stops {
        let (seen, blank) = (&told["seen"], told["blank"].as_f64().unwrap());
        let what = format!("Look: of {seen} cells, blank 150 ms after {how}");
        bench.table.add(what, "", blank, Bar::AtMost(0.0));
    }
    for (which, bar) in [("that were never seen", None), ("again", Some(Bar::AtMost(0.0)))] {
        for share in [0.5, 0.9] {
            let told = asked(bench, SCROLL, vec![json!(0), json!(0), json!(share)]).await;
            let (seen, blank) = (&told["seen"], told["blank"].as_f64().unwrap());
            let what = format!(
                "Look: of {seen} cells, blank 150 ms after a jump to {:.0} %, {which}",
                100.0 * share
            );
            bench.table.add(what, "", blank, bar);
            asked(bench, COMPLETE, Vec::new()).await;
        }
    }
    shifts(bench, "Look: layout shift").await;
}

/// What has moved on the present page.
pub(crate) async fn shifts(bench: &mut Bench, what: &str) {
    let told = asked(bench, SHIFTS, Vec::new()).await;
    let sum = told["sum"].as_f64().unwrap();
    bench.table.add(what, "", sum, Bar::AtMost(0.0));
    if sum > 0.0 {
        eprintln!("moved: {}", told["moved"]);
    }
}

/// What a script says when it is done.
pub(crate) async fn asked(bench: &Bench, script: &str, arguments: Vec<Value>) -> Value {
    bench.browser.driver.execute_async(script, arguments).await.unwrap().json().clone()
}
