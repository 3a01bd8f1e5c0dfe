//! The page Clean: from a key to the next card, many times.

use std::time::Instant;

use thirtyfour::prelude::*;

use crate::Bench;
use crate::bars::{Bar, quantile};
use crate::dice::Dice;
use crate::look::shifts;

/// Notes, in milliseconds, how long it takes from a key until the next card is in the page, and until its photos can be seen; and
/// how long after the last key a new order arrives.
const WATCH: &str = "
    const desk = document.getElementById('desk');
    const shown = () => [...desk.querySelectorAll('figcaption')].map((one) => one.textContent).join();
    let [pressed, before, last] = [0, '', 0];
    window.bench = { waits: [], photos: [], ranked: [], keys: 0, slow: new Map() };
    new BroadcastChannel('sciurus').onmessage = ({ data }) => {
        if (data.event === 'ranked') bench.ranked.push(performance.now() - last);
    };
    new PerformanceObserver((list) => {
        for (const { interactionId, duration } of list.getEntries())
            if (interactionId) bench.slow.set(interactionId, Math.max(duration, bench.slow.get(interactionId) ?? 0));
    }).observe({ type: 'event', durationThreshold: 16 });
    performance.setResourceTimingBufferSize(100000);
    document.addEventListener('keydown', (event) => {
        bench.keys++;
        last = event.timeStamp;
        if (event.key === 'g') return;
        [pressed, before] = [event.timeStamp, shown()];
    }, true);
    new MutationObserver(async () => {
        const now = shown();
        if (!pressed || now === '' || now === before) return;
        const began = pressed;
        pressed = 0;
        bench.waits.push(performance.now() - began);
        await Promise.allSettled([...desk.querySelectorAll('figure img')].map((picture) => picture.decode()));
        bench.photos.push(performance.now() - began);
    }).observe(desk, { childList: true, subtree: true, characterData: true });";

/// How long each interaction took until the next paint, by the browser's own account; 0 for those that it found too short to name.
const EVENTS: &str = "[...bench.slow.values(), ...Array(Math.max(0, bench.keys - bench.slow.size)).fill(0)]";

/// Milliseconds that each decision took on the way to the studio and back.
const DECISIONS: &str = "performance.getEntriesByType('resource').filter(({ name }) => name.endsWith('/clean/decide')).map(({ duration }) => duration)";

/// What is left is put into a new order after this many decisions.
const REFIT: u64 = 100;

pub(crate) async fn measure(bench: &mut Bench) {
    let began = Instant::now();
    let painted = bench.painted("/clean").await;
    bench.table.add("Clean: first paint", "ms", painted, Bar::Below(1000.0));
    bench.idle().await;
    bench.table.add("looking at every photo", "s", began.elapsed().as_secs_f64(), None);
    bench.browser.until("document.querySelector('#desk[data-ready] .keys')").await;
    shifts(bench, "Clean: layout shift until the first card").await;
    bench.browser.driver.execute(WATCH, Vec::new()).await.unwrap();
    decide(bench).await;
    told(bench).await;
}

/// Decides cards with keys: mostly as proposed.
async fn decide(bench: &Bench) {
    let mut dice = Dice(7);
    let (mut ranked, mut fitted) = (0, 0);
    for card in 0..bench.cards {
        if bench.browser.value("document.querySelector('.done') !== null").await == true {
            bench.browser.press("g").await;
            bench.browser.until("document.querySelector('.desk figure')").await;
        }
        let enter = Key::Enter.value().to_string();
        bench.browser.press(if dice.below(4) == 0 { "k" } else { &enter }).await;
        bench.browser.until(&format!("bench.waits.length > {card} || document.querySelector('.done')")).await;
        if bench.browser.value("document.querySelector('.done') !== null").await == true {
            // There was no next card to wait for.
            bench.browser.value("bench.waits.push(0)").await;
        }
        let decided = bench.browser.value("Number(document.querySelector('.lead strong').innerText)").await;
        let decided = decided.as_u64().unwrap_or(fitted);
        if decided - fitted >= REFIT {
            // Nobody has to wait for it; here it is waited for to be timed.
            (ranked, fitted) = (ranked + 1, decided);
            bench.browser.until(&format!("bench.ranked.length >= {ranked}")).await;
        }
    }
}

async fn told(bench: &mut Bench) {
    let numbers = async |expression: &str| -> Vec<f64> {
        let value = bench.browser.value(expression).await;
        value.as_array().unwrap().iter().map(|one| one.as_f64().unwrap()).collect()
    };
    let waits = numbers("bench.waits").await;
    let photos = numbers("bench.photos").await;
    let ranked = numbers("bench.ranked").await;
    let decisions = numbers(DECISIONS).await;
    let events = numbers(EVENTS).await;
    let table = &mut bench.table;
    let speed = 60e3 * waits.len() as f64 / waits.iter().sum::<f64>();
    table.add("Clean: cards a minute, for keys that never rest", "", speed, Bar::AtLeast(60.0));
    table.add("Clean: key to next card, p95", "ms", quantile(&waits, 0.95), Bar::Below(50.0));
    table.add("Clean: key to next card, slowest", "ms", quantile(&waits, 1.0), None);
    table.add("Clean: key to next photo, p95", "ms", quantile(&photos, 0.95), None);
    table.add("Clean: interaction to next paint, p98", "ms", quantile(&events, 0.98), Bar::Below(100.0));
    table.add("Clean: slowest decision", "ms", quantile(&decisions, 1.0), None);
    let what = format!("Clean: 100th decision to new order, slowest of {}", ranked.len());
    table.add(what, "ms", quantile(&ranked, 1.0), Bar::Below(2000.0));
    shifts(bench, "Clean: layout shift").await;
}
