//! How much memory there is. In: nothing. Out: the bytes this process may use.

use sysinfo::{MemoryRefreshKind, System};

/// The machine's memory in bytes, or the container's limit if that is less.
pub(crate) fn total_bytes() -> u64 {
    let mut system = System::new();
    system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
    let limit = system.cgroup_limits().map_or(u64::MAX, |limits| limits.total_memory);
    match system.total_memory() {
        // A system that doesn't say is assumed to be a small one.
        0 => 4 << 30,
        total => total.min(limit.max(1)),
    }
}
