// SPDX-License-Identifier: Apache-2.0
//! Tells the programs which compiler made them.
use std::process::Command;

fn main() {
    let rustc = std::env::var("RUSTC").unwrap_or("rustc".into());
    let said = Command::new(rustc).arg("--version").output().map(|o| o.stdout).unwrap_or_default();
    let words = String::from_utf8_lossy(&said);
    let version: Vec<_> = words.split_whitespace().take(2).collect();
    println!("cargo:rustc-env=BENCH_RUSTC={}", version.join(" "));
    println!("cargo:rerun-if-changed=build.rs");
}
