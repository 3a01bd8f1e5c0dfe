//! Connections, over TCP: who is slow, idle, too many or not reading, and what becomes of the others; and how a server ends.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sciurus::Predictor;
use sciurus_serve::{Models, ServeSettings, serve_until};
use tokio::sync::oneshot;

use crate::server::{model, picture, png};

/// Longer than anything takes here, on a slow machine too.
const LONG: Duration = Duration::from_secs(60);
const HEALTH: &str = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// A server in a thread of its own.
struct Running {
    port: u16,
    end: oneshot::Sender<()>,
    ended: JoinHandle<std::io::Result<()>>,
    _folder: tempfile::TempDir,
}

impl Running {
    fn new(settings: ServeSettings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = [("squirrels".to_owned(), model(folder.path(), "squirrels.sciurus", ["grey", "red"]))];
        let models = Models::load(&files, settings, |path| Predictor::load(path)).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (end, asked) = oneshot::channel();
        let ended = std::thread::spawn(move || {
            serve_until(listener, models, async {
                let _ = asked.await;
            })
        });
        Self { port, end, ended, _folder: folder }
    }

    fn patient_for(milliseconds: u64) -> Self {
        Self::new(ServeSettings { timeout: Duration::from_millis(milliseconds), ..ServeSettings::default() })
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream
    }

    /// A connection over which a request was answered, and that stays open.
    fn idle(&self) -> TcpStream {
        let mut stream = self.connect();
        ask(&mut stream, HEALTH);
        stream
    }

    /// What the server says of its connections.
    fn counts(&self) -> String {
        let mut stream = self.connect();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
        rest(&mut stream)
    }
}

/// Sends a request without a body whose answer has none, and waits for it.
fn ask(stream: &mut TcpStream, head: &str) {
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
}

/// Everything until the server closes the connection.
fn rest(stream: &mut TcpStream) -> String {
    let (mut all, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(bytes) => all.extend(&piece[..bytes]),
            // To close while somebody is still sending is no politer than this.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
            Err(error) => panic!("the server neither answers nor closes: {error}"),
        }
    }
    String::from_utf8(all).unwrap()
}

/// Tries until it succeeds: a server notices some things a little later.
fn soon(mut tried: impl FnMut() -> bool) {
    let began = Instant::now();
    while !tried() {
        assert!(began.elapsed() < LONG, "it never comes");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn post(body: usize) -> String {
    format!(
        "POST /predict HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {body}\r\n\r\n"
    )
}

#[test]
fn a_head_that_comes_byte_by_byte_is_cut_off_and_told_why() {
    let server = Running::patient_for(700);
    let mut slow = server.connect();
    let mut sending = slow.try_clone().unwrap();
    let sends = std::thread::spawn(move || {
        for byte in HEALTH.bytes().cycle().filter(|byte| *byte != b'\r' && *byte != b'\n') {
            if sending.write_all(&[byte]).is_err() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    ask(&mut server.connect(), HEALTH);
    let told = rest(&mut slow);
    assert!(told.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{told}");
    assert!(told.ends_with(r#"{"error":"the request took longer than 0 s"}"#), "{told}");
    sends.join().unwrap();
    assert!(server.counts().contains(r#"sciurus_clients_cut_off_total{why="slow_head"} 1"#));
}

#[test]
fn idle_connections_are_closed_without_a_word() {
    let server = Running::patient_for(300);
    for mut silent in [server.connect(), server.idle()] {
        assert_eq!(rest(&mut silent), "");
    }
}

#[test]
fn beyond_the_limit_of_connections_the_next_is_told_and_those_before_are_answered() {
    let server = Running::new(ServeSettings { connections: 2, ..ServeSettings::default() });
    let mut open = [server.idle(), server.idle()];
    let mut next = server.connect();
    // Also if it was sending already.
    next.write_all(HEALTH.as_bytes()).unwrap();
    let told = rest(&mut next);
    assert!(
        told.starts_with("HTTP/1.1 429 Too Many Requests\r\n") && told.contains("retry-after: 1"),
        "{told}"
    );
    assert!(told.contains("2 connections are open already"), "{told}");
    for stream in &mut open {
        ask(stream, HEALTH);
    }
    drop(open);
    soon(|| server.counts().contains("\nsciurus_connections 1\n"));
}

#[test]
fn who_never_reads_is_cut_off() {
    let settings =
        ServeSettings { connections: 1, timeout: Duration::from_millis(500), ..ServeSettings::default() };
    let server = Running::new(settings);
    let mut greedy = server.connect();
    greedy.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
    // More answers than the system keeps for anyone.
    let wanted = "GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(10_000);
    let _ = greedy.write_all(wanted.as_bytes());
    soon(|| server.counts().contains(r#"sciurus_clients_cut_off_total{why="took_nothing"} 1"#));
    drop(greedy);
}

#[test]
fn a_server_that_ends_answers_what_was_asked_and_waits_for_nobody_who_is_idle() {
    let server = Running::new(ServeSettings { timeout: LONG, ..ServeSettings::default() });
    let photo = png(&picture(1));
    let (mut idle, mut silent, mut asking) = (server.idle(), server.connect(), server.connect());
    let (first, second) = photo.split_at(photo.len() / 2);
    asking.write_all(post(photo.len()).as_bytes()).unwrap();
    asking.write_all(first).unwrap();
    // Until it has been heard: those who come too late are disconnected like those who say nothing.
    soon(|| server.counts().contains("\nsciurus_connections 4\n"));
    std::thread::sleep(Duration::from_millis(300));
    let began = Instant::now();
    server.end.send(()).unwrap();
    assert_eq!((rest(&mut idle), rest(&mut silent)), (String::new(), String::new()));
    soon(|| TcpStream::connect(("127.0.0.1", server.port)).is_err());
    assert!(!server.ended.is_finished(), "it waits for the request");
    asking.write_all(second).unwrap();
    let answer = rest(&mut asking);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("\"predictions\""), "{answer}");
    server.ended.join().unwrap().unwrap();
    assert!(began.elapsed() < LONG, "it waited for those who are idle");
}

#[test]
fn a_body_that_is_too_long_is_refused_before_it_comes_and_while_it_comes() {
    let server = Running::new(ServeSettings { largest_request: 100_000, ..ServeSettings::default() });
    let mut honest = server.connect();
    honest.write_all(post(10_000_000_000).as_bytes()).unwrap();
    let told = rest(&mut honest);
    assert!(told.starts_with("HTTP/1.1 413") && told.contains("more than 100000 bytes"), "{told}");
    // One that doesn't say how long it is, and doesn't listen before it has sent everything.
    let mut chunked = server.connect();
    chunked
        .write_all(b"POST /predict HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n")
        .unwrap();
    let chunk = [b"2710\r\n", &[7; 10_000][..], b"\r\n"].concat();
    for _ in 0..100 {
        chunked.write_all(&chunk).unwrap();
    }
    let told = rest(&mut chunked);
    assert!(told.starts_with("HTTP/1.1 413") && told.contains("more than 100000 bytes"), "{told}");
}

#[test]
fn all_requests_together_hold_so_much_and_no_more() {
    let server = Running::new(ServeSettings { largest_request: 64 << 10, ..ServeSettings::default() });
    let head = post(64 << 10);
    let mut waiting: Vec<TcpStream> = (0..16).map(|_| server.connect()).collect();
    for stream in &mut waiting {
        stream.write_all(&[head.as_bytes(), &[0; 60_000]].concat()).unwrap();
    }
    // The last of the bytes above may still be on their way.
    soon(|| {
        let mut next = server.connect();
        next.write_all(&[head.as_bytes(), &[0; 64 << 10]].concat()).unwrap();
        let told = rest(&mut next);
        told.starts_with("HTTP/1.1 429") && told.contains("have 1048576 bytes already")
    });
    for stream in &mut waiting {
        stream.write_all(&[0; (64 << 10) - 60_000]).unwrap();
        let told = rest(stream);
        assert!(told.starts_with("HTTP/1.1 422"), "{told}");
    }
    let photo = png(&picture(1));
    let mut next = server.connect();
    next.write_all(&[post(photo.len()).as_bytes(), &photo].concat()).unwrap();
    assert!(rest(&mut next).starts_with("HTTP/1.1 200"));
}

#[test]
fn what_is_no_http_is_refused() {
    let server = Running::new(ServeSettings::default());
    let long = format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "x".repeat(100_000));
    for (rubbish, status) in [("rubbish\r\n\r\n", "400"), ("\x16\x03\x01\x02\r\n\r\n", "400"), (&long, "431")]
    {
        let mut stream = server.connect();
        let _ = stream.write_all(rubbish.as_bytes());
        let told = rest(&mut stream);
        assert!(told.starts_with(&format!("HTTP/1.1 {status} ")), "{rubbish:.20}: {told}");
    }
    ask(&mut server.connect(), HEALTH);
}
