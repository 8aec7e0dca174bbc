//! Hosts of their own on this machine: network namespaces, and cables between them that can be cut.
//! They need root, and `ip`.

use std::fs::File;
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::Value;

use crate::program::Outcome;

/// Where `ip` and what it starts find their programs.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// So that two networks of one process have different names.
static NETS: AtomicU32 = AtomicU32::new(0);

/// A desk, at which the thread sits that made the network, and hosts around it. All of it is gone when
/// this is dropped, with whatever runs on it.
pub struct Net {
    desk: Host,
    hosts: Vec<Host>,
    /// Where the thread comes from.
    home: File,
}

/// A host.
pub struct Host {
    namespace: String,
    address: String,
}

impl Net {
    /// Makes hosts, each with a cable to the desk, and seats this thread at the desk: what it starts
    /// from now on, threads as well, is there, too.
    ///
    /// # Panics
    /// When that is not possible, as without root.
    #[must_use]
    pub fn new(hosts: usize) -> Self {
        let home = File::open("/proc/thread-self/ns/net").expect("Linux has network namespaces");
        let name =
            format!("narpool-{}-{}", std::process::id(), NETS.fetch_add(1, Ordering::Relaxed));
        let desk = Host::new(format!("{name}-desk"), String::new());
        let mut net = Self { desk, hosts: Vec::new(), home };
        for number in 1..=hosts {
            let host = Host::new(format!("{name}-{number}"), format!("10.77.{number}.2"));
            net.hosts.push(host);
            let host = &net.hosts[number - 1];
            let _ = cable(&net.desk, host, &format!("10.77.{number}"), &format!("desk{number}"));
        }
        enter(&net.desk.namespace);
        net
    }

    /// A host, the first of which is 0.
    #[must_use]
    pub fn host(&self, number: usize) -> &Host {
        &self.hosts[number]
    }

    /// A further cable between two hosts, over which nothing else goes, and which lets through so many
    /// megabits a second each way.
    ///
    /// # Panics
    /// When it cannot be laid.
    #[must_use]
    pub fn cable(&self, one: usize, other: usize, megabits: u32) -> Cable {
        let name = format!("wire{one}{other}");
        let cable =
            cable(self.host(one), self.host(other), &format!("10.78.{}", one * 16 + other), &name);
        for end in &cable.ends {
            let pace = format!("tbf rate {megabits}mbit burst 64kb latency 50ms");
            ip(&format!("netns exec {end} tc qdisc add dev {name} root {pace}"));
        }
        cable
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        let _ = move_into_link_name_space(self.home.as_fd(), Some(LinkNameSpaceType::Network));
    }
}

impl Host {
    fn new(namespace: String, address: String) -> Self {
        ip(&format!("netns add {namespace}"));
        let host = Self { namespace, address };
        ip(&format!("-n {} link set lo up", host.namespace));
        host
    }

    /// Where the desk reaches it: an address without a port.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The same program with the same arguments, as this host runs it, with no other variables than
    /// those that were set for it.
    #[must_use]
    pub fn runs(&self, command: &Command) -> Command {
        let mut run = Command::new("ip");
        run.args(["netns", "exec", &self.namespace]).arg(command.get_program());
        run.args(command.get_args()).env_clear().env("PATH", PATH);
        run.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        run
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let pids = Command::new("ip").args(["netns", "pids", &self.namespace]).output();
        let pids = pids.map(|it| String::from_utf8_lossy(&it.stdout).into_owned());
        let own = std::process::id().cast_signed();
        for pid in pids.unwrap_or_default().lines().filter_map(|pid| pid.parse().ok()) {
            if let Some(pid) = Pid::from_raw(pid).filter(|_| pid != own) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        let _ = Command::new("ip").args(["netns", "del", &self.namespace]).output();
    }
}

/// A cable between two hosts.
pub struct Cable {
    name: String,
    ends: [String; 2],
    addresses: [String; 2],
}

impl Cable {
    /// The address at its first end, or its second.
    #[must_use]
    pub fn address(&self, end: usize) -> &str {
        &self.addresses[end]
    }

    /// Pulls it out at one end. Whatever is sent over it is lost, and who is at the other end is told
    /// nothing.
    ///
    /// # Panics
    /// When it cannot be pulled.
    pub fn cut(&self, end: usize) {
        ip(&format!("-n {} link set {} down", self.ends[end], self.name));
    }

    /// Plugs it in again.
    ///
    /// # Panics
    /// When it cannot be.
    pub fn mend(&self) {
        for end in &self.ends {
            ip(&format!("-n {end} link set {} up", self.name));
        }
    }

    /// Bytes that came out at an end so far, with all that is around them.
    ///
    /// # Panics
    /// When the kernel does not tell.
    #[must_use]
    pub fn came(&self, end: usize) -> u64 {
        let told = ip(&format!("-n {} -s -j link show dev {}", self.ends[end], self.name));
        let told: Value = serde_json::from_str(&told).expect("ip tells in JSON");
        told[0]["stats64"]["rx"]["bytes"].as_u64().expect("ip counts bytes")
    }
}

/// Lays a cable between two hosts, which have the addresses `PREFIX.1` and `PREFIX.2` there.
fn cable(one: &Host, other: &Host, prefix: &str, name: &str) -> Cable {
    let ends = [one, other].map(|host| host.namespace.clone());
    let [first, second] = &ends;
    ip(&format!("link add {name} netns {first} type veth peer name {name} netns {second}"));
    let addresses = [1, 2].map(|at| format!("{prefix}.{at}"));
    for (end, address) in ends.iter().zip(&addresses) {
        ip(&format!("-n {end} address add {address}/24 dev {name}"));
        ip(&format!("-n {end} link set {name} up"));
    }
    Cable { name: name.to_owned(), ends, addresses }
}

fn ip(arguments: &str) -> String {
    let outcome = Outcome::of(Command::new("ip").args(arguments.split(' ')));
    let why =
        "hosts of their own need root, iproute2, and a kernel with network namespaces and tbf";
    assert_eq!(outcome.code, 0, "{why}: ip {arguments}: {}", outcome.stderr);
    outcome.stdout
}

/// Moves this thread to a host.
fn enter(namespace: &str) {
    let namespace = File::open(format!("/run/netns/{namespace}")).expect("it was made");
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
        .expect("root may enter a namespace");
}
