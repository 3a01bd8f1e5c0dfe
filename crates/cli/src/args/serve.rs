//! What can be typed after `sciurus serve`.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use sciurus::Device;

const SERVE: &str = "\
Answer by HTTP what photos show. Photos are prepared exactly as they were when the model was measured, and what \
comes together is predicted together. The files of models are watched: a new one is loaded without a failed request.

  sciurus serve runs/squirrels-20261124-101500
  curl --data-binary @photo.jpg http://127.0.0.1:8000/predict
  sciurus serve squirrels=squirrels.sciurus birds=birds.sciurus --port 9000
  SCIURUS_SERVE_KEY=secret sciurus serve squirrels.sciurus --host 0.0.0.0";

const SERVE_AFTER: &str = "\
Addresses: /predict (a photo, a form with photos, or JSON), /v2 (Open Inference Protocol), /healthz, /readyz, \
/metrics (Prometheus), /openapi.json, and a page to try photos on. Ctrl-C or SIGTERM: what was asked is still \
answered. SIGHUP: all models are loaded again. The log is JSON, one line a request, on standard error.";

#[derive(Debug, Args)]
#[command(about = "Answer by HTTP what photos show", long_about = SERVE, after_help = SERVE_AFTER)]
pub(crate) struct ServeArgs {
    /// Runs, or model.sciurus files; a request that names no model means the first
    #[arg(required = true, value_name = "[NAME=]RUN|MODEL")]
    pub(crate) models: Vec<String>,
    /// Address to listen at; with 0.0.0.0 all machines that reach this one can ask
    #[arg(long, default_value = "127.0.0.1")]
    pub(crate) host: IpAddr,
    /// Port to listen at; 0 for any that is free
    #[arg(long, default_value_t = 8000)]
    pub(crate) port: u16,
    /// A file with a key that requests must carry (Authorization: Bearer KEY) [default: SCIURUS_SERVE_KEY, or none]
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// Web pages of this origin may ask, such as https://example.org; may be given several times
    #[arg(long, value_name = "ORIGIN")]
    pub(crate) origin: Vec<String>,
    /// Photos of a model that may wait; more are refused with 429
    #[arg(long, default_value_t = 256, value_name = "PHOTOS")]
    pub(crate) queue: usize,
    /// Photos that are predicted at once, at most
    #[arg(long, default_value_t = 64, value_name = "IMAGES")]
    pub(crate) batch_size: usize,
    /// Largest request, in MB
    #[arg(long, default_value_t = 32, value_name = "MB", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub(crate) max_request: u32,
    /// Connections that may be open at once; more are refused with 429
    #[arg(long, default_value_t = 512, value_name = "CONNECTIONS", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_connections: u32,
    /// Seconds that a request may take: its head to arrive, its body, and its answer; and that a connection may be idle
    #[arg(long, default_value_t = 30, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) timeout: u64,
    /// Labels that an answer lists
    #[arg(long, default_value_t = 5, value_name = "LABELS")]
    pub(crate) top: usize,
    /// Give every photo a label, also those that are unlike anything the model knows
    #[arg(long)]
    pub(crate) no_reject: bool,
    /// Where to compute: cpu, vulkan, metal, cuda, rocm, wgpu
    #[arg(long, default_value_t = Device::Cpu)]
    pub(crate) device: Device,
    /// Threads that decode and compute [default: all cores]
    #[arg(long)]
    pub(crate) threads: Option<usize>,
    /// JSON for programs, on standard output: the address
    #[arg(long)]
    pub(crate) json: bool,
}
