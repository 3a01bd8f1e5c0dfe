//! A browser to test with.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use thirtyfour::error::WebDriverErrorInner;
use thirtyfour::prelude::*;

/// Time that a page is given for anything.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) struct Browser {
    pub(crate) driver: WebDriver,
    chromedriver: Child,
    _profile: tempfile::TempDir,
}

fn found(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file())
}

impl Browser {
    /// Starts one; nothing where there is none.
    pub(crate) async fn start() -> Option<Self> {
        let (Some(chromium), Some(chromedriver)) = (found("chromium"), found("chromedriver")) else {
            assert!(
                std::env::var_os("CI").is_none_or(|ci| ci != "true"),
                "CI has no chromium and chromedriver"
            );
            eprintln!("passed over: there is no chromium with its chromedriver");
            return None;
        };
        // The driver's client wants one, though it only speaks to this machine, in plain text.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let chromedriver = Command::new(chromedriver)
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let profile = tempfile::tempdir().unwrap();
        let mut capabilities = DesiredCapabilities::chrome();
        capabilities.set_binary(&chromium.display().to_string()).unwrap();
        let folder = format!("--user-data-dir={}", profile.path().display());
        for flag in [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            // A camera that shows a pattern, and nobody is asked whether it may.
            "--use-fake-device-for-media-stream",
            "--use-fake-ui-for-media-stream",
            "--window-size=1280,900",
            &folder,
        ] {
            capabilities.add_arg(flag).unwrap();
        }
        let began = Instant::now();
        let driver = loop {
            match WebDriver::new(format!("http://127.0.0.1:{port}"), capabilities.clone()).await {
                Ok(driver) => break driver,
                Err(error) => assert!(began.elapsed() < PATIENCE, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        Some(Self { driver, chromedriver, _profile: profile })
    }

    /// What an expression of the page's own language is worth.
    pub(crate) async fn value(&self, expression: &str) -> serde_json::Value {
        let answer = self.driver.execute(format!("return {expression}"), Vec::new()).await;
        answer.unwrap_or_else(|error| panic!("{expression}: {error}")).json().clone()
    }

    /// Asks the browser's own developer tools, which no rule of a page stops.
    pub(crate) async fn tools(&self, method: &str, parameters: serde_json::Value) -> serde_json::Value {
        let answer = self.driver.cdp().send_raw(method, parameters).await;
        answer.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// Waits until an expression is true.
    pub(crate) async fn until(&self, expression: &str) {
        let began = Instant::now();
        // While a page gives way to the next, there is nothing to ask.
        while !self
            .driver
            .execute(format!("return Boolean({expression})"), Vec::new())
            .await
            .is_ok_and(|answer| answer.json() == &serde_json::Value::Bool(true))
        {
            if began.elapsed() > PATIENCE {
                let page = self.value("document.body.innerText").await;
                panic!("never true: {expression}\n{}", page.as_str().unwrap_or_default());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Presses keys, whatever has the focus.
    pub(crate) async fn press(&self, keys: impl AsRef<str>) {
        self.driver.action_chain().send_keys(keys.as_ref()).perform().await.unwrap();
    }

    pub(crate) async fn click(&self, selector: &str) {
        let began = Instant::now();
        loop {
            self.until(&format!("document.querySelector({selector:?})")).await;
            let clicked = async { self.driver.find(By::Css(selector)).await?.click().await };
            match clicked.await {
                Ok(()) => return,
                // A live part of the page was drawn anew between finding and clicking: nothing was clicked.
                Err(error) if gone(&error) && began.elapsed() < PATIENCE => {}
                Err(error) => panic!("{selector}: {error}"),
            }
        }
    }

    /// Writes a picture of the page where `SCIURUS_SCREENSHOTS` says, for people who look at it.
    pub(crate) async fn picture(&self, name: &str) {
        if let Some(folder) = std::env::var_os("SCIURUS_SCREENSHOTS") {
            // Pictures fade in, and a page that has just changed is drawn with the next frames.
            tokio::time::sleep(Duration::from_millis(700)).await;
            let wanted = serde_json::json!({ "format": "jpeg", "quality": 80 });
            let answer = self.tools("Page.captureScreenshot", wanted).await;
            let jpeg = STANDARD.decode(answer["data"].as_str().unwrap()).unwrap();
            std::fs::write(PathBuf::from(folder).join(format!("studio-{name}.jpg")), jpeg).unwrap();
        }
    }

    pub(crate) async fn end(self) {
        let _ = self.driver.clone().quit().await;
    }
}

/// Whether an element left the page after it was found.
fn gone(error: &WebDriverError) -> bool {
    use WebDriverErrorInner::{NoSuchElement, StaleElementReference};
    matches!(error.as_inner(), NoSuchElement(_) | StaleElementReference(_))
}

/// Also where a test fails.
impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.chromedriver.kill();
        let _ = self.chromedriver.wait();
    }
}
