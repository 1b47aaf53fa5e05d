//! Bytes and frames that no client would send, and those that end too early.

use super::{Dice, goes_on};
use crate::support::calm::Calm;
use crate::support::scene::Scene;
use crate::support::wire::{Head, Said, TEXT, Wire, frame, header};
use crate::support::within;
use serde_json::json;
use tokio::io::AsyncReadExt;
use uuid::Uuid;

/// What a client can be closed with for what it sent. None of ours: 1011 would be a fault of the server.
const FOR_WHAT_WAS_SENT: [u16; 7] = [1000, 1002, 1003, 1007, 1009, 4101, 4201];

/// Reads to the end; the close code, and that it says that the client was at fault.
async fn ended(wire: &mut Wire, what: &str) -> Option<u16> {
    wire.hang_up().await;
    loop {
        match wire.next().await {
            Said::Close(Some(code), _) => {
                assert!(FOR_WHAT_WAS_SENT.contains(&code) || code >= 3000, "{what}: closed with {code}");
                return Some(code);
            }
            Said::Close(None, _) | Said::End => return None,
            Said::Text(_) | Said::Ping(_) | Said::Pong(_) => {}
        }
    }
}

#[tokio::test]
async fn random_bytes_end_in_a_close_code() {
    let (calm, scene, mut dice) = (Calm::watch(), Scene::start().await, Dice(0x5EED_0001));
    for round in 0..150 {
        let mut wire =
            if round % 2 == 0 { Wire::open(&scene.server).await } else { Wire::greeted(&scene.server, &scene.bob).await };
        let count = 1 + dice.roll(400);
        let bytes = dice.bytes(count);
        wire.bytes(&bytes).await;
        ended(&mut wire, &format!("round {round}")).await;
    }
    goes_on(&scene, &calm).await;
}

#[tokio::test]
async fn random_frames_end_in_a_close_code() {
    let (calm, scene, mut dice) = (Calm::watch(), Scene::start().await, Dice(0x5EED_0002));
    for round in 0..150 {
        let mut wire =
            if round % 2 == 0 { Wire::open(&scene.server).await } else { Wire::greeted(&scene.server, &scene.bob).await };
        for _ in 0..1 + dice.roll(6) {
            // Well-formed in its header, whatever it says; reserved bits and opcodes now and then.
            let first = [0x81, 0x01, 0x00, 0x80, 0x82, 0x88, 0x89, 0x8A, 0x83, 0xC1][dice.roll(10)];
            let length = [0, 1, 2, 10, 125, 126, 300][dice.roll(7)];
            let payload = dice.bytes(length);
            wire.send(first, &payload).await;
        }
        ended(&mut wire, &format!("round {round}")).await;
    }
    goes_on(&scene, &calm).await;
}

#[tokio::test]
async fn a_connection_cut_at_any_byte_leaves_whole_commands_only() {
    let (calm, scene) = (Calm::watch(), Scene::start().await);
    let hello = json!({"ref": 1, "hello": {"token": scene.bob.token}}).to_string();
    let post = json!({"ref": 2, "post": {"room": scene.room, "client_id": Uuid::now_v7(), "text": "whole"}}).to_string();
    let whole = [Head::good().text().into_bytes(), frame(TEXT, hello.as_bytes()), frame(TEXT, post.as_bytes())].concat();
    for cut in (1..whole.len()).step_by(7).chain([whole.len() - 1]) {
        let mut wire = Wire::dial(&scene.server).await;
        wire.bytes(&whole[..cut]).await;
        wire.hang_up().await;
        let mut rest = Vec::new();
        drop(within("the end of the connection", wire.stream.read_to_end(&mut rest)).await);
    }
    assert_eq!(scene.history().await.len(), 0, "nothing was stored of a post that did not come whole");
    goes_on(&scene, &calm).await;
}

#[tokio::test]
async fn many_half_frames_at_once_cost_nobody_else_anything() {
    let (calm, scene) = (Calm::watch(), Scene::start().await);
    let mut wires = Vec::new();
    for _ in 0..100 {
        let mut wire = Wire::open(&scene.server).await;
        wire.bytes(&[header(TEXT, 60_000), vec![0; 4], vec![b' '; 10]].concat()).await;
        wires.push(wire);
    }
    goes_on(&scene, &calm).await;
    drop(wires);
    goes_on(&scene, &calm).await;
}
