//! A server among good clients, bad ones, slow ones and liars, while its model is replaced again and again: no good request fails,
//! every refused one is told why, and memory stays. A minute on CI, seconds otherwise, and `SCIURUS_SOAK` seconds by hand.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::Shutdown;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::serving::{Server, answer, request, train_instantly, trained};

/// Seconds that a client of this server may take.
const TIMEOUT: &str = "5";
/// From this length of a soak on, memory must stay as it was once warm. A shorter one is still warming up.
const LONG: Duration = Duration::from_secs(60);

/// A client's round, and its number: what it did wrong, or the server.
type Round = fn(&Soak, usize) -> Result<(), String>;

/// Clients by name, how many there are of each, and their pause after a round.
const CLIENTS: [(&str, usize, u64, Round); 6] = [
    ("good", 2, 15, Soak::good),
    ("rubbish", 1, 25, Soak::rubbish),
    ("bomb", 1, 50, Soak::bomb),
    ("liar", 1, 25, Soak::lie),
    ("slow", 4, 50, Soak::slow),
    ("gone", 1, 25, Soak::gone),
];

struct Soak {
    server: Server,
    photo: Vec<u8>,
    until: Instant,
    /// Answers by client and status.
    heard: Mutex<BTreeMap<(&'static str, u16), usize>>,
    problems: Mutex<Vec<String>>,
    /// How long the refusals of what needs no waiting took.
    refused_in: Mutex<Vec<Duration>>,
}

fn length() -> Duration {
    let usual = if std::env::var_os("CI").is_some_and(|ci| ci == "true") { LONG.as_secs() } else { 8 };
    let asked = std::env::var("SCIURUS_SOAK").ok().map(|seconds| seconds.parse().unwrap());
    Duration::from_secs(asked.unwrap_or(usual))
}

#[test]
fn a_server_stays_itself_among_all_kinds_of_clients() {
    let folder = trained();
    let path = folder.path();
    train_instantly(path, "other", "64");
    std::fs::copy(path.join("run/model.sciurus"), path.join("live.sciurus")).unwrap();
    let server = Server::start(path, &["live.sciurus", "--timeout", TIMEOUT]);
    let length = length();
    let soak = Soak {
        server,
        photo: std::fs::read(some_photo(&path.join("photos"))).unwrap(),
        until: Instant::now() + length,
        heard: Mutex::default(),
        problems: Mutex::default(),
        refused_in: Mutex::default(),
    };
    let memory = soak.run(path);
    let Soak { mut server, heard, problems, refused_in, .. } = soak;
    let problems = problems.into_inner().unwrap();
    assert!(
        problems.is_empty(),
        "{} problems, such as {:#?}\n{}",
        problems.len(),
        &problems[..1],
        server.log()
    );
    report(&heard.into_inner().unwrap(), refused_in.into_inner().unwrap(), &memory);
    if let [warm, .., end] = memory[..] {
        let most = if length >= LONG { 1.1 } else { 1.5 };
        assert!(end <= warm * most, "memory grew from {warm:.0} to {end:.0} MB: {memory:?}");
    }
    assert_eq!(server.end(), Some(0));
    let log = server.log();
    assert!(log.contains("loaded again"), "no model was loaded again");
    assert!(!log.contains("panicked") && !log.contains("network failed"), "{log}");
}

/// A drawn photo.
fn some_photo(photos: &Path) -> std::path::PathBuf {
    let class = std::fs::read_dir(photos).unwrap().next().unwrap().unwrap().path();
    std::fs::read_dir(class).unwrap().next().unwrap().unwrap().path()
}

fn report(heard: &BTreeMap<(&str, u16), usize>, mut refused_in: Vec<Duration>, memory: &[f64]) {
    refused_in.sort();
    let at =
        |share: f64| refused_in.get((refused_in.len() as f64 * share) as usize).copied().unwrap_or_default();
    eprintln!("answers by client and status: {heard:?}");
    eprintln!("refused at once: half within {:?}, 99 % within {:?}", at(0.5), at(0.99));
    eprintln!("megabytes, each the median of a quarter of the time after the first: {memory:.0?}");
    for client in ["good", "rubbish", "bomb", "liar", "slow"] {
        assert!(heard.keys().any(|(name, _)| *name == client), "nobody heard the client `{client}`");
    }
}

impl Soak {
    /// Lets all clients ask until the time is over. The server's memory in the second, third and last quarter.
    fn run(&self, folder: &Path) -> Vec<f64> {
        std::thread::scope(|scope| {
            for (name, count, pause, round) in CLIENTS {
                for client in 0..count {
                    scope.spawn(move || self.repeat((name, pause), client, round));
                }
            }
            scope.spawn(|| self.replace(folder));
            let mut megabytes = Vec::new();
            while Instant::now() < self.until {
                megabytes.extend(self.server.megabytes());
                std::thread::sleep(Duration::from_millis(100));
            }
            let quarters = megabytes.chunks((megabytes.len() / 4).max(1)).skip(1).take(3);
            quarters
                .map(|quarter| {
                    let mut sorted = quarter.to_vec();
                    sorted.sort_by(f64::total_cmp);
                    sorted[sorted.len() / 2]
                })
                .collect()
        })
    }

    fn repeat(&self, (name, pause): (&str, u64), client: usize, round: Round) {
        for number in (client..).step_by(7) {
            if Instant::now() >= self.until {
                break;
            }
            if let Err(problem) = round(self, number) {
                self.problems.lock().unwrap().push(format!("{name}, round {number}: {problem}"));
            }
            std::thread::sleep(Duration::from_millis(pause));
        }
    }

    /// Writes two models over the one that is served, in turn, each whole.
    fn replace(&self, folder: &Path) {
        for run in ["other", "run"].into_iter().cycle() {
            std::thread::sleep(Duration::from_millis(1200));
            if Instant::now() >= self.until {
                break;
            }
            let next = folder.join("next.sciurus");
            std::fs::copy(folder.join(run).join("model.sciurus"), &next).unwrap();
            std::fs::rename(next, folder.join("live.sciurus")).unwrap();
        }
    }

    fn heard(&self, client: &'static str, status: u16) {
        *self.heard.lock().unwrap().entry((client, status)).or_default() += 1;
    }

    /// A photo that must be predicted, in one of the ways that photos are sent.
    fn good(&self, number: usize) -> Result<(), String> {
        let text = STANDARD.encode(&self.photo);
        let form = [
            &b"--X\r\ncontent-disposition: form-data; name=\"photo\"; filename=\"a\"\r\n\r\n"[..],
            &self.photo,
            b"\r\n--X--\r\n",
        ]
        .concat();
        let tensor =
            json!({ "inputs": [{ "name": "image", "datatype": "BYTES", "shape": [1], "data": [text] }] });
        let (line, kind, body) = match number % 4 {
            0 => ("POST /predict", "image/png", self.photo.clone()),
            1 => ("POST /predict?top=1", "multipart/form-data; boundary=X", form),
            2 => ("POST /predict", "application/json", json!({ "image": text }).to_string().into_bytes()),
            _ => ("POST /v2/models/live/infer", "application/json", tensor.to_string().into_bytes()),
        };
        let asked = request(line, &format!("content-type: {kind}\r\n"), &body);
        let (status, said) = self.server.send(&asked).map_err(|error| format!("{line}: {error}"))?;
        self.heard("good", status);
        match status == 200 && said.contains("label") {
            true => Ok(()),
            false => Err(format!("{line}: {status} {said}")),
        }
    }

    /// What cannot be understood.
    fn rubbish(&self, number: usize) -> Result<(), String> {
        let noise: Vec<u8> = (0..5000).map(|at: usize| ((at * at * (number + 3)) >> 3) as u8).collect();
        let json = "content-type: application/json\r\n";
        let form = "content-type: multipart/form-data; boundary=X\r\n";
        let requests = [
            (request("POST /predict", "", &noise), 422),
            (request("POST /predict", json, &noise), 400),
            (request("POST /predict", form, &noise), 400),
            (request("POST /predict", json, br#"{"images": ["AAAA"], "top": -1}"#), 400),
            (request("POST /predict?top=many", "", &self.photo), 400),
            (request("POST /predict?model=birds", "", &self.photo), 404),
            (request("POST /v2/models/live/infer", json, &noise), 400),
            (request("POST /v2/models/live/infer", "inference-header-content-length: 9\r\n", &noise), 400),
            (request("DELETE /predict", "", b""), 405),
            (request("GET /../../etc/passwd", "", b""), 404),
            (request("GET /v2/models/%ff", "", b""), 400),
            ([&noise[..], b"\r\n\r\n"].concat(), 400),
            ([b"GET / HTTP/1.1\r\nx: ", &vec![b'x'; 100_000][..], b"\r\n\r\n"].concat(), 431),
        ];
        let (bytes, status) = &requests[number % requests.len()];
        self.refused("rubbish", bytes, &[*status])
    }

    /// Photos that cost more than they look.
    fn bomb(&self, number: usize) -> Result<(), String> {
        let plain = image::RgbImage::from_fn(40, 30, |x, y| [x as u8, y as u8, 9].into());
        let mut jpeg = std::io::Cursor::new(Vec::new());
        plain.write_to(&mut jpeg, image::ImageFormat::Jpeg).unwrap();
        let jpeg = jpeg.into_inner();
        let claiming = |side: u16| {
            let frame = jpeg.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
            let size = [side.to_be_bytes(), side.to_be_bytes()].concat();
            [&jpeg[..frame + 5], &size, &jpeg[frame + 9..]].concat()
        };
        let side = 65_535_u16.to_le_bytes();
        let gif = [
            &b"GIF89a"[..],
            &side,
            &side,
            &[0x80, 0, 0, 0, 0, 0, 255, 255, 255],
            b",\0\0\0\0",
            &side,
            &side,
            &[0, 2, 2, 0x4c, 1, 0, 0x3b],
        ]
        .concat();
        let bmp = |side: i32| {
            [
                &b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0"[..],
                &side.to_le_bytes(),
                &side.to_le_bytes(),
                b"\x01\0\x18\0",
                &[0; 24],
                &[9; 16],
            ]
            .concat()
        };
        let bombs = [claiming(65_000), gif, bmp(9000), claiming(9000), bmp(i32::MAX)];
        self.refused("bomb", &request("POST /predict", "", &bombs[number % bombs.len()]), &[422])
    }

    /// Who says another length than what comes.
    fn lie(&self, number: usize) -> Result<(), String> {
        let head = |length: &str| {
            format!(
                "POST /predict HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-length: {length}\r\n"
            )
        };
        let (length, more) = [
            ("9000000000", ""),
            ("-1", ""),
            ("many", ""),
            ("9", "content-length: 10\r\n"),
            ("9", "transfer-encoding: chunked\r\n"),
        ][number % 5];
        let bytes = [format!("{}{more}\r\n", head(length)).as_bytes(), b"nine bytes and more"].concat();
        self.refused("liar", &bytes, &[400, 413, 422])?;
        // More than ever comes.
        let mut stream = self.server.connect().map_err(|error| error.to_string())?;
        let _ = stream.write_all(format!("{}\r\nnine bytes", head("100")).as_bytes());
        let _ = stream.shutdown(Shutdown::Write);
        let (status, said) = answer(&mut stream).map_err(|error| format!("half a body: {error}"))?;
        self.heard("liar", status);
        told_why(status, &said)
    }

    /// A head, or a body, that comes byte by byte, and an answer that nobody fetches for a while.
    fn slow(&self, number: usize) -> Result<(), String> {
        let mut stream = self.server.connect().map_err(|error| error.to_string())?;
        let head = "POST /predict HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 1000000\r\n";
        let bytes = if number.is_multiple_of(2) { head.to_owned() } else { format!("{head}\r\n") };
        stream.set_nonblocking(true).map_err(|error| error.to_string())?;
        let mut peeked = [0];
        for byte in bytes.bytes().chain(std::iter::repeat(b'x')) {
            let is_told = stream.peek(&mut peeked).is_ok();
            if is_told || Instant::now() >= self.until || stream.write_all(&[byte]).is_err() {
                break;
            }
            std::thread::sleep(Duration::from_millis(if bytes.ends_with("\r\n\r\n") { 5 } else { 60 }));
        }
        stream.set_nonblocking(false).map_err(|error| error.to_string())?;
        let (status, said) = answer(&mut stream).map_err(|error| format!("slowly: {error}"))?;
        self.heard("slow", status);
        match status {
            408 => told_why(status, &said),
            _ => Err(format!("{status} {said}")),
        }
    }

    /// A connection that breaks off in the middle of a request, or before its answer.
    fn gone(&self, number: usize) -> Result<(), String> {
        let mut stream = self.server.connect().map_err(|error| error.to_string())?;
        let whole = request("POST /predict", "", &self.photo);
        let _ = stream.write_all(&whole[..whole.len() * (number % 5) / 4]);
        Ok(())
    }

    /// Sends what must be refused at once, with one of these statuses.
    fn refused(&self, client: &'static str, bytes: &[u8], statuses: &[u16]) -> Result<(), String> {
        let began = Instant::now();
        let (status, said) = self.server.send(bytes).map_err(|error| format!("{statuses:?}: {error}"))?;
        self.refused_in.lock().unwrap().push(began.elapsed());
        self.heard(client, status);
        match statuses.contains(&status) {
            true => told_why(status, &said),
            false => Err(format!("{status} instead of {statuses:?}: {said}")),
        }
    }
}

/// Whether a refusal says why: in JSON, in plain text where the framework refuses, and by its status alone only where the request was
/// no HTTP.
fn told_why(status: u16, said: &str) -> Result<(), String> {
    let in_json = serde_json::from_str::<Value>(said)
        .is_ok_and(|said| !said["error"].as_str().unwrap_or("").is_empty());
    let in_words = !said.is_empty() && !said.starts_with('{');
    let by_status = said.is_empty() && [400, 431].contains(&status);
    match in_json || in_words || by_status {
        true => Ok(()),
        false => Err(format!("{status} without a reason: {said}")),
    }
}
