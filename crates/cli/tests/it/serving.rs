//! `sciurus serve` as a child process, and what its clients need.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{command, drawn, sciurus};

/// A folder with a model of drawn acorns and leaves.
pub(crate) fn trained() -> tempfile::TempDir {
    let folder = drawn(30);
    train_instantly(folder.path(), "run", "96");
    folder
}

/// Trains on the photos of such a folder, in seconds.
pub(crate) fn train_instantly(folder: &Path, run: &str, size: &str) {
    let options = ["--instant", "--arch", "hazel", "--quiet", "--image-size", size, "--run", run];
    sciurus(folder, &[&["train", "photos"], &options[..]].concat()).expect(0);
}

/// A server, killed where a test fails.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
    log: PathBuf,
}

impl Server {
    /// `sciurus serve` with these arguments, once it listens.
    pub(crate) fn start(folder: &Path, arguments: &[&str]) -> Self {
        // A file: a pipe that nobody empties would stop the server.
        let log = folder.join("serve.log");
        let mut command = command(folder, &[&["serve", "--port", "0", "--json"], arguments].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(File::create(&log).unwrap()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line)
            .unwrap_or_else(|_| panic!("{}", std::fs::read_to_string(&log).unwrap()));
        assert_eq!(said["models"].as_array().unwrap().len(), 1);
        let address = said["address"].as_str().unwrap().trim_end_matches('/').to_owned();
        Self { child, port: address.rsplit(':').next().unwrap().parse().unwrap(), log }
    }

    pub(crate) fn connect(&self) -> std::io::Result<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(stream)
    }

    /// The status and body of an answer to a request with this first line.
    pub(crate) fn ask(&self, line: &str, body: &[u8]) -> (u16, String) {
        self.send(&request(line, "", body)).unwrap()
    }

    /// The status and body of what is said to these bytes before the connection is closed.
    pub(crate) fn send(&self, bytes: &[u8]) -> std::io::Result<(u16, String)> {
        let mut stream = self.connect()?;
        // Who is refused before it has sent everything may be disconnected while it sends, and can still read why.
        let _ = stream.write_all(bytes);
        answer(&mut stream)
    }

    /// What the server has written into its log.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    #[cfg(unix)]
    pub(crate) fn signal(&self, name: &str) {
        let sent = std::process::Command::new("kill").args([name, &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// Asks it to end, and gives its exit code.
    #[cfg(unix)]
    pub(crate) fn end(&mut self) -> Option<i32> {
        self.signal("-TERM");
        let began = Instant::now();
        loop {
            if let Some(ended) = self.child.try_wait().unwrap() {
                return ended.code();
            }
            assert!(began.elapsed() < Duration::from_secs(20), "it does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Its memory in MB, where the system says it.
    pub(crate) fn megabytes(&self) -> Option<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        Some(line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A request with this first line and these further headers, after which the connection closes.
pub(crate) fn request(line: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "{line} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// The status and body of what is said before the connection is closed.
pub(crate) fn answer(stream: &mut TcpStream) -> std::io::Result<(u16, String)> {
    let (mut all, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(bytes) => all.extend(&piece[..bytes]),
            // What was said before counts.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset && !all.is_empty() => break,
            Err(error) => return Err(error),
        }
    }
    let said = String::from_utf8_lossy(&all);
    let parsed = said
        .split_once("\r\n\r\n")
        .and_then(|(head, body)| Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned())));
    parsed.ok_or_else(|| std::io::Error::other(format!("no answer: `{said}`")))
}
