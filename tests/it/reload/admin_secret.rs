//! The secret of the admin address is another one with the next generation.

use http::Method;

use crate::world::World;

impl World {
    async fn status_shown(&self, secret: &str) -> u16 {
        let url = format!("http://{}/nothing", self.gateway.admin);
        let call = self.client.call(Method::GET, &url).header("authorization", &format!("Bearer {secret}"));
        call.send().await.status.as_u16()
    }
}

#[tokio::test]
async fn a_secret_that_is_set_or_changed_counts_from_then_on() {
    let world = World::start().await;
    let (first, second) = ("the-first-admin-secret", "the-second-admin-secret");
    assert_eq!(world.admin("/nothing").await.0, 404);
    world.write("admin.secret", &format!("{first}\n"));
    world.change("keyswap.toml", |text| text.replace("[admin]\n", "[admin]\nsecret_file = \"admin.secret\"\n"));
    world.generation(2).await;
    assert_eq!(world.admin("/nothing").await.0, 403);
    assert_eq!((world.status_shown(first).await, world.status_shown(second).await), (404, 403));

    world.write("admin.secret", second);
    world.generation(3).await;
    assert_eq!((world.status_shown(first).await, world.status_shown(second).await), (403, 404));

    // What is none leaves the one before in effect.
    world.write("admin.secret", "short");
    let told = "admin.secret_file: has fewer than 16 characters: make a random one, like openssl rand -hex 32";
    world.gateway.logged(|line| line["mistake"].as_str().is_some_and(|mistake| mistake.ends_with(told))).await;
    assert_eq!(world.status_shown(second).await, 404);
}
