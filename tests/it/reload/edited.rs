//! What `keyswap keys` writes takes effect in a keyswap that runs.

use super::keyed;
use crate::gateway::run;

#[tokio::test]
async fn each_change_by_command_is_the_next_generation() {
    let world = keyed([1]).start().await;
    let edit = |arguments: &[&str]| {
        let (code, answer, told) = run(world.gateway.directory.path(), &[&["keys"], arguments].concat(), &[]);
        assert_eq!(code, Some(0), "{told}");
        answer.trim_end().to_owned()
    };
    let first = edit(&["new", "--client", "shop", "--resource", "ai", "--id", "first"]);
    world.generation(2).await;
    assert_eq!(world.status_with(&first).await, 200);
    let second = edit(&["rotate", "shop", "--id", "second"]);
    world.generation(3).await;
    assert_eq!((world.status_with(&first).await, world.status_with(&second).await), (200, 200));
    edit(&["revoke", "first"]);
    world.generation(4).await;
    assert_eq!((world.status_with(&first).await, world.status_with(&second).await), (401, 200));
    edit(&["expire", "second", "--at", "2026-01-01"]);
    world.generation(5).await;
    assert_eq!(world.status_with(&second).await, 401);
    for why in ["the key first is revoked", "the key second is expired"] {
        world.gateway.told(|line| line["why"] == why).await;
    }
}
