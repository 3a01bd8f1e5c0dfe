//! Weight files and downloads: what is read, what is refused.
