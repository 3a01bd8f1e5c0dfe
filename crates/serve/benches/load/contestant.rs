//! The servers. In: a model. Out: processes that answer, how long that took after their start, and their memory.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Args;
use crate::client::Client;

/// How long a server may take until it answers: importing PyTorch for the first time takes its time.
const PATIENCE: Duration = Duration::from_secs(180);

/// A server that can be started.
#[derive(Debug)]
pub(crate) struct Contestant {
    pub(crate) name: &'static str,
    program: PathBuf,
    arguments: Vec<String>,
    threads: usize,
}

/// One that answers.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) port: u16,
    /// From its start to its first answer.
    pub(crate) cold: Duration,
    child: Child,
}

impl Contestant {
    /// Sciurus first, then those peers that there are.
    pub(crate) fn all(args: &Args, folder: &Path, threads: usize) -> Vec<Self> {
        let model = args.model.canonicalize().expect("--model is there").display().to_string();
        let sciurus = args.sciurus.clone().unwrap_or_else(beside);
        assert!(
            sciurus.is_file(),
            "{} is missing; build it with `cargo build --release --workspace --bins`, or name it with --sciurus",
            sciurus.display()
        );
        let serve = ["serve", &model, "--threads", &threads.to_string()].map(str::to_owned).to_vec();
        let mut all = vec![Self { name: "sciurus serve", program: sciurus, arguments: serve, threads }];
        let Some(python) = &args.python else {
            eprintln!("no --python: Sciurus is measured alone");
            return all;
        };
        let peer = |name, script: &str, rest: &[&str]| {
            let script = peers().join(script).display().to_string();
            let arguments =
                [&[script.as_str(), &model], rest].concat().iter().map(ToString::to_string).collect();
            Self { name, program: python.clone(), arguments, threads }
        };
        if imports(python, "torch, torchvision, fastapi, uvicorn, safetensors, PIL") {
            all.push(peer("FastAPI + PyTorch, bf16", "torch_server.py", &["--precision", "bf16"]));
            all.push(peer("FastAPI + PyTorch, f32", "torch_server.py", &["--precision", "f32"]));
        }
        let onnx = args.onnx.clone().or_else(|| exported(python, &model, folder));
        if let Some(onnx) = onnx
            && imports(python, "onnxruntime, fastapi, uvicorn, safetensors, PIL")
        {
            all.push(peer(
                "FastAPI + onnxruntime, f32",
                "onnx_server.py",
                &["--onnx", &onnx.display().to_string()],
            ));
        }
        all
    }

    /// Starts it, and asks it about a photo until it answers.
    pub(crate) async fn start(&self, photo: &[u8]) -> Running {
        self.start_with(&[], photo).await
    }

    /// The same with more arguments.
    pub(crate) async fn start_with(&self, more: &[&str], photo: &[u8]) -> Running {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let began = Instant::now();
        let threads = self.threads.to_string();
        let child = Command::new(&self.program)
            .args(&self.arguments)
            .args(["--port", &port.to_string()])
            .args(more)
            .envs(["OMP_NUM_THREADS", "MKL_NUM_THREADS"].map(|name| (name, &threads)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{} cannot be started: {error}", self.program.display()));
        let mut running = Running { port, cold: Duration::ZERO, child };
        while !answers(port, photo).await {
            let ended = running.child.try_wait().unwrap();
            assert!(ended.is_none(), "{}: it ended with {ended:?}", self.name);
            assert!(began.elapsed() < PATIENCE, "{}: it never answers", self.name);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        running.cold = began.elapsed();
        running
    }
}

async fn answers(port: u16, photo: &[u8]) -> bool {
    let Ok(mut client) = Client::connect(port).await else { return false };
    client.predict(photo).await.is_ok_and(|answer| answer.status == 200)
}

/// The program in the folder of cargo's target that this benchmark is in.
fn beside() -> PathBuf {
    let this = std::env::current_exe().expect("its own path");
    this.parent().and_then(Path::parent).expect("target/release/deps").join("sciurus")
}

/// Where the scripts are.
fn peers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/load/peers")
}

/// Whether a Python has these modules; says so if not.
fn imports(python: &Path, modules: &str) -> bool {
    let ran = Command::new(python).args(["-c", &format!("import {modules}")]).output();
    let has = ran.as_ref().is_ok_and(|ran| ran.status.success());
    if !has {
        let why = ran
            .map_or_else(|error| error.to_string(), |ran| String::from_utf8_lossy(&ran.stderr).into_owned());
        eprintln!("a peer is left out: `import {modules}` fails: {}", why.lines().last().unwrap_or_default());
    }
    has
}

/// The model as ONNX, by PyTorch.
fn exported(python: &Path, model: &str, folder: &Path) -> Option<PathBuf> {
    let onnx = folder.join("model.onnx");
    let script = peers().join("export_onnx.py");
    let ran = Command::new(python).arg(script).arg(model).arg(&onnx).output().ok()?;
    if !ran.status.success() {
        eprintln!("onnxruntime is left out: {}", String::from_utf8_lossy(&ran.stderr));
        return None;
    }
    Some(onnx)
}

impl Running {
    /// Its memory in MB: now, and the most that it ever had.
    pub(crate) fn memory(&self) -> [f64; 2] {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("Linux");
        let of = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect(name);
            line.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<f64>().expect("kB") * 1024.0
                / 1e6
        };
        [of("VmRSS"), of("VmHWM")]
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
