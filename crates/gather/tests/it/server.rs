//! A small HTTP server on this machine, which can also do what no decent server does. In: a function from requests to
//! replies. Out: its address, and what it was asked.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What was asked.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// Path and query as they came.
    pub(crate) target: String,
    pub(crate) path: String,
    pub(crate) query: HashMap<String, String>,
    /// Names in small letters.
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
}

/// What is answered.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// A status, headers and a body of the right length.
    Whole(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// Headers with this length, then this body, then the end.
    Short(u64, Vec<u8>),
    /// A body without end, with or without a length told before.
    Endless(Option<u64>),
    /// A byte every 100 ms.
    Drip,
}

impl Reply {
    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::Whole(200, Vec::new(), body.into())
    }

    pub(crate) fn status(status: u16) -> Self {
        Self::Whole(status, Vec::new(), b"no".to_vec())
    }

    pub(crate) fn redirect(place: impl Into<String>) -> Self {
        Self::Whole(302, vec![("location", place.into())], Vec::new())
    }
}

/// A server that runs until the test ends.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) port: u16,
    log: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    pub(crate) fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(SocketAddr::from(([0, 0, 0, 0], 0))).unwrap();
        let server = Self { port: listener.local_addr().unwrap().port(), log: Arc::default() };
        let (log, answer) = (Arc::clone(&server.log), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                std::thread::spawn(move || {
                    let mut reader = BufReader::new(stream.try_clone().unwrap());
                    while let Some(request) = read(&mut reader) {
                        log.lock().unwrap().push(request.clone());
                        if write(&stream, answer(&request)).is_err() {
                            break;
                        }
                    }
                });
            }
        });
        server
    }

    /// An address at one of this machine's many names for itself: 127.0.0.`host`.
    pub(crate) fn url(&self, host: u8, path: &str) -> String {
        format!("http://127.0.0.{host}:{}{path}", self.port)
    }

    pub(crate) fn log(&self) -> Vec<Request> {
        self.log.lock().unwrap().clone()
    }

    pub(crate) fn count(&self, path: &str) -> usize {
        self.log().iter().filter(|request| request.path == path).count()
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    let mut next = |reader: &mut BufReader<TcpStream>| {
        line.clear();
        reader.read_line(&mut line).ok().filter(|&read| read > 0)?;
        Some(line.trim_end().to_owned())
    };
    let target = next(reader)?.split(' ').nth(1)?.to_owned();
    let mut headers = HashMap::new();
    loop {
        let line = next(reader)?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let url = url::Url::parse("http://a").unwrap().join(&target).ok()?;
    Some(Request {
        path: url.path().to_owned(),
        query: url.query_pairs().into_owned().collect(),
        target,
        headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}

/// Writes the reply; an error ends the connection.
fn write(mut stream: &TcpStream, reply: Reply) -> std::io::Result<()> {
    let ended = || std::io::Error::other("ended");
    match reply {
        Reply::Whole(status, headers, body) => {
            let mut head = format!("HTTP/1.1 {status} Status\r\ncontent-length: {}\r\n", body.len());
            headers.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
            stream.write_all(head.as_bytes())?;
            stream.write_all(b"\r\n")?;
            stream.write_all(&body)
        }
        Reply::Short(length, body) => {
            stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n").as_bytes())?;
            stream.write_all(&body)?;
            stream.shutdown(std::net::Shutdown::Both)?;
            Err(ended())
        }
        Reply::Endless(length) => {
            let length = length.map(|length| format!("content-length: {length}\r\n")).unwrap_or_default();
            stream.write_all(format!("HTTP/1.1 200 OK\r\n{length}connection: close\r\n\r\n").as_bytes())?;
            loop {
                stream.write_all(&[0xff; 1 << 16])?;
            }
        }
        Reply::Drip => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")?;
            loop {
                stream.write_all(b"x")?;
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    }
}
