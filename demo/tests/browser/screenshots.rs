use std::path::Path;

use crate::{browser::Browser, demo::Demo, driver::Driver};

/// Takes screenshots of all pages, wide and narrow, light and dark.
pub(crate) async fn take(directory: &Path) {
    std::fs::create_dir_all(directory).expect("a directory");
    let sessions = tempfile::tempdir().expect("a directory");
    let store = format!("sqlite:{}/sessions.db", sessions.path().display());
    let (demo, driver) =
        tokio::task::spawn_blocking(move || (Demo::start(&store, "127.0.0.1:0"), Driver::start()))
            .await
            .expect("both start");
    let other = Browser::open(&driver, &demo.address).await;
    other.sign_in("Alice").await;
    for (size, width) in [("desktop", 1200), ("phone", 390)] {
        for scheme in ["light", "dark"] {
            let browser = Browser::open_as(&driver, &demo.address, (width, 844), scheme).await;
            let picture = |page: &str| directory.join(format!("{page}-{size}-{scheme}.png"));
            browser.go("/").await;
            browser.screenshot(&picture("sign-in")).await;
            browser.sign_in("Alice").await;
            for text in ["Ask the baker about rye", "Ring Bob back before noon"] {
                browser.fill("text", text).await;
                browser.press("Add").await;
                browser.wait_for(text).await;
            }
            browser.add_to_cart("Tea", 1).await;
            browser.add_to_cart("Cake", 1).await;
            browser.go("/notes").await;
            browser.screenshot(&picture("notes")).await;
            browser.go("/devices").await;
            browser.screenshot(&picture("devices")).await;
            browser.go("/operators").await;
            browser.screenshot(&picture("operators-closed")).await;
            browser.open_operators_page(&demo.secret).await;
            browser.go("/operators?owner=alice").await;
            browser.screenshot(&picture("operators")).await;
            browser.close().await;
        }
    }
    other.close().await;
}
