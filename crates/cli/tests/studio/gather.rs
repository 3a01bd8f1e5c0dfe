//! From an empty folder to a data set, in a browser: photos gathered from a service on this machine, and photos of one's own, dropped,
//! pasted, chosen and taken by a camera; a reloaded page, a killed studio and the command in the terminal agree with it.

use std::fs;
use std::path::Path;
use std::process::Command;

use thirtyfour::prelude::*;

use crate::browser::Browser;
use crate::image_service::{Offer, serve};
use crate::program::Program;

/// Photos that the service has of each class, and that are asked for.
const OFFERED: usize = 18;
const ASKED: usize = 6;
/// What the page says of photos that were sent.
const QUEUE: &str = "document.querySelector('#queue').innerText";

/// Drawn pictures of a class, with a dead link and a copy among them.
fn offers(drawn: &Path, class: &str) -> Vec<Offer> {
    let file = |number: usize| drawn.join(class).join(format!("{class}-{number:03}.png"));
    let offer = |number: usize| Offer {
        path: format!("{class}/{number}.png"),
        file: (number != 1).then(|| file(if number == 2 { 0 } else { number })),
    };
    (0..OFFERED).map(offer).collect()
}

/// Has a picture that a canvas draws, and a page that is none, dropped or pasted.
async fn bring(browser: &Browser, how: &str, class: &str, colour: &str) {
    let script = r"const [how, label, colour, done] = arguments;
        document.querySelector('#class').value = label;
        const canvas = Object.assign(document.createElement('canvas'), { width: 80, height: 60 });
        const context = canvas.getContext('2d');
        context.fillStyle = colour;
        context.fillRect(10, 10, 40, 20);
        canvas.toBlob((photo) => {
          const data = new DataTransfer();
          data.items.add(new File([photo], `${colour} one.png`));
          data.items.add(new File(['<svg onload=alert(1)>'], '<b>no.svg'));
          const event = how === 'drop'
            ? new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true })
            : new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true });
          document.dispatchEvent(event);
          done();
        });";
    browser.driver.execute_async(script, vec![how.into(), class.into(), colour.into()]).await.unwrap();
}

/// Fills the form in and begins.
async fn gather(browser: &Browser) {
    browser.until("document.querySelectorAll('[name=name]').length === 2").await;
    let fields = format!(
        "(([first, second]) => {{ first.value = 'acorn'; second.value = 'leaf';
         document.querySelector('[name=per_class]').value = {ASKED}; document.querySelector('[name=min_size]').value = 60;
         for (const box of document.querySelectorAll('[name=source]')) box.checked = box.value === 'openverse';
         document.querySelector('#ask').dispatchEvent(new Event('input')); }})(document.querySelectorAll('[name=name]'))"
    );
    browser.value(&fields).await;
    browser.until("document.querySelector('.command code').innerText.includes('--source openverse')").await;
    browser.click("#ask > .do").await;
    browser.until("document.querySelector('#gathering').dataset.job?.endsWith('done')").await;
    browser.until(&format!("document.querySelectorAll('.arrivals li').length === {}", 2 * ASKED)).await;
}

/// The command that the page shows finds that everything is there.
fn same_in_a_terminal(folder: &Path, command: &str) {
    let command = command.replacen("sciurus", env!("CARGO_BIN_EXE_sciurus"), 1);
    let home = folder.join("home");
    let ran = Command::new("sh")
        .args(["-c", &command])
        .current_dir(folder)
        .env("HOME", home)
        .env("XDG_DATA_HOME", folder.join("data"))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success() && told.contains(&format!("acorn: {ASKED} of {ASKED} photos")), "{ran:?}");
}

/// Adds four photos to a new class: dropped, pasted, chosen, and taken by the camera.
async fn own(browser: &Browser, folder: &Path) {
    bring(browser, "drop", "oak", "green").await;
    browser.until(&format!("{QUEUE} === '1 of 2 added · 1 refused'")).await;
    assert!(folder.join("photos/oak/green one.png").is_file());
    let refused = browser.value("document.querySelector('#refused').innerText").await;
    assert!(refused.as_str().unwrap().starts_with("<b>no.svg: "), "{refused}");
    // … pasted, …
    bring(browser, "paste", "oak", "blue").await;
    browser.until(&format!("{QUEUE} === '2 of 4 added · 2 refused'")).await;
    assert!(folder.join("photos/oak/blue one.png").is_file());
    // … chosen, …
    let file = browser.driver.find(By::Id("file")).await.unwrap();
    file.send_keys(folder.join("drawn/acorn/acorn-017.png").display().to_string()).await.unwrap();
    browser.until(&format!("{QUEUE}.startsWith('3 of 5 added')")).await;
    assert!(folder.join("photos/oak/acorn-017.png").is_file());
    // … and taken by the camera, as long as a key is held.
    browser.click("#camera").await;
    browser.until("document.querySelector('#video').videoWidth > 0").await;
    browser.picture("camera").await;
    browser.click("#shoot").await;
    browser.until(&format!("{QUEUE}.startsWith('4 of 6 added')")).await;
    assert!(folder.join("photos/oak/camera.jpg").is_file());
    browser.click("#close").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn from_an_empty_folder_to_photos_with_licences_and_of_ones_own() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    sciurus::draw_demo(&folder.join("drawn"), OFFERED, 42).unwrap();
    fs::create_dir(folder.join("photos")).unwrap();
    let Some(browser) = Browser::start().await else { return };
    let drawn = folder.join("drawn");
    let address = serve(vec![("acorn", offers(&drawn, "acorn")), ("leaf", offers(&drawn, "leaf"))]);
    let endpoint = format!("openverse={address}/");
    let options = ["--endpoint", &endpoint, "--allow-private-hosts", "127.0.0.1"];
    let program = Program::start_with(folder, &options);
    browser.driver.goto(&program.address).await.unwrap();
    browser.click("main a[href='/gather']").await;
    gather(&browser).await;
    // Everything that arrived can be seen, with its licence and a way to where it is from.
    browser.until("[...document.querySelectorAll('.arrivals img')].every((image) => { image.loading = 'eager'; return image.naturalWidth > 0; })").await;
    let links = "[...document.querySelectorAll('.arrivals a.badge')].filter((link) => link.innerText === 'CC BY' \
                 && link.rel === 'noopener noreferrer' && link.href.includes('/about/')).length";
    assert_eq!(browser.value(links).await, 2 * ASKED);
    let not = browser.value("document.querySelectorAll('#rejected li').length").await;
    let summary = browser.value("document.querySelector('#rejected summary').innerText").await;
    assert_eq!(summary, format!("{not} not kept"));
    assert!(not.as_u64().unwrap() >= 4, "{not}");
    browser.picture("gather").await;
    // Another look at the page shows the same.
    let all = "document.querySelector('#gathering table').innerText + document.querySelector('.arrivals').innerText";
    let before = browser.value(all).await;
    browser.driver.refresh().await.unwrap();
    browser.until("document.querySelector('#gathering').dataset.job?.endsWith('done')").await;
    assert_eq!(browser.value(all).await, before);
    let command = browser.value("document.querySelector('.command code').innerText").await;
    same_in_a_terminal(folder, command.as_str().unwrap());
    browser.until("document.querySelector('#then a[href=\"/look\"]')").await;

    own(&browser, folder).await;

    // What is dropped while the studio is away is sent when it is back.
    browser.until("!document.querySelector('#job p')?.innerText.includes('reading')").await;
    program.kill();
    bring(&browser, "drop", "oak", "red").await;
    browser.until(&format!("{QUEUE}.includes('waiting for the studio')")).await;
    let program = Program::start_with(folder, &options);
    browser.until(&format!("{QUEUE}.startsWith('5 of 8 added')")).await;
    assert!(folder.join("photos/oak/red one.png").is_file());
    let photos = 2 * ASKED + 5;
    browser.until("document.querySelector('#then a[href=\"/look\"]')").await;
    browser.driver.goto(program.page("/")).await.unwrap();
    browser
        .until(&format!("document.querySelector('h1')?.innerText === '{photos} photos of 3 classes'"))
        .await;
    browser.end().await;
}
