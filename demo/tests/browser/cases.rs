use std::{pin::Pin, sync::Mutex};

use fantoccini::Locator;

use crate::{browser::Browser, demo::Demo, driver::Driver};

/// A running demo and a browser driver.
pub(crate) struct Stage {
    store: String,
    demo: Mutex<Option<Demo>>,
    address: String,
    driver: Driver,
}

impl Stage {
    pub(crate) async fn set(store: String) -> Self {
        tokio::task::spawn_blocking(move || {
            let demo = Demo::start(&store, "127.0.0.1:0");
            let address = demo.address.clone();
            Self { store, demo: Mutex::new(Some(demo)), address, driver: Driver::start() }
        })
        .await
        .expect("all of it starts")
    }

    async fn browser(&self) -> Browser {
        Browser::open(&self.driver, &self.address).await
    }

    /// Opens the operators' page with the secret that the demo has printed.
    async fn open_operators_page(&self, browser: &Browser) {
        let secret = self.demo.lock().expect("no panic").as_ref().expect("it runs").secret.clone();
        browser.open_operators_page(&secret).await;
    }

    /// Stops the demo and starts it again at the same address.
    fn restart(&self) {
        let demo = &mut *self.demo.lock().expect("no panic");
        demo.take().expect("it runs").stop();
        *demo = Some(Demo::start(&self.store, &self.address));
    }

    pub(crate) async fn clear(self) {
        let demo = self.demo.into_inner().expect("no panic");
        tokio::task::spawn_blocking(move || demo.map(Demo::stop)).await.expect("it ends");
    }
}

type Case = for<'a> fn(&'a Stage) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

macro_rules! cases {
    ($($name:ident),+ $(,)?) => {
        pub(crate) const ALL: &[(&str, Case)] = &[$((stringify!($name), |stage| Box::pin($name(stage)))),+];
    };
}

cases!(
    the_cookie_has_its_flags,
    signing_in_rotates_the_cookie,
    signing_out_is_final_although_a_slow_request_saves_afterwards,
    a_late_request_does_not_erase_a_new_login,
    two_tabs_keep_both_edits,
    a_restart_keeps_the_session,
    nothing_private_is_behind_the_back_button,
    a_device_is_signed_out_from_another,
    everywhere_is_everywhere,
    operators_find_and_end_sessions,
    another_user_of_the_browser_reads_nothing_of_the_first,
    the_keyboard_is_enough,
);

/// Cases that do not depend on the store: one store is enough.
pub(crate) const OF_PAGES: &[&str] =
    &["the_cookie_has_its_flags", "nothing_private_is_behind_the_back_button", "the_keyboard_is_enough"];

/// Cases that depend most on the store. The other cases run on one embedded store and one server:
/// the layers between are the same for all stores, and have their own tests on each.
pub(crate) const OF_EACH_STORE: &[&str] = &[
    "signing_out_is_final_although_a_slow_request_saves_afterwards",
    "two_tabs_keep_both_edits",
    "a_restart_keeps_the_session",
    "everywhere_is_everywhere",
];

async fn the_cookie_has_its_flags(stage: &Stage) {
    let browser = stage.browser().await;
    browser.sign_in("Alice").await;
    let cookies = browser.client.get_all_cookies().await.expect("its cookies");
    let [cookie] = &cookies[..] else { panic!("one cookie: {cookies:?}") };
    assert_eq!(cookie.name(), "session");
    assert_eq!(cookie.http_only(), Some(true));
    assert_eq!(cookie.path(), Some("/"));
    assert_eq!(cookie.same_site().map(|it| it.to_string()).as_deref(), Some("Lax"));
    assert!(cookie.expires().is_none(), "until the browser is closed");
    let seen = browser.client.execute("return document.cookie", vec![]).await.expect("a script");
    assert_eq!(seen, "", "no script sees it");
    browser.close().await;
}

async fn signing_in_rotates_the_cookie(stage: &Stage) {
    let browser = stage.browser().await;
    browser.go("/").await;
    assert_eq!(browser.cookie().await, None, "there is nothing to remember yet");
    // Blanks are not a name. The input is remembered, so a session begins.
    browser.fill("name", "   ").await;
    browser.press("Sign in").await;
    browser.wait_for("A name has 1 to 40 characters.").await;
    let before = browser.cookie().await.expect("a session of a guest");
    browser.fill("name", "Alice").await;
    browser.press("Sign in").await;
    browser.wait_for("Hello, Alice").await;
    let after = browser.cookie().await.expect("a session of Alice");
    assert_ne!(before, after);
    browser.close().await;
}

async fn signing_out_is_final_although_a_slow_request_saves_afterwards(stage: &Stage) {
    let browser = stage.browser().await;
    browser.sign_in("Alice").await;
    browser.add_slowly("too late").await;
    let slow = browser.new_tab().await;
    browser.go("/notes").await;
    browser.press("Sign out").await;
    browser.wait_for("Any name will do").await;
    assert_eq!(browser.cookie().await, None);
    let other = browser.switch(slow).await;
    assert_eq!(browser.slow().await, "under way", "it saves after the logout, or nothing is shown by this");
    assert_eq!(browser.slow_answer().await, "/", "it is sent to sign in");
    assert_eq!(browser.cookie().await, None, "and it brought nothing back");
    browser.switch(other).await;
    browser.go("/notes").await;
    assert_eq!(browser.path().await, "/", "signed out is signed out");
    browser.sign_in("Alice").await;
    assert!(!browser.text().await.contains("too late"));
    browser.close().await;
}

async fn a_late_request_does_not_erase_a_new_login(stage: &Stage) {
    let browser = stage.browser().await;
    browser.sign_in("Alice").await;
    browser.add_slowly("too late").await;
    let slow = browser.new_tab().await;
    // The same browser signs in as another user while a request with the old id is in flight.
    browser.go("/notes").await;
    browser.press("Sign out").await;
    // Loading another page sooner would cancel the sign-out.
    browser.wait_for("Any name will do").await;
    browser.sign_in("Bob").await;
    let new = browser.cookie().await.expect("a session of Bob");
    browser.switch(slow).await;
    assert_eq!(
        browser.slow().await,
        "under way",
        "it is answered after the login, or nothing is shown by this"
    );
    browser.slow_answer().await;
    assert_eq!(browser.cookie().await, Some(new), "the late answer took nothing away");
    browser.go("/notes").await;
    browser.wait_for("Hello, Bob").await;
    assert!(!browser.text().await.contains("too late"), "and gave nothing to Bob");
    browser.close().await;
}

async fn two_tabs_keep_both_edits(stage: &Stage) {
    let browser = stage.browser().await;
    browser.sign_in("Alice").await;
    // The request of the first tab is in flight while the second tab changes the same session, and
    // even the same list.
    browser.add_slowly("from the first tab").await;
    let first = browser.new_tab().await;
    browser.go("/notes").await;
    browser.add_to_cart("Tea", 1).await;
    browser.add_to_cart("Tea", 2).await;
    browser.fill("text", "from the second tab").await;
    browser.press("Add").await;
    browser.wait_for("from the second tab").await;
    browser.switch(first).await;
    assert_eq!(browser.slow().await, "under way", "both edit at once, or nothing is shown by this");
    assert_eq!(browser.slow_answer().await, "/notes");
    browser.go("/notes").await;
    let text = browser.text().await;
    assert!(text.contains("from the first tab") && text.contains("from the second tab"), "{text}");
    let tea = browser.client.find(Locator::Css("[data-goods=Tea]")).await.expect("the tea");
    assert_eq!(tea.text().await.expect("how many"), "2");
    browser.close().await;
}

async fn a_restart_keeps_the_session(stage: &Stage) {
    let browser = stage.browser().await;
    browser.sign_in("Alice").await;
    browser.fill("text", "still here").await;
    browser.press("Add").await;
    browser.wait_for("still here").await;
    tokio::task::block_in_place(|| stage.restart());
    browser.go("/notes").await;
    browser.wait_for("Hello, Alice").await;
    assert!(browser.text().await.contains("still here"));
    browser.close().await;
}

async fn nothing_private_is_behind_the_back_button(stage: &Stage) {
    let browser = stage.browser().await;
    browser.sign_in("Alice").await;
    browser.fill("text", "a private note").await;
    browser.press("Add").await;
    browser.wait_for("a private note").await;
    browser.press("Sign out").await;
    browser.wait_for("Any name will do").await;
    browser.client.back().await.expect("back");
    browser.wait_for("Any name will do").await;
    let text = browser.text().await;
    assert!(!text.contains("private") && !text.contains("Alice"), "{text}");
    browser.close().await;
}

async fn a_device_is_signed_out_from_another(stage: &Stage) {
    let (phone, laptop) = (stage.browser().await, stage.browser().await);
    phone.sign_in("Alice").await;
    laptop.sign_in("Alice").await;
    laptop.go("/devices").await;
    laptop.wait_for_as_many(".devices li", 2).await;
    assert!(laptop.text().await.contains("this one"));
    laptop.press("Sign out there").await;
    laptop.wait_for_as_many(".devices li", 1).await;
    phone.go("/notes").await;
    phone.wait_for("Any name will do").await;
    laptop.go("/notes").await;
    laptop.wait_for("Hello, Alice").await;
    phone.close().await;
    laptop.close().await;
}

async fn everywhere_is_everywhere(stage: &Stage) {
    let (phone, laptop) = (stage.browser().await, stage.browser().await);
    phone.sign_in("Alice").await;
    laptop.sign_in("Alice").await;
    laptop.go("/devices").await;
    laptop.press("Sign out everywhere").await;
    laptop.wait_for("Any name will do").await;
    assert_eq!(laptop.cookie().await, None);
    phone.go("/devices").await;
    phone.wait_for("Any name will do").await;
    phone.close().await;
    laptop.close().await;
}

async fn operators_find_and_end_sessions(stage: &Stage) {
    let (alice, operator) = (stage.browser().await, stage.browser().await);
    alice.sign_in("Alice").await;
    stage.open_operators_page(&operator).await;
    let id = alice.cookie().await.expect("a session");
    operator.fill("owner", "alice").await;
    operator.press("Search").await;
    operator.wait_for("last seen").await;
    let page = operator.client.source().await.expect("the page");
    assert!(page.contains("rename") || page.contains("write"), "operations are counted: {page}");
    assert!(!page.contains(&id), "no id is ever shown");
    operator.press("End").await;
    operator.wait_for("There is no session of alice").await;
    alice.go("/notes").await;
    alice.wait_for("Any name will do").await;
    alice.close().await;
    operator.close().await;
}

async fn the_keyboard_is_enough(stage: &Stage) {
    let browser = stage.browser().await;
    browser.go("/").await;
    // The field has the focus; Enter submits the form.
    browser.type_into("name", "Alice\u{e007}").await;
    browser.wait_for("Hello, Alice").await;
    browser.type_into("text", "typed only\u{e007}").await;
    browser.wait_for("typed only").await;
    browser.close().await;
}

async fn another_user_of_the_browser_reads_nothing_of_the_first(stage: &Stage) {
    let browser = stage.browser().await;
    browser.sign_in("Alice").await;
    browser.fill("text", "for Alice alone").await;
    browser.press("Add").await;
    browser.wait_for("for Alice alone").await;
    browser.add_to_cart("Tea", 1).await;
    // Without signing out first: Alice does not see the sign-in page, but the form can still be
    // sent.
    let script = "const body = new URLSearchParams({ name: 'Bob' });
        fetch('/sign-in', { method: 'POST', body }).then(() => { document.title = 'sent'; })";
    browser.client.execute(script, vec![]).await.expect("it is sent");
    browser.wait_for_title("sent").await;
    browser.go("/notes").await;
    browser.wait_for("Hello, Bob").await;
    let page = browser.client.source().await.expect("the page");
    assert!(!page.contains("for Alice alone"), "{page}");
    let tea = browser.client.find(Locator::Css("[data-goods=Tea]")).await.expect("the tea");
    assert_eq!(tea.text().await.expect("how many"), "0");
    browser.close().await;
}
