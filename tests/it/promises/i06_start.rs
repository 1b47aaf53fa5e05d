//! I6: race-free start and catch-up.

use crate::support::checks;
use crate::support::scene::Scene;
use crate::support::viewer::Viewer;

#[tokio::test]
async fn whoever_comes_while_a_room_is_posted_to_misses_nothing_and_sees_nothing_twice() {
    let scene = Scene::start_with(&[("resume.page_rows", "7")]).await;
    let mut stayed = Viewer::fresh(&scene.ann, &scene.room).await;
    let mut away = Viewer::fresh(&scene.bob, &scene.room).await;
    assert_eq!(away.cursor, stayed.cursor);
    let end = away.cursor + 60;
    let posting = scene.pipeline(&scene.ann, 60);
    let coming = async {
        for _ in 0..6 {
            away.resume(&scene.bob).await;
            // What comes beyond this is left for the next coming, as long as there is more.
            away.until((away.cursor + 2).min(end)).await;
        }
    };
    tokio::join!(posting, coming);
    for viewer in [&mut stayed, &mut away] {
        scene.catch_up(viewer).await;
    }
    assert_eq!(checks::same(&away, &stayed), [""; 0]);
    assert_eq!(checks::shown(&away, &scene.history().await), [""; 0]);
}
