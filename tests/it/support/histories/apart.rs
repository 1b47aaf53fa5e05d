//! A server that can be killed: a process of its own, behind a door that stays where it is. Whoever comes while there is no server waits at
//! the door.

use super::SMALL;
use crate::support::DEADLINE;
use crate::support::command::{CommandLine, Serving};
use crate::support::server::Server;
use std::sync::Mutex;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

pub struct Apart {
    line: CommandLine,
    serving: Mutex<Option<Serving>>,
    /// Where the server is, while there is one.
    address: watch::Sender<Option<String>>,
    base: String,
}

impl Apart {
    /// On the data of a server that has stopped.
    pub async fn serve(data: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let (address, leads_to) = watch::channel(None);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, leads_to.clone()));
            }
        });
        let apart = Self { line: CommandLine::of(data), serving: Mutex::new(None), address, base };
        apart.start().await;
        apart
    }

    /// Where it always answers.
    pub fn base(&self) -> &str {
        &self.base
    }

    pub async fn kill_and_serve_again(&self) {
        self.address.send_replace(None);
        // Killed when dropped.
        drop(self.serving.lock().expect("one at a time").take());
        self.start().await;
    }

    /// Has the operator's command look for breaches, with nobody serving.
    pub async fn verify(&self) {
        self.address.send_replace(None);
        drop(self.serving.lock().expect("one at a time").take());
        self.line.run(&["verify"]).await.done();
    }

    async fn start(&self) {
        let rates = ["posts_per_account", "commands_per_account", "frames_per_connection", "requests_per_address"];
        let more = ["requests_per_account", "connections_per_address", "register_per_address"];
        let off = rates.iter().chain(&more).map(|rate| format!("rates.{rate}=off"));
        let settings: Vec<String> = SMALL.iter().map(|(key, value)| format!("{key}={value}")).chain(off).collect();
        let arguments: Vec<&str> = settings.iter().flat_map(|setting| ["--set", setting.as_str()]).collect();
        let serving = self.line.serve(&arguments).await;
        self.address.send_replace(Some(serving.address().to_owned()));
        *self.serving.lock().expect("one at a time") = Some(serving);
    }
}

/// Between a client and whatever server there is; ends with either, and if no server comes.
async fn pass(mut client: TcpStream, mut leads_to: watch::Receiver<Option<String>>) -> Option<()> {
    let address = timeout(DEADLINE, leads_to.wait_for(Option::is_some)).await.ok()?.ok()?.clone()?;
    let mut server = TcpStream::connect(address).await.ok()?;
    copy_bidirectional(&mut client, &mut server).await.ok().map(drop)
}
