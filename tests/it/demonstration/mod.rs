//! The whole of a conversation as a script that people can read, played over REST and sockets.

mod play;
mod script;

use play::Play;

#[tokio::test]
async fn the_conversation_goes_as_its_script_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/demonstration/conversation.demo");
    let text = std::fs::read_to_string(path).expect("the script is there");
    let mut play = Play::start().await;
    for step in script::parse(&text) {
        play.step(&step).await;
    }
}
